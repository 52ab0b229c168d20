"""Outputs of the network to boxes, against loops that follow the contract word by word."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import EngineError
from models.ppyoloe.decode import anchor_grid, check_outputs, choose, decode

RNG = np.random.default_rng(3)


def by_the_book(distances: NDArray[np.float32], height: int, width: int) -> list[list[float]]:
    boxes = []
    anchor = 0
    for stride in (32, 16, 8):
        for row in range(height // stride):
            for column in range(width // stride):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                left, top, right, bottom = (float(d) * stride for d in distances[:, anchor])
                boxes.append([x - left, y - top, x + right, y + bottom])
                anchor += 1
    assert anchor == distances.shape[1]
    return boxes


@pytest.mark.parametrize(("height", "width"), [(640, 640), (96, 128), (32, 64)])
def test_boxes_are_those_of_the_contract(height: int, width: int) -> None:
    count = anchor_grid(height, width)[0].shape[1]
    distances = RNG.uniform(0, 16, (4, count)).astype(np.float32)
    boxes = decode(distances, np.arange(count), height, width)
    assert np.abs(boxes - by_the_book(distances, height, width)).max() < 1e-3
    some = RNG.permutation(count)[:7]
    assert (decode(distances, some, height, width) == boxes[some]).all()


def test_anchors_come_coarsest_first_and_row_by_row() -> None:
    points, strides = anchor_grid(640, 640)
    assert points.shape == strides.shape == (4, 8400)
    assert points[:2, [0, 1, 20, 400, 2000, 8399]].T.tolist() == [
        [16, 16],
        [48, 16],
        [16, 48],
        [8, 8],
        [4, 4],
        [636, 636],
    ]
    assert np.unique(strides[2], return_counts=True)[1].tolist() == [6400, 1600, 400]


def test_anchors_are_kept_and_cannot_be_spoilt() -> None:
    assert anchor_grid(64, 64) is anchor_grid(64, 64)
    with pytest.raises(ValueError, match="read-only"):
        anchor_grid(64, 64)[0][0, 0] = 1


def test_a_box_is_never_inside_out() -> None:
    boxes = decode(np.full((4, 84), -0.1, np.float32), np.arange(84), 64, 64)
    assert (boxes[:, 2:] >= boxes[:, :2]).all()


def test_one_anchor_may_stand_for_several_classes() -> None:
    scores = np.array([[0.9, 0.1, 0.4], [0.5, 0.39, 0.3]], np.float32)
    classes, anchors, floor = choose(scores, 0.4, 10)
    assert list(zip(classes.tolist(), anchors.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 0)]
    assert floor == 0.4


def test_of_each_class_the_best_are_taken_and_what_may_be_missing_is_said() -> None:
    scores = RNG.permutation(np.linspace(0.2, 0.9, 3 * 500)).astype(np.float32).reshape(3, 500)
    scores[1] *= 0.1  # below the threshold
    classes, anchors, floor = choose(scores, 0.25, 100)
    assert np.bincount(classes, minlength=3).tolist() == [100, 0, 100]
    assert set(anchors[classes == 0]) == set(np.argsort(-scores[0])[:100])
    lost = max(np.sort(scores[0])[-101], np.sort(scores[2])[-101])
    assert lost < floor < lost + 1e-6


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf, 1.5, -0.5])
def test_scores_that_are_none_are_refused(spoilt: float) -> None:
    distances, scores = np.ones((1, 4, 84), np.float32), np.zeros((1, 2, 84), np.float32)
    scores[0, 1, 50] = spoilt
    with pytest.raises(EngineError, match="the detector puts out"):
        check_outputs([distances, scores], 2, 84)


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
def test_distances_that_are_none_are_refused(spoilt: float) -> None:
    distances, scores = np.ones((1, 4, 84), np.float32), np.zeros((1, 2, 84), np.float32)
    distances[0, 3, 83] = spoilt
    with pytest.raises(EngineError, match="no numbers"):
        check_outputs([distances, scores], 2, 84)


def test_scores_may_be_rounded() -> None:
    scores = np.full((1, 2, 84), 1.004, np.float32)
    assert check_outputs([np.ones((1, 4, 84), np.float32), scores], 2, 84)[1].shape == (2, 84)


def test_a_network_of_other_classes_is_told_apart_from_another_network() -> None:
    distances = np.ones((1, 4, 84), np.float32)
    with pytest.raises(EngineError, match="scores of 6 classes, its configuration has 2 labels"):
        check_outputs([distances, np.zeros((1, 6, 84), np.float32)], 2, 84)
    for outputs in (
        [],
        [distances],
        [np.zeros((1, 2, 84), np.float32), distances],
        [distances, np.zeros((1, 2, 80), np.float32)],
        [np.zeros((100, 6), np.float32), np.zeros(1, np.int32)],
        [distances, np.float32(0)],
    ):
        with pytest.raises(EngineError, match="export it without"):
            check_outputs([np.asarray(output) for output in outputs], 2, 84)
