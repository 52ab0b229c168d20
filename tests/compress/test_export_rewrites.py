"""What ONNX Runtime computes faster gives the same answers, and what does not fit stays."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from compress_lab import model, pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_lab import Net, answers, noise

from compress.export import export_onnx
from compress.export.expectation import expectation
from compress.export.subpixel import subpixel
from compress.pdmodel import load_program
from compress.simplify import simplify


def kinds(made: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in made.graph.node)


def rewritten(net: Net, folder: Path, rewrite: Any) -> tuple[int, Counter[str], float]:
    """Turned so often, into which operators, and the largest difference that it makes."""
    path, out = net.save(folder / "before.onnx"), folder / "after.onnx"
    made = onnx.load(str(path))
    turned = rewrite(made)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, str(out))
    before, after = (answers(each, noise(2)) for each in (path, out))
    assert before.std() > 1e-3
    return turned, kinds(made), float(np.abs(before - after).max())


def transposed(net: Net, made: int, taken: int, side: int, **given: Any) -> str:
    weights = net.weight(net.rng.standard_normal((taken, made, side, side)) / 3)
    return net.add("ConvTranspose", net.last, weights, strides=[side, side], **given)


@settings(max_examples=12, deadline=None)
@given(
    sides=st.lists(st.sampled_from([2, 3]), min_size=1, max_size=3),
    widths=st.lists(st.integers(1, 5), min_size=3, max_size=3),
    after=st.lists(st.sampled_from(["bias", "Relu", "Sigmoid", "none"]), min_size=3, max_size=3),
)
def test_transposed_convolutions_become_plain_ones(
    sides: list[int], widths: list[int], after: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    net, taken = Net(), 3
    net.conv(3, 3, 3)
    for side, width, what in zip(sides, widths, after, strict=False):
        transposed(net, width, taken, side)
        if what == "bias":
            net.add("Add", net.last, net.weight(net.rng.standard_normal((1, width, 1, 1)), "b"))
        elif what != "none":
            net.add(what, net.last)
        taken = width
    turned, found, far = rewritten(net, tmp_path_factory.mktemp("net"), subpixel)
    assert turned == len(sides)
    assert "ConvTranspose" not in found
    assert "Add" not in found  # a convolution has a bias
    assert far < 1e-4


def test_the_next_one_is_computed_before_the_pixels_are_laid_out(tmp_path: Path) -> None:
    net = Net()
    net.conv(6, 3, 3)
    transposed(net, 6, 6, 2)
    net.add("Relu", net.last)
    transposed(net, 1, 6, 2)
    net.add("Sigmoid", net.last)
    turned, found, far = rewritten(net, tmp_path, subpixel)
    assert turned == 2
    assert found == {"Conv": 3, "Relu": 1, "Sigmoid": 1, "DepthToSpace": 1}
    assert far < 1e-6


def test_a_tensor_that_two_take_is_laid_out_once(tmp_path: Path) -> None:
    net = Net()
    kept = transposed(net, 4, 3, 2)
    net.add("Relu", kept)
    net.add("Concat", kept, net.last, kept, axis=1)
    turned, found, far = rewritten(net, tmp_path, subpixel)
    assert turned == 1
    assert found["DepthToSpace"] == 2
    assert far < 1e-6


@pytest.mark.parametrize(
    "given", [{"pads": [1, 1, 1, 1]}, {"output_padding": [1, 1]}, {"group": 3}, {"strides": [1, 1]}]
)
def test_other_transposed_convolutions_stay(given: dict[str, Any], tmp_path: Path) -> None:
    net = Net()
    weights = net.weight(net.rng.standard_normal((3, 1, 2, 2)))
    net.add("ConvTranspose", "x", weights, **{"strides": [2, 2], **given})
    turned, found, far = rewritten(net, tmp_path, subpixel)
    assert (turned, found, far) == (0, {"ConvTranspose": 1}, 0.0)


def test_a_mean_needs_no_softmax(tmp_path: Path) -> None:
    net = Net()
    net.conv(17, 3, 3)
    net.add("Mul", net.last, net.weight(3.0, "s"))  # logits of some tens
    net.add("Softmax", net.last, axis=1)
    net.add("Conv", net.last, net.weight(np.arange(17).reshape(1, 17, 1, 1)))
    turned, found, far = rewritten(net, tmp_path, expectation)
    assert turned == 1
    assert "Softmax" not in found
    assert far < 1e-4


@pytest.mark.parametrize("outputs", [1, 2])
def test_other_softmaxes_stay(outputs: int, tmp_path: Path) -> None:
    net = Net()
    net.conv(5, 3)
    probable = net.add("Softmax", net.last, axis=1 if outputs == 2 else 3)
    net.add("Conv", probable, net.weight(np.arange(5 * outputs).reshape(outputs, 5, 1, 1)))
    turned, found, far = rewritten(net, tmp_path, expectation)
    assert (turned, found["Softmax"], far) == (0, 1, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "gone"), [("det", "ConvTranspose"), ("xs", "Softmax")])
def test_stock_models_lose_what_is_slow(name: str, gone: str, tmp_path: Path) -> None:
    program = load_program(model(name))
    simplify(program)
    for rewrite in (False, True):
        export_onnx(program, tmp_path / f"{rewrite}.onnx", rewrite=rewrite)
    assert gone in kinds(onnx.load(str(tmp_path / "False.onnx")))
    assert gone not in kinds(onnx.load(str(tmp_path / "True.onnx")))
    feeds = [{program.feeds[0]: picture} for picture in pictures(name)]
    before, after = (answers(tmp_path / f"{rewrite}.onnx", feeds) for rewrite in (False, True))
    assert before.std() > 1e-3
    assert np.abs(before - after).max() < 1e-4
