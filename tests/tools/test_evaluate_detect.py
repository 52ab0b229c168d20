import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import InputError
from models.ppyoloe.dataset import Dataset, make_picture
from models.ppyoloe.score import part_curve
from models.results import Defect
from tools.evaluate_detect import (
    Found,
    check_labels,
    curve_points,
    find_all,
    labelled,
    score_detections,
)

LABELS = ("open", "short")


def dataset(folder: Path, defective: int, sound: int) -> Dataset:
    """Parts with one defect each at 10, 10, and parts without; grey as their id."""
    pictures = []
    for number in range(1, defective + sound + 1):
        path = folder / f"{number}.png"
        assert cv2.imwrite(str(path), np.full((40, 50, 3), number, np.uint8))
        boxes = [(10.0, 10.0, 20.0, 20.0)] if number <= defective else []
        pictures.append(
            make_picture(number, path, (50, 40), boxes, [0] * len(boxes), [False] * len(boxes))
        )
    return Dataset(LABELS, tuple(pictures))


def found(**scores: float) -> Found:
    """An open circuit where it is, on each part of that number."""
    box = np.array([10, 10, 20, 20], np.float32)
    return {int(part[1:]): (Defect("open", score, box),) for part, score in scores.items()}


class Grey:
    """Finds one defect on each picture, its score the hundredth of the grey."""

    def detect(
        self, image: NDArray[np.uint8], *, threshold: float | None = None
    ) -> tuple[Defect, ...]:
        score = float(image[0, 0, 0]) / 100
        box = np.array([10, 10, 20, 20], np.float32)
        return (Defect("open", score, box),) if score >= (threshold or 0.5) else ()


def test_all_pictures_are_looked_at_from_the_floor_on(tmp_path: Path) -> None:
    everything = find_all(Grey(), dataset(tmp_path, 2, 1), 0.02)
    assert {part: len(defects) for part, defects in everything.items()} == {1: 0, 2: 1, 3: 1}


def test_the_report_says_what_an_inspector_asks(tmp_path: Path) -> None:
    data = dataset(tmp_path, 4, 5)
    scores = score_detections(data, found(_1=0.9, _2=0.8, _3=0.3, _4=0.7, _5=0.6), 0.5, 0.0)
    report = scores.as_json()
    assert {key: report[key] for key in ("parts", "defective", "threshold", "escape")} == {
        "parts": 9,
        "defective": 4,
        "threshold": 0.5,
        "escape": 0.0,
    }
    assert (report["escape_rate"], report["false_reject_rate"]) == (0.25, 0.2)
    low, high = report["escape_rate_95"]
    assert low < 0.25 < high
    assert report["threshold_at_escape"] == pytest.approx(0.3)
    assert report["defects"]["open"] == {"found": 3, "missed": 1, "false_alarms": 1}
    # found in the order hit, hit, hit, false, hit: the last quarter of recall has precision 4/5
    assert report["ap50"] == pytest.approx((76 + 25 * 0.8) / 101)
    assert report["per_class"]["short"] == {"ap": None, "ap50": None}
    assert json.loads(json.dumps(report, allow_nan=False))["curve"][0]["escape_rate"] == 0


def test_without_sound_parts_there_is_no_false_reject_rate(tmp_path: Path) -> None:
    report = score_detections(dataset(tmp_path, 2, 0), found(_1=0.9), 0.5, 0.1).as_json()
    assert report["false_reject_rate"] is None
    assert report["false_reject_rate_95"] is None
    assert report["threshold_at_escape"] is None  # on part 2 nothing is found at all
    assert all(point["false_reject_rate"] is None for point in report["curve"])


def test_a_long_curve_is_thinned_to_fifty_points() -> None:
    top = np.linspace(0.01, 0.99, 400, dtype=np.float32)
    points = curve_points(part_curve(np.arange(400) % 2 == 0, top))
    assert len(points) == 50
    assert points[0]["threshold"] == pytest.approx(0.01)
    assert points[-1] == {"threshold": 1.0, "escape_rate": 1.0, "false_reject_rate": 0.0}
    assert len(curve_points(part_curve(np.array([True]), np.array([0.5], np.float32)))) == 2


def test_classes_must_be_the_same_in_any_order(tmp_path: Path) -> None:
    data = dataset(tmp_path, 1, 0)
    check_labels(("short", "open"), data, "m.onnx", tmp_path)
    with pytest.raises(InputError, match=r"classes open, short, but m\.onnx finds open, spur"):
        check_labels(("open", "spur"), data, "m.onnx", tmp_path)


def test_a_folder_gives_its_validation_set(tmp_path: Path) -> None:
    for number, name in enumerate(("train", "val"), 1):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((40, 50), np.uint8))
        document = {
            "images": [{"id": number, "file_name": f"{number}.png", "width": 50, "height": 40}],
            "annotations": [{"id": 1, "image_id": number, "category_id": 1, "bbox": [1, 1, 5, 5]}],
            "categories": [{"id": 1, "name": "open"}],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    for data in (labelled(tmp_path, None), labelled(tmp_path / "val.json", None)):
        assert [picture.id for picture in data.pictures] == [2]
    with pytest.raises(InputError, match="--images goes with a COCO file"):
        labelled(tmp_path, tmp_path)
    (tmp_path / "val.json").unlink()
    with pytest.raises(InputError, match="has one set alone"):
        labelled(tmp_path, None)
