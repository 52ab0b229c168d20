"""Each rewrite: what it takes out, what it leaves, and that Paddle answers as before."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
from compress_lab import CLOSE, Builder, run, types

from compress.program import Program
from compress.simplify import REWRITES, simplify
from compress.simplify.convolutions import (
    fold_batch_norms,
    fold_into_convolutions,
    fold_out_of_convolutions,
    merge_pointwise,
)
from compress.simplify.gates import merge_gate_residuals
from compress.simplify.idle import drop_assigns, drop_dead, drop_dropouts, drop_identities
from compress.simplify.scales import lift_over_relu, merge_scales, sink_below_pools, to_scales
from compress.simplify.shapes import absorb_transposes, fix_reshapes, fold_constants
from models.errors import ModelError

Rewrite = Callable[[Program], int]

framework_int = 2  # VarType.INT32

BIASED = ["conv2d", "elementwise_add"]


def applied(rewrite: Rewrite, builder: Builder, *fetched: str, times: int = 1) -> Program:
    """Apply it; the answers must stay, and it must apply so often, and then no more."""
    before = builder.done(*fetched)
    after = copy.deepcopy(before)
    assert rewrite(after) == times
    assert rewrite(after) == 0
    assert after.fetches == before.fetches
    x = builder.rng.standard_normal((2, before.shape("x")[1], 6, 8)).astype(np.float32)  # type: ignore[index]
    for old, new in zip(run(before, {"x": x}), run(after, {"x": x}), strict=True):
        assert old.std() > 0  # an answer about the input
        assert np.abs(old - new).max() <= CLOSE * max(1, np.abs(old).max())
    return after


def test_every_rewrite_is_tried_here() -> None:
    assert {r.__name__ for r in REWRITES} <= set(globals())


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_batch_norm_behind_a_convolution(depthwise: bool) -> None:
    b = Builder(4)
    b.conv(6, 3, padding=1, depthwise=depthwise)
    b.batch_norm()
    kind = "depthwise_conv2d" if depthwise else "conv2d"
    assert types(applied(fold_batch_norms, b)) == [kind, "elementwise_add"]


@pytest.mark.parametrize("groups", [1, 2])
def test_a_batch_norm_behind_a_transposed_one_and_its_bias(groups: int) -> None:
    b = Builder(4)
    b.transposed(6, groups)
    b.bias()
    b.batch_norm()
    assert types(applied(fold_batch_norms, b)) == ["conv2d_transpose", "elementwise_add"]


def test_a_batch_norm_that_trains_stays() -> None:
    b = Builder(4)
    b.conv(6)
    b.batch_norm()
    b.program.of_type("batch_norm")[0].put(is_test=False)
    assert fold_batch_norms(b.done()) == 0


def test_a_convolution_that_others_read_keeps_what_it_gives() -> None:
    b = Builder(4)
    raw = b.conv(6)
    b.batch_norm()
    applied(fold_batch_norms, b, raw, b.last, times=0)


def test_learnable_affines_become_scales() -> None:
    b = Builder(4)
    for kind in ("elementwise_mul", "elementwise_add"):
        b.one(kind, swapped=True)
    b.one("elementwise_sub")
    b.one("elementwise_sub", swapped=True)
    b.one("elementwise_div")
    program = applied(to_scales, b, times=5)
    assert types(program) == ["scale"] * 5


def test_one_number_divided_by_a_picture_is_no_scale() -> None:
    b = Builder(4)
    b.one("elementwise_div", swapped=True)
    assert to_scales(b.done()) == 0


def test_the_bias_of_one_channel_is_a_bias() -> None:
    b = Builder(4)
    b.conv(1)
    b.bias()
    assert to_scales(b.done()) == 0


def test_scales_merge_whichever_way_they_add() -> None:
    b = Builder(4)
    b.scale(2.0, 3.0, after=False)
    b.scale(-0.5, 1.0)
    b.scale(3.0, -1.0)
    program = applied(merge_scales, b, times=2)
    (op,) = program.of_type("scale")
    assert (op.get("scale"), op.get("bias")) == (-3.0, -7.0)


def test_scales_behind_a_convolution_and_its_bias() -> None:
    b = Builder(4)
    b.conv(6, 3, padding=1)
    b.bias()
    b.scale(-2.0, 0.5)
    assert types(applied(fold_out_of_convolutions, b)) == BIASED


def test_a_multiplier_alone_needs_no_bias() -> None:
    b = Builder(4)
    b.conv(6)
    b.scale(2.0)
    assert types(applied(fold_out_of_convolutions, b)) == ["conv2d"]


def test_a_bias_of_another_form_gets_the_one_that_engines_fuse() -> None:
    b = Builder(4)
    b.conv(6)
    inputs = {"X": b.last, "Y": b.parameter(1, 6, 1, 1)}
    b.last = b.out()
    b.add("elementwise_add", inputs, {"Out": b.last}, axis=-1)
    program = applied(fold_out_of_convolutions, b)
    (op,) = program.of_type("elementwise_add")
    assert op.get("axis") == 1
    assert program.parameters[op.input("Y")].shape == (6,)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("offset", [0.0, 0.5])
@pytest.mark.parametrize("biased", [False, True])
def test_a_scale_in_front_of_a_convolution(padding: int, offset: float, biased: bool) -> None:
    b = Builder(4)
    b.scale(-2.0, offset)
    b.conv(6, 3, padding=padding)
    if biased:
        b.bias()
    # The zeros around the picture do not have the offset.
    stays = bool(padding and offset)
    program = applied(fold_into_convolutions, b, times=int(not stays))
    assert ("scale" in types(program)) == stays


def test_a_batch_norm_in_front_of_a_depthwise_convolution() -> None:
    b = Builder(4)
    b.batch_norm()
    b.conv(4, 3, depthwise=True)
    assert types(applied(fold_into_convolutions, b)) == ["depthwise_conv2d", "elementwise_add"]


def test_a_scale_that_something_else_reads_stays() -> None:
    b = Builder(4)
    seen = b.scale(2.0, 1.0)
    b.conv(6)
    applied(fold_into_convolutions, b, seen, b.last, times=0)


def test_two_convolutions_of_one_scale_each_take_it_up() -> None:
    b = Builder(4)
    scaled = b.scale(2.0, 1.0)
    first = b.conv(6)
    b.last, b.channels = scaled, 4
    second = b.conv(6, 3)
    assert types(applied(fold_into_convolutions, b, first, second)) == BIASED * 2


def test_a_filter_that_two_convolutions_share_changes_for_one() -> None:
    b = Builder(4)
    shared = b.parameter(6, 4, 1, 1)
    first = b.conv(6, filters=shared)
    b.last, b.channels = "x", 4
    b.scale(3.0)
    second = b.conv(6, filters=shared)
    program = applied(fold_into_convolutions, b, first, second)
    filters = [program.parameters[op.input("Filter")] for op in program.of_type("conv2d")]
    assert np.array_equal(filters[0] * 3, filters[1])


def test_a_multiplier_behind_a_relu_goes_through_it_to_the_convolution() -> None:
    b = Builder(4)
    b.conv(6)
    b.bias()
    b.plain("relu")
    b.scale(2.0)
    program = applied(lift_over_relu, b)
    assert types(program) == [*BIASED, "scale", "relu"]
    simplify(program)
    assert types(program) == [*BIASED, "relu"]


@pytest.mark.parametrize(("multiplier", "offset"), [(-2.0, 0.0), (2.0, 1.0)])
def test_what_a_relu_would_cut_off_otherwise_stays_behind_it(
    multiplier: float, offset: float
) -> None:
    b = Builder(4)
    b.conv(6)
    b.plain("relu")
    b.scale(multiplier, offset)
    applied(lift_over_relu, b, times=0)


def test_a_hard_swish_lets_nothing_through() -> None:
    b = Builder(4)
    b.conv(6)
    b.bias()
    b.plain("hard_swish", threshold=6.0, scale=6.0, offset=3.0)
    b.scale(2.0, 1.0)
    program = b.done()
    simplify(program)
    assert types(program) == [*BIASED, "hard_swish", "scale"]


@pytest.mark.parametrize(
    ("kind", "multiplier", "padding", "exclusive", "sinks"),
    [
        ("avg", -2.0, 0, True, True),
        ("avg", -2.0, 1, True, True),
        ("avg", -2.0, 1, False, False),
        ("max", 2.0, 1, True, True),
        ("max", -2.0, 0, True, False),
    ],
)
def test_a_scale_sinks_below_a_pool(
    kind: str, multiplier: float, padding: int, exclusive: bool, sinks: bool
) -> None:
    b = Builder(4)
    b.scale(multiplier, 1.5)
    b.pool(kind, paddings=[padding, padding], exclusive=exclusive, ksize=[3, 3])
    program = applied(sink_below_pools, b, times=int(sinks))
    assert types(program) == (["pool2d", "scale"] if sinks else ["scale", "pool2d"])


def test_what_lies_between_pool_and_scale_has_the_pools_shape() -> None:
    b = Builder(4)
    b.scale(2.0, 1.0)
    b.pool("avg", adaptive=True, ksize=[1, 1])
    program = applied(sink_below_pools, b)
    assert program.shape(program.of_type("pool2d")[0].output("Out")) == (-1, 4, 1, 1)


def test_two_pointwise_convolutions_with_a_bias_between() -> None:
    b = Builder(4)
    b.conv(12)
    b.bias()
    b.conv(3)
    assert types(applied(merge_pointwise, b)) == BIASED


def test_a_bottleneck_costs_less_in_two() -> None:
    b = Builder(12)
    b.conv(2)
    b.conv(12)
    applied(merge_pointwise, b, times=0)


def test_a_gate_with_a_residual() -> None:
    b = Builder(4)
    picture = b.conv(6)
    b.pool("avg", adaptive=True, ksize=[1, 1])
    gate = b.plain("sigmoid")
    b.program.variables[gate].CopyFrom(b.program.variables[b.program.ops[-1].input("X")])
    b.program.variables[gate].name = gate
    product = b.joined("elementwise_mul", picture, gate)
    b.joined("elementwise_add", picture, product)
    program = applied(merge_gate_residuals, b)
    assert types(program) == ["conv2d", "pool2d", "sigmoid", "scale", "elementwise_mul"]


def test_a_product_that_something_else_reads_stays() -> None:
    b = Builder(4)
    picture = b.conv(6)
    b.pool("avg", adaptive=True, ksize=[1, 1])
    product = b.joined("elementwise_mul", picture, b.last)
    b.joined("elementwise_add", picture, product)
    applied(merge_gate_residuals, b, product, b.last, times=0)


def test_a_bias_in_its_form_stays_as_it_is() -> None:
    b = Builder(4)
    b.conv(6)
    b.bias()
    applied(fold_out_of_convolutions, b, times=0)


def test_dropouts() -> None:
    b = Builder(4)
    b.conv(6)
    b.dropout("upscale_in_train")
    b.plain("relu")
    b.dropout("downgrade_in_infer")
    assert types(applied(drop_dropouts, b, times=2)) == ["conv2d", "relu", "scale"]


def test_copies_and_maps_that_change_nothing() -> None:
    b = Builder(4)
    b.plain("assign")
    b.conv(6)
    b.scale(1.0)
    b.plain("relu")
    program = applied(drop_assigns, b)
    assert drop_identities(program) == 1
    assert types(program) == ["conv2d", "relu"]


def test_an_output_keeps_its_name_when_the_copy_that_made_it_goes() -> None:
    b = Builder(4)
    b.conv(6)
    b.plain("assign")
    assert types(applied(drop_assigns, b)) == ["conv2d"]


def test_a_copy_between_an_input_and_an_output_stays() -> None:
    b = Builder(4)
    b.plain("assign")
    applied(drop_assigns, b, times=0)


def test_a_copy_between_two_outputs_stays() -> None:
    b = Builder(4)
    first = b.conv(6)
    b.plain("assign")
    applied(drop_assigns, b, first, b.last, times=0)


def test_dead_branches_and_their_weights() -> None:
    b = Builder(4)
    b.conv(6)
    b.plain("relu")
    b.last, b.channels = "x", 4
    b.conv(3)
    program = applied(drop_dead, b, times=2)
    assert types(program) == ["conv2d"]
    assert [value.shape for value in program.parameters.values()] == [(3, 4, 1, 1)]
    assert set(program.variables) == {"feed", "fetch", "x", b.last, *program.parameters}


def test_constants_that_are_only_moved_about() -> None:
    b = Builder(4)
    b.conv(6)
    moved = b.variable("moved", (1, 6, 1, 1))
    shadow = b.variable("shadow", (0, 6))
    b.add("reshape2", {"X": b.parameter(6)}, {"Out": moved, "XShape": shadow}, shape=[1, 6, 1, 1])
    b.joined("elementwise_add", b.last, moved)
    program = applied(fold_constants, b)
    assert types(program) == ["conv2d", "elementwise_add"]
    simplify(program)
    assert types(program) == BIASED
    assert len(program.parameters) == 2


def reshaped(*sizes: int | None) -> Builder:
    """A reshape whose sizes are operators: constants, or the batch (``None``)."""
    b = Builder(4)
    shape = b.variable("shape", (4,))
    b.program.variables[shape].type.lod_tensor.tensor.data_type = framework_int
    b.add("shape", {"Input": "x"}, {"Out": shape})
    names = []
    for number, size in enumerate(sizes):
        name = b.variable(f"size{number}", (1,))
        b.program.variables[name].type.lod_tensor.tensor.data_type = framework_int
        if size is None:
            b.add(
                "slice", {"Input": shape}, {"Out": name}, axes=[0], starts=[0], ends=[1],
                decrease_axis=[0], infer_flags=[1],
            )  # fmt: skip
        else:
            b.add(
                "fill_constant", {}, {"Out": name}, shape=[1], dtype=2, value=float(size),
                str_value=str(size), place_type=-1, force_cpu=True,
            )  # fmt: skip
        names.append(name)
    last = b.variable("reshaped", [-1 for _ in sizes])
    shadow = b.variable("shadow", (0, -1, 4, -1, -1))
    op = b.add("reshape2", {"X": "x"}, {"Out": last, "XShape": shadow}, shape=[-1] * len(sizes))
    op.inputs["ShapeTensor"] = names
    b.last = last
    return b


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [((None, 192), [-1, 192]), ((0, 2, -1, 8), [0, 2, -1, 8]), ((8, 48), [8, 48])],
)
def test_sizes_that_are_computed(sizes: tuple[int | None, ...], shape: list[int]) -> None:
    program = applied(fix_reshapes, reshaped(*sizes))
    assert program.of_type("reshape2")[0].get("shape") == shape
    simplify(program)
    assert types(program) == ["reshape2"]


@pytest.mark.parametrize("sizes", [(None, None, 96), (None, -1)])
def test_more_than_one_size_that_is_not_known(sizes: tuple[int | None, ...]) -> None:
    assert fix_reshapes(reshaped(*sizes).done()) == 0


def test_a_transpose_in_front_of_a_product() -> None:
    b = Builder(4)
    out, shadow = b.variable("turned", (-1, 4, -1, -1)), b.variable("shadow", (0,))
    b.add("transpose2", {"X": "x"}, {"Out": out, "XShape": shadow}, axis=[0, 1, 3, 2])
    b.last = b.out()
    b.add("matmul_v2", {"X": "x", "Y": out}, {"Out": b.last}, trans_x=False, trans_y=False)
    program = applied(absorb_transposes, b)
    assert types(program) == ["matmul_v2"]
    assert program.of_type("matmul_v2")[0].get("trans_y") is True


def test_a_filter_that_is_computed_is_left_alone() -> None:
    b = Builder(4)
    moved = b.variable("moved", (6, 4, 1, 1))
    b.add("assign", {"X": b.parameter(6, 4, 1, 1)}, {"Out": moved})
    b.conv(6, filters=moved)
    b.scale(2.0, 1.0)
    b.conv(6, filters=moved)
    program = b.done()
    assert fold_out_of_convolutions(program) == 0
    assert fold_into_convolutions(program) == 0
    assert merge_pointwise(program) == 0


def test_a_quantised_program_is_refused() -> None:
    b = Builder(4)
    b.conv(6)
    b.program.of_type("conv2d")[0].put(quantization_type="qat_with_weight")
    with pytest.raises(ModelError, match="conv2d that makes t1: is quantised already"):
        simplify(b.done())
