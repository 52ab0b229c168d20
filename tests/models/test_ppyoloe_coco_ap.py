import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from detect_lab import LABELS, A, B, Box, defect, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ppyoloe.coco_ap import coco_scores
from models.ppyoloe.dataset import Dataset


def test_all_found_exactly() -> None:
    dataset = Dataset(LABELS, (picture(0, (0, A, False)), picture(10**20, (1, B, False))))
    scores = coco_scores(dataset, {0: [defect("open", 0.2, *A)], 10**20: [defect("short", 1, *B)]})
    assert (scores.ap, scores.ap50, scores.ap75, scores.ap33) == pytest.approx((1, 1, 1, 1))
    assert scores.per_class == {label: {"ap": 1.0, "ap50": 1.0} for label in LABELS}


@pytest.mark.parametrize(
    ("height", "ap", "ap50", "ap75", "ap33"),
    [(6.2, 0.3, 1, 0, 1), (7.7, 0.6, 1, 1, 1), (4, 0, 0, 0, 1), (3, 0, 0, 0, 0)],
)
def test_overlap_decides(height: float, ap: float, ap50: int, ap75: int, ap33: int) -> None:
    dataset = Dataset(LABELS[:1], (picture(1, (0, A, False)),))
    scores = coco_scores(dataset, {1: [defect("open", 0.9, 10, 10, 20, 10 + height)]})
    assert (scores.ap, scores.ap50, scores.ap75, scores.ap33) == pytest.approx(
        (ap, ap50, ap75, ap33)
    )


def test_a_false_alarm_before_one_of_two() -> None:
    dataset = Dataset(LABELS[:1], (picture(1, (0, A, False), (0, B, False)), picture(2)))
    found = {1: [defect("open", 0.5, *A)], 2: [defect("open", 0.9, *A)]}
    # precision is a half up to recall one half: 51 of COCO's 101 points
    assert coco_scores(dataset, found).ap == pytest.approx(0.5 * 51 / 101)


def test_a_crowd_is_neither_hit_nor_miss() -> None:
    part = picture(1, (0, A, False), (0, (40.0, 40.0, 90.0, 90.0), True))
    found = [defect("open", 0.9, *B), defect("open", 0.5, *A)]
    assert coco_scores(Dataset(LABELS[:1], (part,)), {1: found}).ap == pytest.approx(1)


def test_what_has_no_labels_has_no_score() -> None:
    scores = coco_scores(Dataset(LABELS, (picture(1, (0, A, False)),)), {})
    assert (scores.ap, scores.ap50) == (0, 0)
    assert scores.per_class["short"] == {"ap": None, "ap50": None}
    scores = coco_scores(Dataset(LABELS, (picture(1),)), {1: [defect("open", 0.9, *A)]})
    assert (scores.ap, scores.ap50, scores.ap75, scores.ap33) == (None,) * 4


def iou(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, wide) * max(0.0, high)
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return shared / (areas - shared)


def average_precision(
    truth: list[list[Box]], found: list[list[tuple[float, Box]]], least: float
) -> float:
    """Of one class, after the definition: 101 points of the interpolated curve."""
    ranked = []
    for boxes, detections in zip(truth, found, strict=True):
        left = list(boxes)
        for score, box in sorted(detections, key=lambda each: -each[0]):
            best = max(left, key=lambda each: iou(box, each), default=None)
            hit = best is not None and iou(box, best) >= least
            if hit and best is not None:
                left.remove(best)
            ranked.append((score, hit))
    ranked.sort(key=lambda each: -each[0])
    total = sum(map(len, truth))
    points = []
    hits = 0
    for count, (_, hit) in enumerate(ranked, 1):
        hits += hit
        points.append((hits / total, hits / count))
    sums = 0.0
    for wanted in np.linspace(0, 1, 101):
        sums += max((precision for recall, precision in points if recall >= wanted), default=0.0)
    return sums / 101


SIDE = st.sampled_from([3.0, 5.0, 8.0, 13.0, 21.0])
BOX = st.builds(
    lambda x, y, w, h: (x, y, x + w, y + h), st.integers(0, 30), st.integers(0, 30), SIDE, SIDE
)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_ap_equals_an_independent_implementation(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 4))
    truth = [data.draw(st.lists(BOX, max_size=4, unique=True)) for _ in range(count)]
    truth[0] = truth[0] or [(0.0, 0.0, 9.0, 9.0)]
    ranks = iter(data.draw(st.permutations(range(1, 25))))  # equal scores have no order
    found = [
        [(next(ranks) / 32, box) for box in data.draw(st.lists(BOX, max_size=6))]
        for _ in range(count)
    ]
    parts = tuple(picture(n, *((0, box, False) for box in boxes)) for n, boxes in enumerate(truth))
    scores = coco_scores(
        Dataset(("open",), parts),
        {n: [defect("open", score, *box) for score, box in each] for n, each in enumerate(found)},
    )
    for value, least in ((scores.ap33, 0.33), (scores.ap50, 0.5), (scores.ap75, 0.75)):
        assert value == pytest.approx(average_precision(truth, found, least), abs=1e-9)
    every = [average_precision(truth, found, t / 100) for t in range(50, 100, 5)]
    assert scores.ap == pytest.approx(float(np.mean(every)), abs=1e-9)


@pytest.mark.slow
def test_it_runs_in_a_process_that_has_imported_paddle() -> None:
    code = """
import paddle
paddle.to_tensor([1.0])
import test_ppyoloe_coco_ap as lab
lab.test_all_found_exactly()
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["done"]), done.stderr
