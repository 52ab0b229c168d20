"""Zeros beside the channels that a model's interface gives, for ONNX Runtime's fast kernels.

What :mod:`compress.prune.widen` does within a network cannot be done at its ends: a picture has
three channels, a detector one for each of its classes. Here zeros are put beside the codes of a
quantised model, which costs next to nothing, and taken off again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from compress.onnx_graph import Graph
from compress.prune.widen import LEAST, MULTIPLE

__all__ = ["suit"]


def suit(model: onnx.ModelProto) -> int:
    """Widen the first and the last convolutions of a quantised model, in place; gives how many."""
    graph = Graph(model)
    taken = {each.name for each in model.graph.input}
    before: dict[int, onnx.NodeProto] = {}
    after: dict[int, onnx.NodeProto] = {}
    for node in graph.nodes:
        if node.op_type != "Conv":
            continue
        back = graph.maker(node.input[0])
        codes = graph.maker(back.input[0]) if back is not None else None
        if back is None or codes is None or codes.op_type != "QuantizeLinear":
            continue
        if codes.input[0] in taken and (pad := _more_inputs(graph, node, codes, back)):
            before[id(back)] = pad
        if (quantise := _only_quantiser(graph, node)) and (cut := _more_outputs(graph, node)):
            after[id(quantise)] = cut
    nodes = []
    for node in graph.nodes:
        nodes += [each for each in (before.get(id(node)), node, after.get(id(node))) if each]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # of other shapes than before
    return len(before) + len(after)


def _more_inputs(
    graph: Graph, conv: onnx.NodeProto, codes: onnx.NodeProto, back: onnx.NodeProto
) -> onnx.NodeProto | None:
    """Zeros beside the channels of a picture; gives the node that puts them there."""
    weights = graph.maker(conv.input[1])
    if weights is None or graph.only_taker(codes.output[0]) is not back:
        return None
    extra = -graph.weight(weights.input[0]).shape[1] % MULTIPLE
    if not extra or graph.only_taker(back.output[0]) is not conv:
        return None
    _grow(graph, weights, [0], 1, extra)
    made = f"{codes.output[0]}.wide"
    reach = graph.add(f"{made}.reach", np.array([0, 0, 0, 0, 0, extra, 0, 0], np.int64))
    back.input[0] = made
    # What stands for 0 is the zero point.
    return onnx.helper.make_node(
        "Pad", [codes.output[0], reach, codes.input[2]], [made], name=f"Pad.{made}"
    )


def _more_outputs(graph: Graph, conv: onnx.NodeProto) -> onnx.NodeProto | None:
    """Outputs of zeros beside a few; gives the node that takes them off."""
    weights = graph.maker(conv.input[1])
    bias = graph.maker(conv.input[2]) if len(conv.input) > 2 else None
    if weights is None or (len(conv.input) > 2 and bias is None):
        return None
    made, _, height, width = graph.weight(weights.input[0]).shape
    grouped = graph.weight(weights.input[0]).shape[1] == 1
    # One of 1x1 mostly stands behind a global pooling, and computes a pixel.
    if made >= LEAST or grouped or (height, width) == (1, 1):
        return None
    for node in (weights, bias):
        if node is not None:
            _grow(graph, node, [0, 1, 2], 0, LEAST - made)
    (quantise,) = graph.takers(conv.output[0])
    name = quantise.output[0]
    quantise.output[0] = f"{name}.wide"
    bounds = [
        graph.add(f"{name}.{what}", np.array([value], np.int64))
        for what, value in (("start", 0), ("end", made), ("axis", 1))
    ]
    return onnx.helper.make_node("Slice", [f"{name}.wide", *bounds], [name], name=f"Slice.{name}")


def _only_quantiser(graph: Graph, conv: onnx.NodeProto) -> onnx.NodeProto | None:
    taker = graph.only_taker(conv.output[0])
    return taker if taker is not None and taker.op_type == "QuantizeLinear" else None


def _grow(graph: Graph, back: onnx.NodeProto, places: Sequence[int], axis: int, extra: int) -> None:
    """Zeros behind the codes, steps and zero points of a constant."""
    for place in places:
        if place >= len(back.input):
            continue
        value = graph.weight(back.input[place])
        if value.ndim:  # a step of each channel; one for all stays
            reach = [(0, extra if number == axis else 0) for number in range(value.ndim)]
            # A step of 0 is none.
            filled = np.pad(value, reach, constant_values=1 if place == 1 else 0)
            name = f"{back.input[place]}.wide"
            back.input[place] = name if graph.is_weight(name) else graph.add(name, filled)
