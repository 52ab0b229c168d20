"""The mean of a distribution without its softmax, as detectors read distances to a box's sides.

PP-YOLOE's head gives each side of a box as a distribution over 17 distances (distribution focal
loss, https://arxiv.org/abs/2006.04388): a softmax, and a convolution by 0 to 16. ONNX Runtime's
softmax over an axis that is not the last transposes its input, and in eight bits it rounds
probabilities to 1/255. The mean is one quotient: of the exponentials' weighted sum and their sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from compress.onnx_graph import Graph, attributes, drop_dead

__all__ = ["expectation"]

LIMIT = 60.0
"""Of what is raised to a power, so that no sum overflows. Heads give logits of some tens at most;
of one that gave more, the distances would come out nearer to each other."""


def expectation(model: onnx.ModelProto) -> int:
    """Turn softmax and projection into a quotient, in place; gives how often."""
    graph, nodes, turned = Graph(model), list[onnx.NodeProto](), 0
    for node in graph.nodes:
        source = graph.maker(node.input[0]) if node.op_type == "Conv" else None
        if source is None or not _is_mean(graph, source, node):
            nodes.append(node)
            continue
        turned += 1
        nodes += _quotient(graph, source.input[0], node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_dead(model)
    return turned


def _is_mean(graph: Graph, softmax: onnx.NodeProto, conv: onnx.NodeProto) -> bool:
    """Whether it is a softmax over channels, and their sum with constant weights."""
    if softmax.op_type != "Softmax" or graph.only_taker(softmax.output[0]) is not conv:
        return False
    if len(conv.input) > 2 or not graph.is_weight(conv.input[1]):
        return False
    given, weights = attributes(conv), graph.weight(conv.input[1])
    return (
        attributes(softmax).get("axis", -1) == 1
        and weights.ndim == 4
        and weights.shape[0] == 1
        and weights.shape[2:] == (1, 1)
        and given.get("group", 1) == 1
        and all(n == 1 for n in given.get("strides", [1]))
        and not any(given.get("pads", [0]))
    )


def _quotient(graph: Graph, logits: str, conv: onnx.NodeProto) -> list[onnx.NodeProto]:
    made = conv.output[0]

    def constant(what: str, value: Any) -> str:
        return graph.add(f"{made}.{what}", np.asarray(value))

    def node(kind: str, *taken: str, out: str = "", **given: Any) -> onnx.NodeProto:
        out = out or f"{made}.{kind.lower()}"
        return onnx.helper.make_node(kind, list(taken), [out], name=f"{kind}.{out}", **given)

    weights = graph.weight(conv.input[1])[0][None]
    low, high = constant("low", np.float32(-LIMIT)), constant("high", np.float32(LIMIT))
    channels = constant("channels", np.array([1], np.int64))
    clip = node("Clip", logits, low, high)
    power = node("Exp", clip.output[0])
    weighed = node("Mul", power.output[0], constant("distances", weights))
    above = node("ReduceSum", weighed.output[0], channels, out=f"{made}.above", keepdims=1)
    below = node("ReduceSum", power.output[0], channels, out=f"{made}.below", keepdims=1)
    return [
        clip,
        power,
        weighed,
        above,
        below,
        node("Div", f"{made}.above", f"{made}.below", out=made),
    ]
