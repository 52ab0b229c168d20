"""Scalar affine maps: one ``scale`` operator each, as few as can be, where they cost least.

Of LCNetV3, whose learnable affines stand behind each convolution and activation as an
``elementwise_mul`` and an ``elementwise_add`` with one number: Paddle Lite runs these in slow
broadcast loops, and ``scale`` in a vectorised one.
"""

from __future__ import annotations

from compress.program import Op, Program
from compress.simplify.affine import affine_of, is_bias, make_scale

__all__ = ["lift_over_relu", "merge_scales", "sink_below_pools", "to_scales"]

_ELEMENTWISE = ("elementwise_add", "elementwise_sub", "elementwise_mul", "elementwise_div")


def to_scales(program: Program) -> int:
    """Elementwise operators with a parameter of one number become ``scale``."""
    count = 0
    for op in program.of_type(*_ELEMENTWISE):
        found = affine_of(program, op)
        if found is None or not found.one_for_all or is_bias(program, op):
            continue
        make_scale(op, found.source, float(found.multiplier), float(found.offset))
        program.rewire(op, "X", [found.source])
        count += 1
    return count


def merge_scales(program: Program) -> int:
    """Two scales, the second of which alone takes the first's result, become one."""
    count = 0
    for op in program.of_type("scale"):
        second = affine_of(program, op)
        first_op = program.maker(op.input("X"))
        if second is None or first_op is None or first_op.type != "scale":
            continue
        first = affine_of(program, first_op)
        if first is None or program.only_taker(first.out) is not op:
            continue
        multiplier = float(first.multiplier * second.multiplier)
        make_scale(
            op, first.source, multiplier, float(first.offset * second.multiplier + second.offset)
        )
        program.remove(first_op)
        count += 1
    return count


def sink_below_pools(program: Program) -> int:
    """A scale in front of a pool moves behind it, where there is less to do."""
    count = 0
    for pool in program.of_type("pool2d"):
        scale = program.maker(pool.input("X"))
        if scale is None or scale.type != "scale" or not _alone(program, scale):
            continue
        found = affine_of(program, scale)
        if found is None or not _commutes(pool, float(found.multiplier), float(found.offset)):
            continue
        program.swap(scale, pool)
        count += 1
    return count


def lift_over_relu(program: Program) -> int:
    """A positive multiplier behind a ReLU moves before it, if a convolution there takes it up."""
    count = 0
    for scale in program.of_type("scale"):
        relu = program.maker(scale.input("X"))
        found = affine_of(program, scale)
        if found is None or relu is None or relu.type != "relu" or not _alone(program, relu):
            continue
        if found.multiplier <= 0 or found.offset or not _behind_convolution(program, relu):
            continue
        program.swap(relu, scale)
        count += 1
    return count


def _alone(program: Program, op: Op) -> bool:
    """Whether one operator alone takes what ``op`` makes."""
    return program.only_taker(op.output("Out")) is not None


def _behind_convolution(program: Program, relu: Op) -> bool:
    name = relu.input("X")
    if program.only_taker(name) is not relu:
        return False
    maker = program.maker(name)
    if maker is not None and maker.type == "elementwise_add":
        before = maker.input("X")
        if program.only_taker(before) is not maker:
            return False
        maker = program.maker(before)
    return maker is not None and maker.type.partition("_transpose")[0] in (
        "conv2d",
        "depthwise_conv2d",
    )


def _commutes(pool: Op, multiplier: float, offset: float) -> bool:
    """Whether pooling before scaling gives the same; see ``pool2d`` for what is averaged."""
    if pool.get("pooling_type") == "max":
        return multiplier > 0
    counts_zeros = not pool.get("exclusive", True) and any(pool.get("paddings", [0, 0]))
    return not (counts_zeros and offset)
