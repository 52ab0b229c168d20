"""`lineguard eval detect` with a network whose answers are known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cli_lab import files, lineguard, refused

SpotsMaker = Callable[..., Path]

LABELS = ["red", "green", "blue"]
"""Of the network, whose scores are the colours of 8x8 cells and whose boxes are 16x16."""


class Set:
    """Black pictures with coloured cells, and a COCO file of what is on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        (folder / "images").mkdir(parents=True)

    def part(self, *cells: tuple[str, float, int, int], labelled: tuple[int, ...] = ()) -> None:
        """Cells of a label, a score, a column and a row; those that are labelled as defects."""
        image = np.zeros((64, 64, 3), np.uint8)
        number = len(self.images) + 1
        for index, (label, score, column, row) in enumerate(cells):
            x, y = column * 8, row * 8
            image[y : y + 8, x : x + 8, 2 - LABELS.index(label)] = round(score * 255)
            if index in labelled:
                self.annotations.append(
                    {
                        "id": len(self.annotations) + 1,
                        "image_id": number,
                        "category_id": 3 - LABELS.index(label),
                        "bbox": [x - 4, y - 4, 16, 16],
                    }
                )
        assert cv2.imwrite(str(self.folder / f"images/{number}.png"), image)
        self.images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})

    def write(self) -> None:
        categories = [{"id": 3 - n, "name": name} for n, name in enumerate(LABELS)]
        document = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }
        (self.folder / "test.json").write_text(json.dumps(document))


@pytest.fixture
def folder(tmp_path: Path, spots: SpotsMaker) -> Path:
    """Four defective parts, one of which passes at 0.5, and two sound ones, one rejected."""
    data = Set(tmp_path / "data")
    data.part(("green", 0.9, 1, 1), ("red", 0.8, 5, 5), labelled=(0, 1))
    data.part(("green", 0.7, 2, 3), labelled=(0,))
    data.part(("red", 0.6, 6, 1), labelled=(0,))
    data.part(("green", 0.4, 4, 4), labelled=(0,))
    data.part(("green", 0.55, 4, 4))
    data.part(("red", 0.2, 4, 4))
    data.write()
    spots(tmp_path, threshold=0.5)
    return tmp_path


ARGS = ("eval", "detect", "--data", "data/test.json", "--images", "data/images")


def test_all_figures_in_one_document(folder: Path) -> None:
    done = lineguard(*ARGS, "--model", "spots.onnx", "--escape", "0.25", "--json", cwd=folder)
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert (report["parts"], report["defective"], report["threshold"]) == (6, 4, 0.5)
    assert (report["escape_rate"], report["false_reject_rate"]) == (0.25, 0.5)
    assert report["threshold_at_escape"] == pytest.approx(round(0.6 * 255) / 255, abs=1e-5)
    assert report["defects"] == {
        "green": {"found": 2, "missed": 1, "false_alarms": 1},
        "red": {"found": 2, "missed": 0, "false_alarms": 0},
        "blue": {"found": 0, "missed": 0, "false_alarms": 0},
    }
    # green: 0.9 hit, 0.7 hit, 0.55 false, 0.4 hit; red: all hits before the false one
    greens = (67 + 34 * 0.75) / 101
    assert report["per_class"]["green"]["ap"] == pytest.approx(greens)
    assert report["per_class"]["red"]["ap"] == pytest.approx(1)
    assert report["per_class"]["blue"] == {"ap": None, "ap50": None}
    for key in ("ap", "ap50", "ap75", "ap33"):
        assert report[key] == pytest.approx((1 + greens) / 2)
    assert report["curve"][-1]["escape_rate"] == 1
    for key in ("plot", "mistakes"):
        assert cv2.imread(str(folder / report[key])) is not None


def test_text_says_the_same(folder: Path) -> None:
    done = lineguard(*ARGS, "--model", "spots.onnx", "--threshold", "0.39", cwd=folder)
    assert (done.code, done.err) == (0, "")
    for line in (
        "escape rate: 0.0000 (0 of 4; 95%: 0.0000 to 0.4899)",
        "false-reject rate: 0.5000 (1 of 2; 95%: 0.0945 to 0.9055)",
        "threshold that holds an escape rate of 0.001: 0.3999",  # 102/255 as float32, not above
        "mistakes: lineguard-out/mistakes.png",
    ):
        assert line in done.out


def test_without_sound_parts_it_says_so(folder: Path) -> None:
    data = Set(folder / "bad")
    data.part(("green", 0.9, 1, 1), labelled=(0,))
    data.write()
    done = lineguard(
        "eval", "detect", "--data", "bad/test.json", "--model", "spots.onnx", cwd=folder
    )
    assert "false-reject rate: not known, there are no sound parts" in done.out


def test_other_classes_are_refused(folder: Path, spots: SpotsMaker) -> None:
    spots(folder, labels=("red", "green", "spur"))
    (error,) = refused(*ARGS, "--model", "spots.onnx", cwd=folder)
    assert error.startswith("data/test.json: classes blue, green, red, but spots.onnx finds ")


def test_all_bad_pictures_are_named_before_anything_starts(folder: Path) -> None:
    for name in ("2.png", "5.png"):
        (folder / "data/images" / name).write_bytes(b"")
    one, two = refused(*ARGS, "--model", "spots.onnx", cwd=folder)
    assert one.startswith("data/images/2.png: ")
    assert two.startswith("data/images/5.png: ")


def test_all_bad_annotations_are_named_at_once(folder: Path) -> None:
    document = json.loads((folder / "data/test.json").read_text())
    for annotation in document["annotations"][:2]:
        annotation["bbox"][2] = 0
    (folder / "data/test.json").write_text(json.dumps(document))
    errors = refused(*ARGS, "--model", "spots.onnx", cwd=folder)
    assert [error.split(": ")[1] for error in errors] == ["annotation 1", "annotation 2"]


@pytest.mark.parametrize("data", ["gone.json", "data/images/1.png"])
def test_what_is_no_data_is_refused(folder: Path, data: str) -> None:
    (error,) = refused("eval", "detect", "--data", data, "--model", "spots.onnx", cwd=folder)
    assert error.startswith(f"{data}: ")


def test_a_folder_that_cannot_be_written_is_a_failed_disk(folder: Path) -> None:
    before = files(folder)
    done = lineguard(*ARGS, "--model", "spots.onnx", "--out", "/proc/x", cwd=folder)
    assert done.code == 3
    assert done.errors[0].startswith("/proc/x/escapes.png: cannot be written ")
    assert files(folder) == before
