"""What of a model is computed in eight bits, and in which range each tensor lies there.

ONNX Runtime has kernels of eight bits for convolutions and for little else. What stands between two
convolutions decides what they gain: an activation that goes to 32 bits and back costs more than
the convolution saves. So whatever follows a convolution stays in eight bits as far as there are
kernels, and three things that have none are computed by those of others, see :func:`turn`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from compress.onnx_graph import Graph, attributes
from compress.quantise.ranges import Range

__all__ = ["QUANTISED", "Fold", "Plan", "companions", "layers", "plan", "turn"]

QUANTISED = (
    "Conv", "MatMul", "Gemm", "Relu", "Resize", "MaxPool", "Concat", "GlobalAveragePool",
    "AveragePool", "Add", "Mul",
)  # fmt: skip
"""Operators whose inputs and outputs get eight bits."""

_LAYERS = ("Conv", "MatMul", "Gemm")
_FOLLOW = ("Relu", "Resize", "MaxPool", "Concat", "GlobalAveragePool", "AveragePool")
_GATES = {"HardSigmoid": -3.0, "Sigmoid": -8.0}
"""Where the gate of a swish has closed: what is lower need not be told apart."""

LEVELS = 255
"""Steps of eight bits."""

CLOSE = 0.05
"""Steps by which a shift may miss a whole number of them."""

WIDER = 1.1
"""How much wider a range may be made for a shift to be a whole number of steps."""

Grid = tuple[float, int]
"""Step and zero point of a tensor of eight bits without sign."""


@dataclass(frozen=True)
class Fold:
    """``made = taken * scale + bias``, both by constants, that is none to compute in eight bits.

    The codes are the same; only the grid, by which they are read, is another.
    """

    taken: str
    made: str
    scale: Grid
    shifted: Grid


@dataclass(frozen=True)
class Plan:
    """What to quantise.

    Attributes
    ----------
    nodes
        Names, in order.
    layers
        Those of them that have weights.
    grids
        Of tensors whose grid is not a matter of what they hold alone.
    """

    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    grids: Mapping[str, Grid]
    folds: tuple[Fold, ...]


def layers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the nodes that have weights of their own and can be quantised, in order."""
    graph = Graph(model)
    return tuple(node.name for node in graph.nodes if _is_layer(graph, node))


def companions(model: onnx.ModelProto, skip: Collection[str]) -> tuple[str, ...]:
    """Names of every node to quantise, in order: the layers, and what follows in eight bits.

    Parameters
    ----------
    skip
        Layers, or others, that stay as they are.
    """
    graph = Graph(model)
    eight: set[str] = set()
    names: list[str] = []
    for node in graph.nodes:
        taken = graph.activations(node)
        if node.name in skip or not taken:
            continue
        inside = all(name in eight for name in taken)
        if node.op_type in _GATES and inside:
            eight.update(node.output)  # in between two that are quantised
            continue
        if _is_layer(graph, node):
            if node.op_type == "Conv":
                eight.update(node.output)
        elif inside and _follows(graph, node):
            eight.update(node.output)
        else:
            continue
        names.append(node.name)
    return tuple(names)


def plan(model: onnx.ModelProto, ranges: Mapping[str, Range], skip: Collection[str]) -> Plan:
    """Choose what to quantise, and the grids that :func:`turn` needs.

    Parameters
    ----------
    ranges
        Of each tensor, holding 0.
    """
    graph = Graph(model)
    nodes = companions(model, skip)
    chosen = {node.name: node for node in graph.nodes if node.name in nodes}
    grids: dict[str, Grid] = {}
    for node in graph.nodes:
        if node.op_type in _GATES and _is_gate(graph, node, chosen):
            grids.update(_gate_grids(graph, node, ranges))
    folds = []
    for node in chosen.values():
        fold = _fold(graph, node, chosen, {**ranges})
        if fold is not None and fold.taken not in grids:
            folds.append(fold)
            grids[fold.taken], grids[fold.made] = fold.scale, fold.shifted
    found = tuple(name for name in nodes if _is_layer(graph, chosen[name]))
    return Plan(nodes, found, grids, tuple(folds))


