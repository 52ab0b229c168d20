"""Upsampling of codes of eight bits by copying: twice and more as fast as ONNX Runtime's Resize.

Its nearest neighbour takes one number at a time. With the channels last, where convolutions of
eight bits have them anyway, the same is to join rows of bytes: a pixel with itself along the
channels is two pixels side by side, a row with itself two rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from compress.onnx_graph import Graph, attributes, drop_dead

__all__ = ["repeat"]

MOST = 8
"""Copies along a side; of more, each would be small."""


def repeat(model: onnx.ModelProto) -> int:
    """Turn upsamplings between codes of one grid, in place; gives how many."""
    graph, turned = Graph(model), 0
    nodes: list[onnx.NodeProto] = []
    instead: dict[int, list[onnx.NodeProto]] = {}
    for node in graph.nodes:
        side = _side(graph, node)
        codes = graph.maker(node.input[0]) if side else None
        after = graph.only_taker(node.output[0]) if side else None
        if codes is not None and after is not None and _same_grid(graph, codes, after):
            instead[id(after)] = _copies(graph, codes.input[0], after.output[0], side)
            turned += 1
    for node in graph.nodes:
        nodes += instead.get(id(node), [node])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_dead(model)
    return turned


def _side(graph: Graph, node: onnx.NodeProto) -> int:
    """How many times as high and wide a nearest upsampling makes it; 0 for any other operator."""
    if node.op_type != "Resize" or len(node.input) != 3 or not graph.is_weight(node.input[2]):
        return 0
    given = attributes(node)
    scales = graph.weight(node.input[2])
    plain = (
        given.get("mode", b"nearest") == b"nearest"
        and given.get("coordinate_transformation_mode") == b"asymmetric"
        and given.get("nearest_mode") == b"floor"
        and scales.shape == (4,)
    )
    side = int(scales[-1]) if plain else 0
    return side if 2 <= side <= MOST and scales.tolist() == [1, 1, side, side] else 0


def _same_grid(graph: Graph, back: onnx.NodeProto, codes: onnx.NodeProto) -> bool:
    if back.op_type != "DequantizeLinear" or codes.op_type != "QuantizeLinear":
        return False
    grids = [[graph.weight(name) for name in node.input[1:]] for node in (back, codes)]
    return all(bool(np.array_equal(a, b)) for a, b in zip(*grids, strict=True))


def _copies(graph: Graph, taken: str, made: str, side: int) -> list[onnx.NodeProto]:
    nodes: list[onnx.NodeProto] = []

    def node(kind: str, *names: str, out: str, **given: Any) -> str:
        nodes.append(onnx.helper.make_node(kind, names, [out], name=f"{kind}.{out}", **given))
        return out

    def times(what: str, *factors: int) -> str:
        return graph.add(f"{made}.{what}", np.array(factors, np.int64))

    last = node("Transpose", taken, out=f"{made}.last", perm=[0, 2, 3, 1])
    size = node("Shape", last, out=f"{made}.size")
    wide_size = node("Mul", size, times("across", 1, 1, side, 1), out=f"{made}.wide.size")
    whole_size = node("Mul", size, times("both", 1, side, side, 1), out=f"{made}.whole.size")
    beside = node("Concat", *[last] * side, out=f"{made}.beside", axis=3)
    wide = node("Reshape", beside, wide_size, out=f"{made}.wide")
    below = node("Concat", *[wide] * side, out=f"{made}.below", axis=2)
    whole = node("Reshape", below, whole_size, out=f"{made}.whole")
    node("Transpose", whole, out=made, perm=[0, 3, 1, 2])
    return nodes
