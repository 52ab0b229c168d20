"""Transposed convolutions without overlap as plain ones of 1x1, for kernels that are faster.

A transposed convolution whose stride is its kernel size makes, of each pixel, a block of pixels by
one matrix product: that is a 1x1 convolution with the block's pixels as channels, and a
``DepthToSpace`` behind it (the sub-pixel convolution of https://arxiv.org/abs/1609.05158). ONNX
Runtime has no kernel of eight bits for the former; of the latter it has.

What follows and treats each pixel for itself moves in front of the ``DepthToSpace``, the next
transposed convolution too, so that there is one at the end, of the fewest numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.onnx_graph import Graph, attributes, drop_dead

__all__ = ["subpixel"]

EACH = ("Relu", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu")
"""Operators that treat each number for itself."""

FEW = 16
"""Channels that a kernel computes at once. A second transposed convolution that makes no more has
its pixels computed as channels too, most of its weights zeros, and costs nothing."""


def subpixel(model: onnx.ModelProto) -> int:
    """Turn what can be turned, in place; gives how many.

    Raises
    ------
    ValueError
        Never for a model that ``onnx.checker`` accepts.
    """
    walk = _Walk(model)
    for node in list(model.graph.node):
        walk.follow(node)
    for output in model.graph.output:
        walk.settle(output.name)
    del model.graph.node[:]
    model.graph.node.extend(walk.nodes)
    drop_dead(model)
    return walk.turned


@dataclass
class _Walk:
    """The nodes of the new graph, and the tensors in it whose pixels still lie as channels.

    A tensor in ``blocks`` has, under its name with ``.blocks``, ``r * r`` times the channels on
    ``1 / r`` of the height and width: channel ``p * C + c`` is channel ``c`` of pixel ``p`` of a
    block, in rows.
    """

    model: onnx.ModelProto
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    blocks: dict[str, int] = field(default_factory=dict)
    turned: int = 0

    def __post_init__(self) -> None:
        self.graph = Graph(self.model)

    def follow(self, node: onnx.NodeProto) -> None:
        if not (self._transposed(node) or self._each(node) or self._bias(node)):
            for name in node.input:
                self.settle(name)
            self.nodes.append(node)

    def settle(self, name: str) -> None:
        """Put pixels where they belong, for who does not know of blocks."""
        side = self.blocks.pop(name, None)
        if side is not None:
            self._add("DepthToSpace", [f"{name}.blocks"], name, blocksize=side, mode="DCR")

    def _transposed(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "ConvTranspose" or not self.graph.is_weight(node.input[1]):
            return False
        weights, given = self.graph.weight(node.input[1]), attributes(node)
        side = weights.shape[-1]
        plain = (
            weights.ndim == 4
            and weights.shape[2:] == (side, side)
            and list(given.get("strides", [1, 1])) == [side, side]
            and not any(given.get("pads", [0]))
            and not any(given.get("output_padding", [0]))
            and given.get("auto_pad", b"NOTSET") == b"NOTSET"
            and "output_shape" not in given
            and given.get("group", 1) == 1
        )
        if not plain:
            return False
        source, made = node.input[0], node.output[0]
        before = self.blocks.get(source, 1)
        if before > 1 and (before * side) ** 2 * weights.shape[1] > FEW:
            self.settle(source)
            before = 1
        name = self.graph.add(f"{made}.filters", _filters(weights, before))
        taken = [f"{source}.blocks" if before > 1 else source, name]
        if len(node.input) > 2:
            bias = np.tile(self.graph.weight(node.input[2]), (before * side) ** 2)
            taken.append(self.graph.add(f"{made}.bias", bias))
        self._add("Conv", taken, f"{made}.blocks", kernel_shape=[1, 1])
        self.blocks[made] = before * side
        self.turned += 1
        return True

    def _each(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in EACH or node.input[0] not in self.blocks:
            return False
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        kept.input[0], kept.output[0] = f"{node.input[0]}.blocks", f"{node.output[0]}.blocks"
        self.nodes.append(kept)
        self.blocks[node.output[0]] = self.blocks[node.input[0]]
        return True

    def _bias(self, node: onnx.NodeProto) -> bool:
        """A number for each channel, added to what a convolution made: its bias."""
        if node.op_type != "Add" or node.input[0] not in self.blocks:
            return False
        source, other = node.input
        conv = self.nodes[-1]
        if (
            not self.graph.is_weight(other)
            or self.graph.only_taker(source) is not node
            or conv.op_type != "Conv"
            or list(conv.output) != [f"{source}.blocks"]
            or len(conv.input) > 2
        ):
            return False
        value, side = self.graph.weight(other), self.blocks[source]
        channels = self.graph.weight(conv.input[1]).shape[0] // side**2
        if value.shape != (1, channels, 1, 1):
            return False
        made = node.output[0]
        conv.input.append(self.graph.add(f"{made}.bias", np.tile(value.ravel(), side**2)))
        conv.output[0] = f"{made}.blocks"
        self.blocks[made] = self.blocks.pop(source)
        return True

    def _add(self, kind: str, taken: list[str], made: str, **given: Any) -> None:
        node = onnx.helper.make_node(kind, taken, [made], name=f"{kind}.{made}", **given)
        self.nodes.append(node)


def _filters(weights: NDArray[np.float32], before: int) -> NDArray[np.float32]:
    """``(after^2 * O, before^2 * I, 1, 1)`` of ``(I, O, k, k)``, with ``after = before * k``."""
    taken, made, side, _ = weights.shape
    after = before * side
    whole = np.zeros((after, after, made, before, before, taken), np.float32)
    for row in range(before):
        for column in range(before):
            rows = slice(row * side, (row + 1) * side)
            columns = slice(column * side, (column + 1) * side)
            whole[rows, columns, :, row, column] = weights.transpose(2, 3, 1, 0)
    return whole.reshape(after**2 * made, before**2 * taken, 1, 1)
