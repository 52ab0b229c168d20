"""`lineguard detect` with a network that finds bright spots."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_lab import files, halve, lineguard, refused, save
from numpy.typing import NDArray

from models.ppyoloe.config import sidecar

SpotsMaker = Callable[..., Path]

MODEL = ("--model", "spots.onnx")


def board(*spots: tuple[int, int], width: int = 256, height: int = 192) -> NDArray[np.uint8]:
    """Dark, with green spots of 8x8 pixels."""
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in spots:
        image[y : y + 8, x : x + 8, 1] = 240
    return image


def test_defects_are_told_in_pixels_of_the_image(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path, size=(128, 128), overlap=64)
    save(tmp_path / "board.png", board((32, 40), (192, 96)))
    done = lineguard("detect", "board.png", *MODEL, "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    (result,) = done.json
    assert {key: result[key] for key in ("image", "width", "height", "drawn")} == {
        "image": "board.png",
        "width": 256,
        "height": 192,
        "drawn": "lineguard-out/board.detect.png",
    }
    assert set(result["ms"]) == {"pre", "infer", "post"}
    assert sorted(defect["box"] for defect in result["defects"]) == [
        [28.0, 36.0, 44.0, 52.0],
        [188.0, 92.0, 204.0, 108.0],
    ]
    assert {(d["label"], d["score"]) for d in result["defects"]} == {("green", 0.9412)}
    drawn = cv2.imread(str(tmp_path / result["drawn"]))
    assert drawn is not None
    assert drawn.shape == (192, 256, 3)
    assert drawn.any(axis=2).sum() > board((32, 40), (192, 96)).any(axis=2).sum()


def test_text_output_is_a_table(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path, labels=("red", "[b]green", "blue"))
    save(tmp_path / "board.png", board((32, 40), width=128, height=96))
    save(tmp_path / "sound.png", board())
    done = lineguard("detect", "board.png", "sound.png", *MODEL, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    told = [" ".join(line.split()) for line in done.out.splitlines()]
    assert told[0].startswith("board.png: 128x96, 1 defect, ")
    assert told[1] == "class score box size"
    assert told[2] == "1 [b]green 0.941 28.0 36.0 44.0 52.0 16.0 x 16.0"
    assert told[3] == "drawn: lineguard-out/board.detect.png"
    assert told[4].startswith("sound.png: 256x192, 0 defects, ")
    assert len(told) == 6


def test_the_threshold_may_be_given(tmp_path: Path, spots: SpotsMaker) -> None:
    spots(tmp_path)
    save(tmp_path / "board.png", board((32, 40), width=128, height=96))
    counts = []
    for threshold in ("0.95", "0.9"):
        done = lineguard(
            "detect", "board.png", *MODEL, "--json", "--threshold", threshold, cwd=tmp_path
        )
        counts.append(len(done.json[0]["defects"]))
    assert counts == [0, 1]


def test_one_bad_image_does_not_keep_the_others_from_being_looked_at(
    tmp_path: Path, spots: SpotsMaker
) -> None:
    spots(tmp_path)
    save(tmp_path / "one/a.png", board((32, 40)))
    save(tmp_path / "two/a.png", board())
    halve(tmp_path / "one/a.png", tmp_path / "one/cut.png")
    done = lineguard("detect", "one", "two", *MODEL, "--out", "drawn", "--json", cwd=tmp_path)
    assert done.code == 2
    assert [error.split(":")[0] for error in done.errors] == ["one/cut.png"]
    assert [Path(each["drawn"]).name for each in done.json] == ["a.detect.png", "a-2.detect.png"]
    assert set(files(tmp_path / "drawn")) == {"a.detect.png", "a-2.detect.png"}


def test_a_model_without_its_configuration_is_refused(tmp_path: Path, spots: SpotsMaker) -> None:
    path = spots(tmp_path)
    save(tmp_path / "board.png", board())
    sidecar(path).unlink()
    (error,) = refused("detect", "board.png", *MODEL, cwd=tmp_path)
    assert error.startswith("spots.json: cannot be read ")


def test_all_faults_of_a_configuration_are_told(tmp_path: Path, spots: SpotsMaker) -> None:
    path = spots(tmp_path)
    save(tmp_path / "board.png", board())
    text = sidecar(path).read_text().replace('"threshold"', '"treshold"').replace("128", "130")
    sidecar(path).write_text(text)
    errors = refused("detect", "board.png", *MODEL, cwd=tmp_path)
    assert [error.split(" ")[1] for error in errors] == ["size.0", "treshold:"]


@pytest.mark.parametrize("name", ["nowhere.onnx", "zoo:pcb-defects-z"])
def test_a_model_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    save(tmp_path / "board.png", board())
    (error,) = refused("detect", "board.png", "--model", name, cwd=tmp_path)
    assert error.startswith(f"{name.removeprefix('zoo:')}: no such model")


def test_a_model_cut_in_half_is_refused(tmp_path: Path, spots: SpotsMaker) -> None:
    path = spots(tmp_path)
    save(tmp_path / "board.png", board())
    halve(path, path)
    (error,) = refused("detect", "board.png", *MODEL, cwd=tmp_path)
    assert error.startswith("spots.onnx: ONNX Runtime refuses it")


def test_a_folder_that_cannot_be_written_is_a_failed_disk(
    tmp_path: Path, spots: SpotsMaker
) -> None:
    spots(tmp_path)
    save(tmp_path / "board.png", board())
    (error,) = refused("detect", "board.png", *MODEL, "--out", "/proc/drawn", cwd=tmp_path, code=3)
    assert error.startswith("/proc/drawn/board.detect.png: cannot be written ")