def turn(model: onnx.ModelProto, plan: Plan) -> None:
    """Compute in eight bits, in a quantised model, what has no such kernels.

    - The gate of hard swish, ``clip(x / 6 + 1/2, 0, 1)``, is what quantising does anyway: codes of
      ``x`` in steps of 6/255 around 128, that are cut at 0 and 255, are the gate's own codes in
      steps of 1/255. A leaky ReLU of slope 1, which has a kernel, goes from one grid to the other.
    - ``x * scale + bias`` by constants leaves the codes as they are: see :class:`Fold`.
    """
    graph = Graph(model)
    for node in graph.nodes:
        if node.op_type == "HardSigmoid" and node.output[0] in plan.grids:
            (quantise,) = graph.takers(node.output[0])
            node.op_type = "LeakyRelu"
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("alpha", 1.0))
            step = graph.add(f"{node.output[0]}.step", np.float32(1 / LEVELS).reshape(()))
            zero = graph.add(f"{node.output[0]}.zero", np.uint8(0).reshape(()))
            for back in graph.takers(quantise.output[0]):
                back.input[1], back.input[2] = step, zero
    for fold in plan.folds:
        codes = _quantiser(graph, fold.taken).output[0]
        for back in graph.takers(_quantiser(graph, fold.made).output[0]):
            back.input[0] = codes


def _is_layer(graph: Graph, node: onnx.NodeProto) -> bool:
    return (
        node.op_type in _LAYERS
        and graph.is_weight(node.input[1])
        and not graph.is_weight(node.input[0])
        and all(graph.is_weight(name) for name in node.input[2:] if name)
    )


def _follows(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type in ("Add", "Mul"):
        constant = len(graph.activations(node)) < len(node.input)
        return not constant or graph.scalar(node) is not None
    return node.op_type in _FOLLOW


def _is_gate(graph: Graph, node: onnx.NodeProto, chosen: Mapping[str, onnx.NodeProto]) -> bool:
    takers = graph.takers(node.output[0])
    maker = graph.maker(node.input[0])
    return (
        maker is not None
        and maker.name in chosen
        and len(takers) == 1
        and takers[0].name in chosen
        and takers[0].op_type == "Mul"
        and node.output[0] not in graph.outputs
    )


def _gate_grids(graph: Graph, node: onnx.NodeProto, ranges: Mapping[str, Range]) -> dict[str, Grid]:
    source, made = node.input[0], node.output[0]
    grids: dict[str, Grid] = {}
    closed = _GATES[node.op_type]
    grids[made] = (1 / LEVELS, 0)
    if node.op_type == "HardSigmoid":
        given = attributes(node)
        slope, middle = given.get("alpha", 0.2), given.get("beta", 0.5)
        grids[made] = (1 / (slope * LEVELS), round(middle * LEVELS + 0.25))
        closed = -middle / slope
    (product,) = graph.takers(made)
    maker = graph.maker(source)
    # Who else takes it may want the low numbers.
    if {id(n) for n in graph.takers(source)} == {id(node), id(product)} and maker is not None:
        low, high = ranges[source]
        if low < closed and maker.op_type in ("Conv", "Add", "Mul"):
            grids[source] = _grid(closed, high)
    return grids


def _fold(
    graph: Graph,
    node: onnx.NodeProto,
    chosen: Mapping[str, onnx.NodeProto],
    ranges: Mapping[str, Range],
) -> Fold | None:
    """A fold that begins with this node, if its shift is a whole number of steps."""
    value = graph.scalar(node)
    if node.op_type not in ("Add", "Mul") or value is None:
        return None
    (taken,) = graph.activations(node)
    maker = graph.maker(taken)
    if maker is None or maker.op_type not in ("Conv", "Add", "Mul") or maker.name not in chosen:
        return None
    if graph.only_taker(taken) is not node:
        return None
    scale, bias, made = 1.0, value, node.output[0]
    if node.op_type == "Mul":
        scale, bias = value, 0.0
        after = graph.only_taker(made)
        shift = graph.scalar(after) if after is not None and after.op_type == "Add" else None
        if after is not None and after.name in chosen and shift is not None:
            bias, made = shift, after.output[0]
    elif maker.op_type == "Mul" and graph.scalar(maker) is not None:
        return None  # is the second half of one
    if scale <= 0 or made in graph.outputs:
        return None
    step, _ = _grid(*ranges[made])
    steps = int(bias / step)  # towards zero: the step may grow, never shrink
    if steps and bias / steps <= step * WIDER:
        step = bias / steps
    steps = round(bias / step)
    if abs(bias / step - steps) > CLOSE:
        return None
    zero = min(max(round(-ranges[made][0] / step), 0), LEVELS)
    before = min(max(zero + steps, 0), LEVELS)
    if not 0 <= before - steps <= LEVELS:
        return None
    return Fold(taken, made, (step / scale, before), (step, before - steps))


def _grid(low: float, high: float) -> Grid:
    step = max(high - low, 1e-8) / LEVELS
    return step, min(max(round(-low / step), 0), LEVELS)


def _quantiser(graph: Graph, name: str) -> onnx.NodeProto:
    return next(n for n in graph.takers(name) if n.op_type == "QuantizeLinear")
