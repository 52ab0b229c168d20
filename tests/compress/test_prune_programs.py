"""Channels that go together, found in programs: what is left, what it costs, what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from compress_lab import CLOSE, Builder, lab, model, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_simplify_random import NETWORKS, network

from compress.export import export_onnx
from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.prune.cost import cost_of, flops
from compress.prune.groups import Layout, layout_of
from compress.prune.programs import narrow, prune_program, width_of
from compress.prune.sensitivity import choose_ratios, sensitivity
from compress.simplify import simplify
from edge.engines import open_engine
from models.errors import EngineError, ModelError

X = (1, 8, 12, 12)


def chain() -> Program:
    """16 channels, depthwise, an attention over them, 24 channels, 8 out."""
    b = Builder(8)
    b.conv(16, 3, padding=1)
    b.bias()
    b.plain("hard_swish", threshold=6.0, scale=6.0, offset=3.0)
    b.conv(16, 3, padding=1, depthwise=True)
    wide = b.last
    b.pool("avg", adaptive=True, ksize=[1, 1])
    b.conv(32)
    b.plain("relu")
    b.conv(16)
    b.plain("hard_sigmoid", slope=0.2, offset=0.5)
    b.joined("elementwise_mul", wide, b.last)
    b.conv(24)
    b.conv(8)
    return b.done()


def groups(program: Program) -> list[tuple[int, int]]:
    """Channels of each group, and how many filters make each channel."""
    return [(g.size, len(g.units[0])) for g in layout_of(program).groups]


def halved(program: Program) -> tuple[Program, Layout]:
    layout = layout_of(program)
    narrow(program, layout, {group.name: 0.5 for group in layout.groups})
    return program, layout


def masked(program: Program, layout: Layout, left: Program) -> None:
    """Have nobody see the channels that ``left`` has not: an independent way to be without them."""
    numbers = _gone(layout, program, left)
    for op in program.of_type("conv2d", "conv2d_transpose"):
        name, axis = op.input("Filter"), 1 if op.type == "conv2d" else 0
        wire = layout.axes.get((name, axis))
        if wire is None or int(op.get("groups", 1)) > 1:
            continue
        gone = np.isin(wire, numbers)
        weights = np.moveaxis(program.parameters[name].copy(), axis, 0)
        weights[gone] = 0
        program.parameters[name] = np.ascontiguousarray(np.moveaxis(weights, 0, axis))


def _gone(layout: Layout, whole: Program, left: Program) -> list[int]:
    gone = []
    for group in layout.groups:
        name, axis, _ = group.units[0][0]
        stayed = left.parameters[name].shape[axis]
        norms = sum(
            np.abs(np.moveaxis(whole.parameters[n], a, 0)).reshape(len(group.units), -1).sum(1)
            for n, a in dict.fromkeys((n, a) for unit in group.units for n, a, _ in unit)
        )
        order = np.argsort(norms, kind="stable")
        gone += [group.channels[i] for i in order[: group.size - stayed]]
    return gone


def test_which_go_together() -> None:
    # The attention's second convolution makes the same channels as the first of all.
    assert groups(chain()) == [(16, 2), (32, 1), (24, 1)]


def test_what_is_put_out_stays() -> None:
    b = Builder(8)
    b.conv(16)
    early = b.last
    b.conv(16)
    b.joined("elementwise_add", early, b.last)
    b.conv(24)
    assert groups(b.done(early, b.last)) == []


def test_what_an_unknown_operator_sees_stays() -> None:
    b = Builder(8)
    b.conv(16)
    b.plain("softmax", axis=1)
    b.conv(24)
    b.conv(8)
    assert groups(b.done()) == [(24, 1)]


def test_parts_of_a_concatenation_go_alone() -> None:
    b = Builder(8)
    b.conv(16)
    first = b.last
    b.conv(24)
    second = b.last
    out = b.out(40)
    op = b.add("concat", {"X": first}, {"Out": out}, axis=1)
    b.program.rewire(op, "X", [first, second])
    b.last = out
    b.conv(8)
    program = b.done()
    assert groups(program) == [(16, 1), (24, 1)]
    layout = layout_of(program)
    narrow(program, layout, {layout.groups[1].name: 0.7})
    assert program.shape(out) == (-1, 24, -1, -1)
    assert program.parameters[program.of_type("conv2d")[2].input("Filter")].shape[1] == 24


def test_scalars_are_let_through_and_shared_filters_stay() -> None:
    b = Builder(8)
    b.conv(16)
    b.one("elementwise_mul")
    b.conv(16)
    assert groups(b.done()) == [(16, 1)]
    b = Builder(16)
    shared = b.parameter(16, 16, 1, 1)
    b.conv(16, filters=shared)
    b.conv(16, filters=shared)
    b.conv(8)
    assert groups(b.done()) == []


def test_less_but_as_if_nobody_had_looked() -> None:
    whole = chain()
    left, layout = halved(chain())
    masked(whole, layout, left)
    x = {"x": np.random.default_rng(1).standard_normal(X).astype(np.float32)}
    np.testing.assert_allclose(run(left, x)[0], run(whole, x)[0], rtol=CLOSE, atol=CLOSE)
    assert [p.shape[0] for p in _filters(left)] == [8, 8, 16, 8, 16, 8]
    assert left.of_type("depthwise_conv2d")[0].get("groups") == 8


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(layers=NETWORKS, seed=st.integers(0, 999))
def test_any_network(layers: list[str], seed: int) -> None:
    with patch("compress.prune.programs.MULTIPLE", 1):
        whole = network(layers, seed, fetch_early=False)
        left, layout = halved(network(layers, seed, fetch_early=False))
        masked(whole, layout, left)
        x = {"x": np.random.default_rng(seed).standard_normal((2, 4, 9, 9)).astype(np.float32)}
        for found, expected in zip(run(left, x), run(whole, x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def _filters(program: Program) -> list[Any]:
    return [
        program.parameters[op.input("Filter")]
        for op in program.of_type("conv2d", "depthwise_conv2d")
    ]


def test_flops_by_hand() -> None:
    # Places are 12x12; the attention has one.
    convolutions = 144 * (16 * 8 * 9 + 16 * 9 + 24 * 16 + 8 * 24) + 16 * 32 + 32 * 16
    assert flops(chain(), {"x": X}) == convolutions
    b = Builder(8)
    b.transposed(4)
    assert flops(b.done(), {"x": X}) == 144 * 8 * 4 * 4


def test_flops_of_shapes_that_cannot_be() -> None:
    with pytest.raises(EngineError, match=r"Paddle cannot run the program on x \[1, 7, 12, 12\]"):
        flops(chain(), {"x": (1, 7, 12, 12)})


def test_widths() -> None:
    group = layout_of(chain()).groups[2]
    assert [width_of(group, r) for r in (0, 0.1, 0.3, 0.5, 0.99)] == [24, 24, 16, 16, 8]


def test_files(tmp_path: Path) -> None:
    save_program(chain(), tmp_path / "a.pdmodel")
    name = layout_of(chain()).groups[0].name
    done = prune_program(tmp_path / "a.pdmodel", tmp_path / "b.pdmodel", {name: 0.5}, {"x": X})
    assert done.widths[name] == (16, 8)
    left = load_program(tmp_path / "b.pdmodel")
    assert done.flops_before == flops(chain(), {"x": X})
    assert done.flops_after == flops(left, {"x": X})
    assert done.parameters_after == sum(v.size for v in left.parameters.values())
    with pytest.raises(ModelError, match="no channels go by nothing: name groups"):
        prune_program(tmp_path / "a.pdmodel", tmp_path / "c.pdmodel", {"nothing": 0.5}, {"x": X})
    assert not (tmp_path / "c.pdmodel").exists()


def test_sensitivity_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    save_program(chain(), tmp_path / "a.pdmodel")
    shown: list[tuple[int, int]] = []
    asked: list[int] = []

    def evaluate(path: Path) -> float:
        asked.append(sum(v.size for v in load_program(path).parameters.values()))
        return len(asked) / 10

    def killed() -> None:
        if len(asked) == 2:
            raise KeyboardInterrupt

    store = tmp_path / "store.json"
    with pytest.raises(KeyboardInterrupt):
        sensitivity(tmp_path / "a.pdmodel", evaluate, (0.25, 0.5), store=store, stop=killed)
    assert len(json.loads(store.read_bytes())) == 2
    skip = [layout_of(chain()).groups[2].name]
    found = sensitivity(
        tmp_path / "a.pdmodel", evaluate, (0.25, 0.5), store=store, skip=skip,
        progress=lambda done, whole: shown.append((done, whole)),
    )  # fmt: skip
    # 16 by a quarter is 12, which is rounded to 16; 32 has both.
    first, second = (g.name for g in layout_of(chain()).groups[:2])
    assert {name: sorted(each) for name, each in found.items()} == {
        first: [0.5],
        second: [0.25, 0.5],
    }
    assert len(asked) == 4
    assert shown == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found[first][0.5] == pytest.approx((0.1 - 0.2) / 0.1)
    assert len(set(asked)) == 4


def test_ratios_for_a_share_of_the_flops() -> None:
    program = load_program(model("rec"))
    simplify(program)
    cost = cost_of(program, {"x": (1, 3, 48, 96)})
    whole = cost.flops(program.parameters)
    layout = layout_of(program)
    minds = {g.name: {0.25: 0.01 * i, 0.5: 0.03 * i} for i, g in enumerate(layout.groups, 1)}
    ratios = choose_ratios(program, minds, cost, 0.7)
    assert set(ratios) == set(minds)
    # Whoever minds less loses no less.
    assert list(ratios.values()) == sorted(ratios.values(), reverse=True)
    narrow(program, layout, ratios)
    assert 0.6 < flops(program, {"x": (1, 3, 48, 96)}) / whole <= 0.7


def test_ratios_out_of_reach_are_the_largest_measured() -> None:
    program = chain()
    minds = {g.name: {0.5: 0.1} for g in layout_of(program).groups}
    ratios = choose_ratios(program, minds, cost_of(program, {"x": X}), 0.01)
    assert set(ratios.values()) == {0.5}


def redundant() -> Program:
    """16 channels of which 8 say all, strided and padded; half of them is enough."""
    b = Builder(8)
    b.conv(16, 3, padding=1)
    b.bias()
    b.conv(8, 3, padding=1)
    b.bias()
    b.conv(4)
    program = b.done()
    first, second = program.of_type("conv2d")[:2]
    name, bias = first.input("Filter"), program.of_type("elementwise_add")[0].input("Y")
    mix = np.random.default_rng(2).standard_normal((8, 8)).astype(np.float32) * 0.1
    weights, shift = program.parameters[name], program.parameters[bias]
    weights[8:] = np.tensordot(mix, weights[:8], 1)
    shift[8:] = mix @ shift[:8]
    second.put(strides=[2, 1])
    return program


def test_what_is_left_does_the_work_of_what_went() -> None:
    rng = np.random.default_rng(3)

    def inputs(count: int) -> list[dict[str, Any]]:
        return [{"x": rng.standard_normal((2, *X[1:])).astype(np.float32)} for _ in range(count)]

    whole, bare, fitted = redundant(), redundant(), redundant()
    layout = layout_of(whole)
    ratios = {layout.groups[0].name: 0.5}
    narrow(bare, layout, ratios)
    narrow(fitted, layout, ratios, inputs(12))
    (new,) = inputs(1)
    right = run(whole, new)[0][:, :, :, 1:-1]
    far = [np.abs(run(p, new)[0][:, :, :, 1:-1] - right).mean() for p in (bare, fitted)]
    assert far[1] < 0.05 * far[0]
    assert fitted.parameters.keys() == bare.parameters.keys()
    shapes = {name: value.shape for name, value in fitted.parameters.items()}
    assert shapes == {name: value.shape for name, value in bare.parameters.items()}


def test_a_fit_that_does_not_hold_is_left_out() -> None:
    # The pictures are one, and grey: nothing can be told from them.
    bare, fitted = chain(), chain()
    layout = layout_of(bare)
    ratios = {group.name: 0.5 for group in layout.groups}
    narrow(bare, layout, ratios)
    narrow(fitted, layout, ratios, [{"x": np.zeros(X, np.float32)}])
    x = {"x": np.zeros(X, np.float32)}
    assert np.isfinite(run(fitted, x)[0]).all()
    right = run(chain(), x)[0]
    assert np.abs(run(fitted, x)[0] - right).mean() <= np.abs(run(bare, x)[0] - right).mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "makers", "size"),
    [("det", 35, 48, (160, 160)), ("rec", 20, 22, (48, 160)), ("cls", 24, 40, (48, 192))],
)
def test_the_zoo(name: str, count: int, makers: int, size: tuple[int, int]) -> None:
    program = load_program(model(name))
    simplify(program)
    shape = (1, 3, *size)
    whole = flops(program, {"x": shape})
    _, layout = halved(program)
    made = {n for group in layout.groups for unit in group.units for n, _, _ in unit}
    assert (len(layout.groups), len(made)) == (count, makers)
    assert flops(program, {"x": shape}) < 0.45 * whole
    path = lab() / f"{name}.half.onnx"
    export_onnx(program, path)
    x = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    engine = open_engine(path, threads=1)
    (found,) = engine.run(x).values()
    engine.close()
    np.testing.assert_allclose(found, run(program, x)[0], atol=1e-3)
