import math

import numpy as np
import pytest
from detect_lab import LABELS, A, B, C, defect, picture
from hypothesis import given
from hypothesis import strategies as st

from models.ppyoloe.dataset import Dataset
from models.ppyoloe.score import (
    ClassCount,
    Rate,
    compare,
    count_classes,
    overlaps,
    part_curve,
    part_rates,
    part_scores,
    threshold_for,
)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    # R's binom package, binom.wilson
    [(8, 10, 0.4901625, 0.9433178), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0)],
)
def test_wilson_interval(count: int, total: int, low: float, high: float) -> None:
    assert Rate(count, total).interval == pytest.approx((low, high), abs=1e-6)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_rate_lies_in_its_interval(counts: tuple[int, int]) -> None:
    rate = Rate(*counts)
    assert rate.interval is not None
    assert rate.value is not None
    assert 0 <= rate.interval[0] <= rate.value <= rate.interval[1] <= 1


def test_a_rate_of_no_parts_is_none() -> None:
    assert (Rate(0, 0).value, Rate(0, 0).interval) == (None, None)


def test_part_scores_take_the_best_of_any_class() -> None:
    dataset = Dataset(LABELS, (picture(4, (0, A, False)), picture(9), picture(2, (0, A, True))))
    found = {4: (defect("open", 0.25, *B), defect("short", 0.5, *C)), 2: (defect("open", 1, *A),)}
    defective, top = part_scores(dataset, found)
    assert defective.tolist() == [True, False, False]
    assert top.tolist() == [0.5, 0, 1]


PARTS = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=30)


@given(PARTS, st.sampled_from([0, 0.1, 0.25, 0.5, 1]))
def test_curve_and_threshold_are_those_of_counting(
    parts: list[tuple[bool, int]], wanted: float
) -> None:
    truth = np.array([bad for bad, _ in parts])
    top = np.array([score / 8 for _, score in parts], np.float32)
    curve = part_curve(truth, top)
    assert (np.diff(curve.thresholds) > 0).all()
    assert curve.thresholds[-1] == 1

    def counted(threshold: float) -> tuple[float | None, float | None]:
        bad = [score / 8 < threshold for is_bad, score in parts if is_bad]
        good = [score / 8 >= threshold for is_bad, score in parts if not is_bad]
        return (
            sum(bad) / len(bad) if bad else None,
            sum(good) / len(good) if good else None,
        )

    for index, threshold in enumerate(curve.thresholds):
        rates = tuple(r.value for r in part_rates(truth, top, float(threshold)))
        assert rates == counted(float(threshold))
        for rate, values in zip(rates, (curve.escape_rate, curve.false_reject_rate), strict=True):
            assert rate is None if values is None else rate == pytest.approx(values[index])
    # a grid that holds every threshold between which anything changes
    grid = [n / 16 for n in range(1, 17)]
    holds = [t for t in grid if (e := counted(t)[0]) is not None and e <= wanted]
    assert threshold_for(curve, wanted) == (max(holds) if holds else None)


def test_no_threshold_holds_where_nothing_is_found_on_a_defective_part() -> None:
    curve = part_curve(np.array([True, True]), np.array([0, 0.75], np.float32))
    assert threshold_for(curve, 0.1) is None
    assert threshold_for(curve, 0.5) == 0.75


def test_rates_without_sound_or_without_defective_parts_are_none() -> None:
    top = np.array([0.5], np.float32)
    curve = part_curve(np.array([True]), top)
    assert curve.false_reject_rate is None
    assert curve.escape_rate is not None
    curve = part_curve(np.array([False]), top)
    assert curve.escape_rate is None
    assert threshold_for(curve, 1) is None


def test_a_threshold_is_compared_as_it_is_written() -> None:
    top = np.array([0.4], np.float32)  # a little more than 0.4
    assert part_rates(np.array([True]), top, 0.4)[0].count == 0
    assert part_rates(np.array([True]), top, math.nextafter(float(top[0]), 1))[0].count == 1


def test_overlaps_of_boxes_and_crowds() -> None:
    boxes = np.array([[0, 0, 10, 10]], np.float32)
    others = np.array([[0, 0, 10, 5], [5, 5, 15, 15], [20, 20, 30, 30], [0, 0, 10, 40]], np.float32)
    crowd = np.array([False, False, False, True])
    assert overlaps(boxes, others, crowd)[0].tolist() == pytest.approx([0.5, 25 / 175, 0, 1])
    assert overlaps(boxes[:0], others, crowd).shape == (0, 4)


def test_each_labelled_box_is_found_once_by_the_best_score() -> None:
    part = picture(1, (0, A, False), (1, B, False), (0, C, True))
    found = [
        defect("open", 0.6, 10, 10, 20, 21),
        defect("open", 0.9, 10, 10, 20, 19),
        defect("open", 0.8, *B),  # the wrong class
        defect("open", 0.7, 75, 75, 80, 80),  # in the crowd
        defect("short", 0.7, 75, 75, 80, 80),  # in a crowd of others
        defect("short", 0.5, 50, 50, 60, 54.9),  # hardly half of it
    ]
    outcome = compare(part, LABELS, found)
    assert dict(outcome.hits) == {0: 1}
    assert outcome.missed == (1,)
    assert outcome.false_alarms == (2, 4, 0, 5)


def test_a_second_box_may_be_found_by_what_the_first_one_left() -> None:
    near = (10.0, 12.0, 20.0, 22.0)
    part = picture(1, (0, A, False), (0, near, False))
    outcome = compare(part, LABELS, [defect("open", 0.9, *A), defect("open", 0.8, *A)])
    assert dict(outcome.hits) == {0: 0, 1: 1}


def test_nothing_found_and_nothing_labelled() -> None:
    assert compare(picture(1), LABELS, []).missed == ()
    assert compare(picture(1, (0, A, False)), LABELS, []).missed == (0,)
    assert compare(picture(1), LABELS, [defect("open", 1, *A)]).false_alarms == (0,)


def test_counts_at_a_threshold() -> None:
    dataset = Dataset(LABELS, (picture(1, (0, A, False), (1, B, False)), picture(2)))
    found = {1: (defect("open", 0.9, *A), defect("short", 0.3, *B)), 2: (defect("open", 0.5, *A),)}
    assert count_classes(dataset, found, 0.4) == {
        "open": ClassCount(found=1, missed=0, false_alarms=1),
        "short": ClassCount(found=0, missed=1, false_alarms=0),
    }
    assert count_classes(dataset, found, 0.3)["short"] == ClassCount(1, 0, 0)
