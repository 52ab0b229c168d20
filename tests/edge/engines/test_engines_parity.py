"""The three engines give the same answers on the same photos, whatever the size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from engine_lab import DATA, convert, lab, model, onnx, tiny
from numpy.typing import NDArray

from edge.engines import Engine, open_engine
from models.errors import EngineError

TOLERANCE = 1e-3
SUFFIXES = (".onnx", ".nb", ".pdmodel")

Image = NDArray[np.uint8]
Input = NDArray[np.float32]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(lab() / "cache"))


def photos(kind: str) -> list[Image]:
    paths = sorted((DATA / kind).glob("*.jpg"))
    assert len(paths) >= 4
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def to_input(image: Image, height: int, width: int, mean: list[float], std: list[float]) -> Input:
    pixels = cv2.resize(image, (width, height)).astype(np.float32) / 255
    pixels = (pixels - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


def det_input(image: Image, height: int, width: int) -> Input:
    return to_input(image, height, width, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def text_input(image: Image, height: int, width: int) -> Input:
    return to_input(image, height, width, [0.5] * 3, [0.5] * 3)


Prepare = Callable[[Image, int, int], Input]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "kind", "prepare", "sizes"),
    [
        ("det", "det", det_input, [(96, 320), (160, 224)]),
        ("rec", "rec", text_input, [(48, 160), (48, 321)]),
        ("cls", "rec", text_input, [(48, 192)]),
    ],
)
def test_three_engines_agree(
    part: str, kind: str, prepare: Prepare, sizes: list[tuple[int, int]]
) -> None:
    sample = {"x": (1, 3, *sizes[0])}
    engines = [open_engine(model(part, s), threads=2, sample=sample) for s in SUFFIXES]
    assert [engine.name for engine in engines] == ["onnxruntime", "paddle_lite", "paddle_inference"]
    assert {engine.precision for engine in engines} == {"fp32"}

    seen: list[Input] = []
    for image in photos(kind):
        for height, width in sizes:
            feeds = {"x": prepare(image, height, width)}
            reference, *others = [only(engine, feeds) for engine in engines]
            assert reference.max() > 0.1  # an answer about the photo, not a blank one
            for other in others:
                assert other.shape == reference.shape
                assert np.abs(other - reference).max() <= TOLERANCE
            seen.append(reference)
    assert len({answer.tobytes() for answer in seen}) == len(seen)  # each photo has its own


def only(engine: Engine, feeds: dict[str, Input]) -> Input:
    (answer,) = engine.run(feeds).values()
    assert answer.dtype == np.float32
    return answer


@pytest.mark.slow
def test_static_shapes_in_paddle_and_lite() -> None:
    float_model, _ = tiny()
    image = text_input(photos("rec")[0], 16, 16)
    answers = []
    for path in (float_model, convert(float_model, "x86")):
        engine = open_engine(path, threads=1, sample={"x": (1, 3, 16, 16)})
        assert engine.inputs[0].shape == (1, 3, 16, 16)
        with pytest.raises(EngineError, match=r"expected float32 \(1, 3, 16, 16\)"):
            engine.run({"x": np.zeros((1, 3, 16, 17), np.float32)})
        answers.append(only(engine, {"x": image}))
    assert np.abs(answers[0] - answers[1]).max() <= TOLERANCE


def test_static_shapes_in_onnxruntime(tmp_path: Path) -> None:
    fixed = tmp_path / "fixed.onnx"
    options = onnxruntime.SessionOptions()
    for name, size in (("p2o.DynamicDimension.0", 1), ("?", 48), ("p2o.DynamicDimension.1", 160)):
        options.add_free_dimension_override_by_name(name, size)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(fixed)
    onnxruntime.InferenceSession(str(onnx("rec")), options, providers=["CPUExecutionProvider"])

    static = open_engine(fixed, threads=1, trial=False)
    dynamic = open_engine(onnx("rec"), threads=1, trial=False)
    assert static.inputs[0].shape == (1, 3, 48, 160)
    assert dynamic.inputs[0].shape == (None, 3, None, None)
    feeds = {"x": text_input(photos("rec")[0], 48, 160)}
    assert np.abs(only(static, feeds) - only(dynamic, feeds)).max() <= TOLERANCE
    with pytest.raises(EngineError, match="expected float32"):
        static.run({"x": np.zeros((1, 3, 48, 168), np.float32)})


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_answers_are_the_callers(suffix: str) -> None:
    engine = open_engine(model("cls", suffix), threads=1, sample={"x": (1, 3, 48, 192)})
    first = only(engine, {"x": text_input(photos("rec")[0], 48, 192)})
    before = first.copy()
    only(engine, {"x": text_input(photos("rec")[2], 48, 192)})
    assert np.array_equal(first, before)
    first[:] = 7  # writeable, and no other's
    engine.close()
    assert (first == 7).all()
    with pytest.raises(EngineError, match="closed"):
        engine.run({"x": np.zeros((1, 3, 48, 192), np.float32)})
    engine.close()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_input_need_not_be_contiguous(suffix: str) -> None:
    engine = open_engine(model("cls", suffix), threads=1, sample={"x": (1, 3, 48, 192)})
    whole = text_input(photos("rec")[0], 48, 192)
    turned = np.asfortranarray(whole)
    assert not turned.flags.c_contiguous
    assert np.array_equal(only(engine, {"x": whole}), only(engine, {"x": turned}))
