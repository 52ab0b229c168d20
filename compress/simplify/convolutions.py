"""Folding what stands around convolutions into their weights, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.program import Op, Program
from compress.simplify.affine import Affine, affine_of, is_bias, make_bias

__all__ = [
    "fold_batch_norms",
    "fold_into_convolutions",
    "fold_out_of_convolutions",
    "merge_pointwise",
]

_CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
_TRANSPOSED = ("conv2d_transpose", "depthwise_conv2d_transpose")

Weights = NDArray[np.float64]


def fold_batch_norms(program: Program) -> int:
    """Batch norms behind (transposed) convolutions, with or without a bias between."""
    return sum(_fold_behind(program, conv, ("batch_norm",)) for conv in _convolutions(program))


def fold_out_of_convolutions(program: Program) -> int:
    """Affine maps behind (transposed) convolutions: scales, and biases of any other form."""
    types = ("scale", "elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div")
    return sum(_fold_behind(program, conv, types) for conv in _convolutions(program))


def fold_into_convolutions(program: Program) -> int:
    """Affine maps in front of convolutions, if each that takes them can.

    An offset must not reach a convolution that pads: the zeros around the picture do not have it.
    """
    count = 0
    for op in program.of_type("scale", "batch_norm", "elementwise_add", "elementwise_mul"):
        found = affine_of(program, op)
        if found is None or is_bias(program, op):
            continue
        takers = program.takers(found.out)
        if not takers or not all(_can_take(program, taker, found) for taker in takers):
            continue
        for taker in takers:
            _take(program, taker, found)
        program.remove(op)
        count += 1
    return count


def merge_pointwise(program: Program) -> int:
    """Two 1x1 convolutions with nothing but a bias between, if one costs no more than both."""
    count = 0
    for first in program.of_type("conv2d"):
        bias, out = _bias_of(program, first)
        second = program.only_taker(out)
        if second is None or not (_is_pointwise(program, first) and _is_pointwise(program, second)):
            continue
        a, b = _filter(program, first)[:, :, 0, 0], _filter(program, second)[:, :, 0, 0]
        if b.shape[0] * a.shape[1] > a.size + b.size:
            continue
        offset = b @ _bias_value(program, bias) if bias else None
        program.replace(second, "Filter", (b @ a)[:, :, None, None].astype(np.float32))
        program.rewire(second, "Input", [first.input("Input")])
        program.remove(first, *([bias] if bias else []))
        if offset is not None:
            _add_bias(program, second, offset)
        count += 1
    return count


def _convolutions(program: Program) -> list[Op]:
    """Those with a filter that is known, and pictures as ``(N, C, H, W)``."""
    return [
        op
        for op in program.of_type(*_CONVOLUTIONS, *_TRANSPOSED)
        if op.get("data_format", "NCHW") in ("NCHW", "AnyLayout")
        and op.input("Filter") in program.parameters
    ]


def _fold_behind(program: Program, conv: Op, types: tuple[str, ...]) -> int:
    bias, out = _bias_of(program, conv)
    behind = program.only_taker(out)
    found = behind and affine_of(program, behind)
    if behind is None or not found or behind.type not in types:
        return 0
    if is_bias(program, behind) and bias is None:
        return 0  # it is in its form
    before = _bias_value(program, bias) if bias else np.zeros(())
    offset = found.multiplier * before + found.offset
    weights = _times_outputs(conv, _filter(program, conv), found.multiplier)
    program.replace(conv, "Filter", weights.astype(np.float32))
    program.remove(*([bias] if bias else []))
    made = conv.output("Output")
    if offset.any():
        channels = _outputs(conv, weights)
        new = make_bias(program, found.out, made, np.broadcast_to(offset, channels))
        program.insert(new, after=behind)
    else:
        program.remake(conv, "Output", found.out)
    program.remove(behind)
    return 1


def _can_take(program: Program, op: Op, affine: Affine) -> bool:
    if op.type not in _CONVOLUTIONS or op.reads().count(affine.out) != 1:
        return False
    if op.input("Input") != affine.out or op not in _convolutions(program):
        return False
    return not affine.offset.any() or not _pads(program, op)


def _take(program: Program, conv: Op, affine: Affine) -> None:
    weights = _filter(program, conv)
    offset = (weights * _of_inputs(conv, weights, affine.offset)).sum((1, 2, 3))
    new = weights * _of_inputs(conv, weights, affine.multiplier)
    program.replace(conv, "Filter", new.astype(np.float32))
    program.rewire(conv, "Input", [affine.source])
    if affine.offset.any():
        _add_bias(program, conv, offset)


def _add_bias(program: Program, conv: Op, offset: Weights) -> None:
    bias, _ = _bias_of(program, conv)
    if bias:
        value = _bias_value(program, bias) + offset
        program.replace(bias, "Y", value.astype(np.float32))
        return
    made = conv.output("Output")
    inner = program.new_variable(made, made)
    program.remake(conv, "Output", inner)
    program.insert(make_bias(program, made, inner, offset), after=conv)


def _bias_of(program: Program, conv: Op) -> tuple[Op | None, str]:
    """The bias behind a convolution, and what comes out of both."""
    out = conv.output("Output")
    taker = program.only_taker(out)
    if taker is None or not is_bias(program, taker):
        return None, out
    return taker, taker.output("Out")


def _bias_value(program: Program, bias: Op) -> Weights:
    return program.parameters[bias.input("Y")].astype(np.float64)


def _filter(program: Program, conv: Op) -> Weights:
    return program.parameters[conv.input("Filter")].astype(np.float64)


def _outputs(conv: Op, weights: NDArray[Any]) -> int:
    if conv.type in _TRANSPOSED:
        return int(weights.shape[1]) * int(conv.get("groups", 1))
    return int(weights.shape[0])


def _times_outputs(conv: Op, weights: Weights, multiplier: Weights) -> Weights:
    """Times one number for each output: ``(O, I/g, h, w)``, or ``(I, O/g, h, w)`` transposed."""
    if multiplier.ndim == 0:
        return weights * multiplier
    if conv.type not in _TRANSPOSED:
        return weights * multiplier[:, None, None, None]
    groups = int(conv.get("groups", 1))
    inputs, each, height, width = weights.shape
    split = weights.reshape(groups, inputs // groups, each, height, width)
    return (split * multiplier.reshape(groups, 1, each, 1, 1)).reshape(weights.shape)


def _of_inputs(conv: Op, weights: Weights, vector: Weights) -> Weights:
    """One number for each input, laid out beside weights ``(O, I/g, h, w)``."""
    if vector.ndim == 0:
        return vector
    groups = int(conv.get("groups", 1))
    outputs, each = weights.shape[:2]
    by_group = vector.reshape(groups, each)
    return np.repeat(by_group, outputs // groups, axis=0)[:, :, None, None]


def _pads(program: Program, conv: Op) -> bool:
    padding = conv.get("padding_algorithm", "EXPLICIT")
    if padding == "VALID":
        return False
    if padding == "SAME":
        return program.parameters[conv.input("Filter")].shape[2:] != (1, 1)
    return any(conv.get("paddings", [0, 0]))


def _is_pointwise(program: Program, conv: Op) -> bool:
    return (
        conv.type == "conv2d"
        and conv in _convolutions(program)
        and program.parameters[conv.input("Filter")].shape[2:] == (1, 1)
        and conv.get("groups", 1) == 1
        and list(conv.get("strides", [1, 1])) == [1, 1]
        and not _pads(program, conv)
    )
