"""Zeros beside channels, and upsampling by copying, change no code of a quantised model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from compress_lab import Builder, model, pictures, run
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_lab import Net, answers, executed, noise

import compress.quantise.onnx as quantise_module
from compress.compare import largest_difference
from compress.export import export_onnx
from compress.pdmodel import load_program
from compress.program import Program
from compress.prune.widen import LEAST, MULTIPLE, widen
from compress.quantise.onnx import quantise_onnx
from compress.simplify import simplify


def both(net: Net, folder: Path, monkeypatch: pytest.MonkeyPatch, without: str) -> list[Path]:
    """The quantised model as it is, and without one of the two changes."""
    path = net.save(folder / "fp32.onnx")
    made = []
    for name in ("with", "without"):
        with monkeypatch.context() as patched:
            if name == "without":
                patched.setattr(quantise_module, without, lambda model: 0)
            quantise_onnx(path, folder / f"{name}.onnx", noise(), method="minmax")
        made.append(folder / f"{name}.onnx")
    return made


def shapes(path: Path) -> list[list[int]]:
    return [
        list(each.dims) for each in onnx.load(str(path)).graph.initializer if len(each.dims) == 4
    ]


def test_pictures_and_classes_get_zeros_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    net.conv(16, 3, 3)
    net.add("Relu", net.last)
    net.conv(6, 16, 3)
    changed, plain = both(net, tmp_path, monkeypatch, "suit")
    assert sorted(shapes(plain)) == [[6, 16, 3, 3], [16, 3, 3, 3]]
    assert sorted(shapes(changed)) == [[16, 4, 3, 3], [16, 16, 3, 3]]
    assert (answers(changed, noise(3)) == answers(plain, noise(3))).all()
    ran = executed(changed, noise()[0])
    assert ran["QLinearConv"] == 2
    assert ran["Slice"] == ran["Pad"] == 1


def test_what_has_no_use_for_zeros_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    net.conv(6, 3, 1)
    net.add("Add", net.last, net.conv(6, 6, 3, group=6))
    net.add("Concat", "x", net.last, axis=1)  # the picture is another's, too
    net.conv(20, 9, 3)
    changed, plain = both(net, tmp_path, monkeypatch, "suit")
    # The first convolution alone takes the picture's codes, or there is nothing to put zeros to.
    assert shapes(changed)[1:] == shapes(plain)[1:] or shapes(changed) == shapes(plain)
    assert (answers(changed, noise(3)) == answers(plain, noise(3))).all()


@pytest.mark.parametrize("side", [2, 3, 8])
def test_upsampling_copies(side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    net.conv(5, 3, 3)
    scales = net.weight(np.array([1, 1, side, side], np.float32), "r")
    net.add(
        "Resize", net.last, "", scales, mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip
    net.conv(4, 5, 3)
    changed, plain = both(net, tmp_path, monkeypatch, "repeat")
    assert executed(plain, noise()[0])["Resize"] == 1
    ran = executed(changed, noise()[0])
    assert ran["Resize"] == 0
    assert (answers(changed, noise(3)) == answers(plain, noise(3))).all()


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "linear"},
        {"coordinate_transformation_mode": "half_pixel"},
        {"nearest_mode": "ceil"},
    ],
)
def test_other_upsampling_stays(
    given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Net()
    net.conv(5, 3, 3)
    plain = {
        "mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor",
    }  # fmt: skip
    scales = net.weight(np.array([1, 1, 2, 2], np.float32), "r")
    net.add("Resize", net.last, "", scales, **{**plain, **given})
    net.conv(4, 5, 3)
    changed, _ = both(net, tmp_path, monkeypatch, "repeat")
    assert executed(changed, noise()[0])["Resize"] == 1


def branches(widths: tuple[int, int], *, depthwise: bool) -> Program:
    """Two branches of these widths, one with a residual, that are concatenated."""
    made = Builder(3)
    made.conv(widths[0], 3, padding=1)
    first = made.plain("relu")
    made.conv(widths[0], 3, padding=1, depthwise=depthwise)
    second = made.joined("elementwise_add", first, made.plain("hard_swish"))
    made.last, made.channels = first, widths[0]
    made.concat(second, made.conv(widths[1]))
    made.conv(sum(widths), 3, padding=1)
    made.conv(8)
    return made.done()


@settings(max_examples=15, deadline=None)
@given(widths=st.tuples(st.integers(1, 40), st.integers(1, 40)), depthwise=st.booleans())
def test_wider_networks_answer_the_same(widths: tuple[int, int], depthwise: bool) -> None:
    program = branches(widths, depthwise=depthwise)
    feeds = noise(1)[0]
    before = run(program, feeds)
    more = widen(program)
    after = run(program, feeds)
    assert np.abs(before[0] - after[0]).max() < 1e-4 * np.abs(before[0]).max()
    assert (more == 0) == all(n >= LEAST and n % MULTIPLE == 0 for n in (*widths, sum(widths)))
    for op in program.of_type("conv2d")[:-1]:
        made, taken = program.parameters[op.input("Filter")].shape[:2]
        assert made >= LEAST
        assert made % MULTIPLE == 0
        assert taken == 3 or taken % MULTIPLE == 0
    assert widen(program) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), [("det", 48), ("rec", 0), ("xs", 14)])
def test_stock_models_widen(name: str, more: int, tmp_path: Path) -> None:
    program = load_program(model(name))
    simplify(program)
    export_onnx(program, tmp_path / "before.onnx")
    assert widen(program) == more
    export_onnx(program, tmp_path / "after.onnx")
    feeds = [{program.feeds[0]: picture} for picture in pictures(name)]
    far = largest_difference(tmp_path / "before.onnx", tmp_path / "after.onnx", feeds)
    assert far < 1e-4
