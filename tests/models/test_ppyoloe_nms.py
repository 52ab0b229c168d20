"""Suppression against a slow one that is plainly right, and against OpenCV's."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ppyoloe.nms import BLOCK, suppress


def slow(boxes: list[list[float]], scores: list[float], classes: list[int], iou: float) -> set[int]:
    """Greedy, one pair after the other, in float64."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):  # sorted() is stable
        for other in kept:
            (a0, b0, a1, b1), (c0, d0, c1, d1) = boxes[index], boxes[other]
            common = max(0.0, min(a1, c1) - max(a0, c0)) * max(0.0, min(b1, d1) - max(b0, d0))
            union = (a1 - a0) * (b1 - b0) + (c1 - c0) * (d1 - d0) - common
            if classes[index] == classes[other] and union > 0 and common / union > iou:
                break
        else:
            kept.append(index)
    return set(kept)


def scene(
    things: int, views: int, classes: int = 3, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Things as a network shows them: each several times, a little beside itself."""
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(40, 600, (things, 2)), rng.uniform(12, 60, (things, 2))
    which = np.repeat(np.arange(things), views)
    boxes = np.concatenate([centre - side / 2, centre + side / 2], axis=1)[which]
    boxes += rng.normal(0, 1.5, boxes.shape)
    label = rng.integers(0, classes, things)[which]
    return boxes.astype(np.float32), rng.uniform(0.4, 1, len(which)).astype(np.float32), label


COORDINATE = st.integers(-8, 40)


@given(
    st.lists(
        st.tuples(
            COORDINATE,
            COORDINATE,
            st.integers(0, 20),
            st.integers(0, 20),
            st.sampled_from([0.25, 0.5, 0.75, 1.0]),
            st.integers(0, 2),
        ),
        max_size=80,
    ),
    st.sampled_from([1 / 7, 1 / 3, 0.6]),  # exact in float32 where it matters: no ties by rounding
)
def test_it_keeps_what_the_slow_one_keeps(
    drawn: list[tuple[int, int, int, int, float, int]], iou: float
) -> None:
    boxes = [[float(v) for v in (x, y, x + w, y + h)] for x, y, w, h, _, _ in drawn]
    scores, classes = [d[4] for d in drawn], [d[5] for d in drawn]
    kept = suppress(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(classes, np.intp),
        iou,
    )
    assert set(kept.tolist()) == slow(boxes, scores, classes, iou)
    assert [scores[i] for i in kept] == sorted((scores[i] for i in kept), reverse=True)


@pytest.mark.parametrize("views", [1, 5, 10])
def test_it_keeps_what_others_keep(views: int) -> None:
    boxes, scores, classes = scene(100, views)
    kept = set(suppress(boxes, scores, classes, 0.6).tolist())
    assert kept == slow(boxes.tolist(), scores.tolist(), classes.tolist(), 0.6)
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    theirs = cv2.dnn.NMSBoxesBatched(
        sides.tolist(), scores.tolist(), classes.astype(np.int32).tolist(), 0.0, 0.6
    )
    assert kept == set(np.ravel(theirs).tolist())
    assert len(boxes) > BLOCK


def test_nothing_gives_nothing() -> None:
    none = np.zeros(0, np.float32)
    assert suppress(none.reshape(0, 4), none, np.zeros(0, np.intp), 0.5).shape == (0,)


def test_boxes_without_area_do_not_hide_each_other() -> None:
    boxes = np.array([[5, 5, 5, 5], [90, 90, 90, 90], [5, 5, 5, 5]], np.float32)
    kept = suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.intp), 0.5)
    assert kept.tolist() == [0, 1, 2]


def test_classes_do_not_hide_each_other_left_of_the_picture_either() -> None:
    boxes = np.array([[600, 600, 640, 640], [-41, -41, -1, -1]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert suppress(boxes, scores, np.array([0, 1]), 0.5).tolist() == [0, 1]
