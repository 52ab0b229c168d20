"""What an operator computes if that is ``multiplier * x + offset``, for all or for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.program import Op, Program

__all__ = ["Affine", "affine_of", "channel_vector", "is_bias", "make_bias", "make_scale"]

Vector = NDArray[np.float64]

_ELEMENTWISE = ("elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div")
_CHANNEL = 1  # of NCHW
_RANK = 4


@dataclass(frozen=True)
class Affine:
    """``out = multiplier * source + offset``.

    Attributes
    ----------
    source, out
        Variables.
    multiplier, offset
        float64 each, ``()`` if it is one for all, else ``(C,)``.
    """

    source: str
    out: str
    multiplier: Vector
    offset: Vector

    @property
    def one_for_all(self) -> bool:
        """Whether every channel gets the same."""
        return self.multiplier.ndim == self.offset.ndim == 0


def affine_of(program: Program, op: Op) -> Affine | None:
    """What ``op`` computes, if it is a float32 affine map of one variable with known numbers.

    Sources: Paddle's ``scale``, ``batch_norm`` (in inference) and ``elementwise_*`` operators, the
    last with their ``axis``: the dimension of X where Y's first one lies, -1 to align the last.
    """
    if op.type == "scale":
        return _of_scale(program, op)
    if op.type == "batch_norm":
        return _of_batch_norm(program, op)
    if op.type in _ELEMENTWISE:
        return _of_elementwise(program, op)
    return None


def make_scale(op: Op, source: str, multiplier: float, offset: float) -> None:
    """Make ``op`` a ``scale`` operator; its only output stays."""
    (out,) = op.makes()
    op.type = "scale"
    op.inputs = {"X": [source]}
    op.outputs = {"Out": [out]}
    op.attributes = {}
    op.put(scale=float(multiplier), bias=float(offset), bias_after_scale=True)


def make_bias(program: Program, out: str, source: str, bias: Vector) -> Op:
    """Make the operator that adds one number to each channel, in the form that all engines fuse."""
    name = program.new_parameter(bias.astype(np.float32), f"{out}.bias")
    op = Op("elementwise_add", {"X": [source], "Y": [name]}, {"Out": [out]})
    op.put(axis=_CHANNEL)
    return op


def is_bias(program: Program, op: Op | None) -> bool:
    """Whether ``op`` has the form that :func:`make_bias` makes."""
    if op is None or op.type != "elementwise_add" or op.get("axis", -1) != _CHANNEL:
        return False
    value = program.parameters.get(op.input("Y"))
    return (
        value is not None
        and value.dtype == np.float32
        and op.input("X") not in program.parameters
        and value.shape == ((program.shape(op.input("X")) or ())[1:2])
    )


def channel_vector(value: NDArray[np.float32], axis: int, rank: int) -> Vector | None:
    """The number of each channel if a parameter that is broadcast is no more than that.

    Parameters
    ----------
    value
        ``(C,)`` with its axis 1, or ``(1, C, 1, 1)``, or alike.
    axis
        Of the operator.
    rank
        Of what it is broadcast to.
    """
    if value.size == 1 and value.ndim <= rank:
        return np.asarray(value.reshape(()), np.float64)
    start = rank - value.ndim if axis == -1 else axis
    shape = [1] * start + list(value.shape)
    shape += [1] * (rank - len(shape))
    if rank != _RANK or len(shape) != rank or start < 0:
        return None
    if any(n != 1 for at, n in enumerate(shape) if at != _CHANNEL):
        return None
    return np.asarray(value.reshape(-1), np.float64)


def _of_scale(program: Program, op: Op) -> Affine | None:
    source = op.input("X")
    if op.inputs.get("ScaleTensor") or program.dtype(source) != "float32":
        return None
    multiplier = np.float64(op.get("scale", 1.0))
    offset = np.float64(op.get("bias", 0.0))
    if not op.get("bias_after_scale", True):
        offset *= multiplier
    return Affine(source, op.output("Out"), np.asarray(multiplier), np.asarray(offset))


def _of_batch_norm(program: Program, op: Op) -> Affine | None:
    if op.get("data_layout", "NCHW") != "NCHW":
        return None
    if not (op.get("is_test", False) or op.get("use_global_stats", False)):
        return None
    names = [op.input(slot) for slot in ("Scale", "Bias", "Mean", "Variance")]
    if not all(name in program.parameters for name in names):
        return None
    gamma, beta, mean, variance = (program.parameters[n].astype(np.float64) for n in names)
    multiplier = gamma / np.sqrt(variance + op.get("epsilon", 1e-5))
    return Affine(op.input("X"), op.output("Y"), multiplier, beta - mean * multiplier)


def _of_elementwise(program: Program, op: Op) -> Affine | None:
    x, y = op.input("X"), op.input("Y")
    if (x in program.parameters) == (y in program.parameters):
        return None
    known, source = (x, y) if x in program.parameters else (y, x)
    value, shape = program.parameters[known], program.shape(source)
    axis = op.get("axis", -1)
    # With the parameter as X an axis would say where Y's dimensions lie within it.
    if value.dtype != np.float32 or not shape or (known == x and axis != -1 and value.size > 1):
        return None
    vector = channel_vector(value, axis, len(shape))
    if vector is None or (vector.ndim and vector.shape[0] != shape[_CHANNEL]):
        return None
    one, none = np.ones_like(vector), np.zeros_like(vector)
    out = op.output("Out")
    if op.type == "elementwise_add":
        return Affine(source, out, one, vector)
    if op.type == "elementwise_mul":
        return Affine(source, out, vector, none)
    if op.type == "elementwise_sub":
        return (
            Affine(source, out, -one, vector) if known == x else Affine(source, out, one, -vector)
        )
    if known == x or not vector.all():
        return None
    return Affine(source, out, 1 / vector, none)
