"""What a native library would die of is an EngineError here, and this process lives."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from engine_lab import convert, cut, lab, model, nb, onnx, paddle, tiny
from numpy.typing import NDArray

from edge.engines import Engine, open_engine
from edge.engines.base import TensorSpec
from models.errors import EngineError

CLS = {"x": (1, 3, 48, 192)}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(lab() / "cache"))


def refusal(path: Path, sample: dict[str, tuple[int, ...]] | None = None) -> str:
    with pytest.raises(EngineError) as caught:
        open_engine(path, threads=1, sample=sample or CLS)
    message = str(caught.value)
    assert message.startswith(str(path.with_suffix("")))  # the model, or the file beside it
    assert "\n" not in message
    return message


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".nb", ".pdmodel"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_model_that_is_cut_off(suffix: str, share: float, tmp_path: Path) -> None:
    refusal(cut(model("cls", suffix), tmp_path, share))


@pytest.mark.slow
def test_weights_that_are_cut_off(tmp_path: Path) -> None:
    half = cut(paddle("cls"), tmp_path, 1.0)
    weights = half.with_suffix(".pdiparams")
    weights.write_bytes(weights.read_bytes()[:1000])
    refusal(half)


@pytest.mark.slow
def test_lite_really_aborts_on_it(tmp_path: Path) -> None:
    assert "SIGABRT" in refusal(cut(nb("cls"), tmp_path, 0.5))


@pytest.mark.parametrize("suffix", [".onnx", ".nb", ".pdmodel"])
def test_an_empty_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.touch()
    path.with_suffix(".pdiparams").touch()
    assert "is empty" in refusal(path)


def test_no_such_file_or_suffix(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "model.onnx")
    assert "give .onnx, .nb, .pdmodel" in refusal(tmp_path / "model.tflite")
    (tmp_path / "folder.nb").mkdir()
    os.mkfifo(tmp_path / "pipe.nb")  # reading it would wait for a writer without end
    (tmp_path / "file").touch()
    assert "no plain file" in refusal(tmp_path / "folder.nb")
    assert "no plain file" in refusal(tmp_path / "pipe.nb")
    assert "Not a directory" in refusal(tmp_path / "file" / "model.nb")


def test_weights_that_are_missing(tmp_path: Path) -> None:
    lone = tmp_path / "model.pdmodel"
    lone.write_bytes(paddle("cls").read_bytes())
    assert "model.pdiparams: cannot be opened" in refusal(lone)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["det", "cls"])
def test_a_model_for_another_processor(part: str) -> None:
    # Lite crashes on the classifier, and gives unwritten memory as the answer of the detector.
    assert "made for ARM" in refusal(nb(part, "arm"))


@pytest.mark.slow
def test_a_model_of_another_lite(tmp_path: Path) -> None:
    old = cut(nb("cls"), tmp_path, 1.0)
    data = bytearray(old.read_bytes())
    data[2:18] = struct.pack("16s", b"v2.12")
    old.write_bytes(data)
    message = refusal(old)
    assert "v2.12" in message
    assert "v2.13-rc" in message


@pytest.mark.slow
def test_lite_int8_on_x86_is_refused() -> None:
    _, quantised = tiny()
    message = refusal(convert(quantised, "x86"), {"x": (1, 3, 16, 16)})
    assert "wrong results" in message


@pytest.mark.slow
def test_paddle_names_an_int8_model() -> None:
    _, quantised = tiny()
    assert open_engine(quantised, threads=1, sample={"x": (1, 3, 16, 16)}).precision == "int8"


@pytest.mark.slow
def test_a_sample_that_does_not_fit() -> None:
    assert "expected float32 (?, 3, ?, ?)" in refusal(onnx("cls"), {"x": (1, 1, 48, 192)})
    assert "input image" in refusal(onnx("cls"), {"x": (1, 3, 48, 192), "image": (1,)})


@pytest.fixture(scope="module", params=[".onnx", ".nb", ".pdmodel"])
def classifier(request: pytest.FixtureRequest) -> Engine:
    return open_engine(model("cls", request.param), threads=1, trial=False)


FITTING = np.zeros((1, 3, 48, 192), np.float32)


@pytest.mark.parametrize(
    ("feeds", "expected"),
    [
        ({}, r"input x: expected float32 \(\?, 3, \?, \?\), got only nothing"),
        ({"y": FITTING}, "input x: .* got only y"),
        ({"x": FITTING, "y": FITTING}, "input y: there is none of that name, only x"),
        ({"x": FITTING[0]}, r"got float32 \(3, 48, 192\)"),
        ({"x": FITTING[:, :1]}, r"got float32 \(1, 1, 48, 192\)"),
        ({"x": FITTING[..., :0]}, r"got float32 \(1, 3, 48, 0\)"),
        ({"x": FITTING.astype(np.float64)}, "got float64"),
        ({"x": FITTING.astype(np.uint8)}, "got uint8"),
    ],
)
@pytest.mark.slow
def test_feeds_that_do_not_fit(
    classifier: Engine, feeds: dict[str, NDArray[np.float32]], expected: str
) -> None:
    with pytest.raises(EngineError, match=expected):
        classifier.run(feeds)
    assert set(classifier.run({"x": FITTING})) == set(classifier.outputs)


def test_a_failure_inside_the_library_is_told(tmp_path: Path) -> None:
    # The detector adds feature maps of neighbouring scales: only multiples of 32 fit.
    engine = open_engine(onnx("det"), threads=1, trial=False)
    with pytest.raises(EngineError, match="ONNX Runtime failed on it"):
        engine.run({"x": np.zeros((1, 3, 33, 65), np.float32)})


def test_a_spec_reads_like_a_shape() -> None:
    assert str(TensorSpec("x", (None, 3, 48), np.dtype("int64"))) == "int64 (?, 3, 48)"
