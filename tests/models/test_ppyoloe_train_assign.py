import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ppyoloe.train.assign import (
    Anchors,
    Assignment,
    anchors_of,
    assign_atss,
    assign_task_aligned,
    iou,
)

STRIDES = (32, 16, 8)
CLASSES = 3

Box = tuple[float, float, float, float]
Float = NDArray[np.float32]


def overlap(a: Float | Box, b: Float | Box) -> float:
    """Intersection over union, by hand."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(float(x[2]) - float(x[0])) * (float(x[3]) - float(x[1])) for x in (a, b)]
    return float(width * height / (sum(areas) - width * height))


def inside(point: Float, box: Float) -> bool:
    return bool(box[0] < point[0] < box[2] and box[1] < point[1] < box[3])


def one_each(claims: list[set[int]], anchors: Anchors, table: list[list[float]]) -> list[int]:
    """Anchors that several boxes claim go to the one that they overlap most."""
    owner = []
    for anchor in range(len(anchors.points)):
        claimed = [box for box, own in enumerate(claims) if anchor in own]
        if len(claimed) > 1:
            owner.append(max(range(len(claims)), key=lambda box: table[box][anchor]))
        else:
            owner.append(claimed[0] if claimed else -1)
    return owner


def atss_by_hand(anchors: Anchors, boxes: Float) -> list[int]:
    """The paper's algorithm 1, box by box."""
    cells = [
        (x - 2.5 * s, y - 2.5 * s, x + 2.5 * s, y + 2.5 * s)
        for (x, y), s in zip(anchors.points.tolist(), anchors.strides.tolist(), strict=True)
    ]
    table = [[overlap(box, cell) for cell in cells] for box in boxes]
    claims = []
    for number, box in enumerate(boxes):
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        candidates: list[int] = []
        start = 0
        for count in anchors.counts:
            level = range(start, start + count)
            level_sorted = sorted(level, key=lambda a: math.dist(centre, anchors.points[a]))
            candidates += level_sorted[:9]
            start += count
        near = [table[number][a] for a in candidates]
        mean = sum(near) / len(near)
        spread = math.sqrt(sum((v - mean) ** 2 for v in near) / (len(near) - 1))
        claims.append(
            {
                a
                for a in candidates
                if table[number][a] > mean + spread and inside(anchors.points[a], box)
            }
        )
    return one_each(claims, anchors, table)


def aligned_by_hand(
    anchors: Anchors, boxes: Float, classes: NDArray[np.int64], predicted: Float, scores: Float
) -> tuple[list[int], list[float]]:
    """Task-aligned, box by box: metric s * u**6, the best 13 inside, scores made to fit u."""
    every = range(len(anchors.points))
    table = [[overlap(box, predicted[a]) for a in every] for box in boxes]
    metric = [
        [float(scores[a, kind]) * table[n][a] ** 6 for a in every] for n, kind in enumerate(classes)
    ]
    claims = []
    for number, box in enumerate(boxes):
        within = [a for a in every if inside(anchors.points[a], box)]
        claims.append(set(sorted(within, key=lambda a: -metric[number][a])[:13]))
    owner = one_each(claims, anchors, table)
    wanted = []
    for a in every:
        n = owner[a]
        if n < 0:
            wanted.append(0.0)
            continue
        own = [b for b in every if owner[b] == n]
        best, reach = max(metric[n][b] for b in own), max(table[n][b] for b in own)
        wanted.append(metric[n][a] / (best + 1e-9) * reach)
    return owner, wanted


def case(seed: int, side: int = 96) -> tuple[Anchors, Float, NDArray[np.int64], Float, Float]:
    """Boxes of all sizes, predictions near some of them; no two alike."""
    rng = np.random.default_rng(seed)
    anchors = anchors_of((side, side), STRIDES)
    sides = np.exp(rng.uniform(np.log(6), np.log(0.8 * side), (rng.integers(1, 6), 2)))
    corner = rng.uniform(0, side - sides)
    boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
    reach = rng.uniform(0.2, 4, (len(anchors.points), 4)) * anchors.strides[:, None]
    predicted = np.concatenate([anchors.points, anchors.points], axis=1) + reach * [-1, -1, 1, 1]
    scores = rng.uniform(0.01, 0.99, (len(predicted), CLASSES)).astype(np.float32)
    return (
        anchors,
        boxes,
        rng.integers(0, CLASSES, len(boxes)),
        predicted.astype(np.float32),
        scores,
    )


def check_rules(
    found: Assignment, anchors: Anchors, boxes: Float, said: Float | None = None
) -> None:
    """What holds of every assignment.

    An anchor lies in its box; but one that several boxes claim goes to the one that ``said``
    overlaps most, even if that is none of them (PaddleDetection does the same).
    """
    positive = found.box >= 0
    assert found.box.shape == found.score.shape == (len(anchors.points),)
    assert found.box.max() < len(boxes)
    assert (found.score[~positive] == 0).all()
    assert ((found.score >= 0) & (found.score <= 1)).all()
    for anchor in np.flatnonzero(positive):
        around = [n for n, box in enumerate(boxes) if inside(anchors.points[anchor], box)]
        own = int(found.box[anchor])
        if own not in around:
            assert said is not None
            assert len(around) > 1
            assert own == iou(boxes, said[anchor : anchor + 1]).argmax()


def test_anchors_stand_where_the_decoder_has_them() -> None:
    from models.ppyoloe.decode import anchor_grid

    anchors = anchors_of((96, 64), STRIDES)
    points, strides = anchor_grid(64, 96)
    assert np.array_equal(anchors.points, points[:2].T)
    assert np.array_equal(anchors.strides, strides[2])
    assert anchors.counts == (6, 24, 96)


def test_overlap_of_golden_pairs() -> None:
    a = np.array([[0, 0, 4, 4]], np.float32)
    others = np.array(
        [[0, 0, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4], [1, 1, 3, 3], [2, 2, 2, 2]], np.float32
    )
    assert iou(a, others)[0].tolist() == pytest.approx([1, 8 / 24, 0, 4 / 16, 0])
    assert iou(others[4:], others[4:])[0, 0] == 0


def test_task_aligned_by_pencil() -> None:
    """32x32 pixels: a box on the upper left quarter holds one anchor of stride 16, four of 8."""
    anchors = anchors_of((32, 32), STRIDES)
    box = np.array([[0, 0, 16, 16]], np.float32)
    predicted = np.tile(np.array([[0, 0, 8, 16]], np.float32), (21, 1))  # half of it
    predicted[1] = box  # what the anchor of stride 16 at (8, 8) says
    scores = np.full((21, 2), 0.5, np.float32)
    scores[:, 0] = 0.9  # the other class does not matter
    found = assign_task_aligned(anchors, box, np.array([1]), predicted, scores)
    assert np.flatnonzero(found.box == 0).tolist() == [1, 5, 6, 9, 10]
    assert found.score[1] == pytest.approx(1, rel=1e-6)
    assert found.score[[5, 6, 9, 10]] == pytest.approx(0.5**6, rel=1e-5)


def test_atss_by_pencil() -> None:
    """A box as large as an anchor of stride 32 and centred on it is that anchor's alone."""
    anchors = anchors_of((160, 160), STRIDES)
    centre = np.flatnonzero((anchors.strides == 32) & (anchors.points == 80).all(axis=1))
    box = np.array([[0.5, 0.5, 159.5, 159.5]], np.float32)
    predicted = np.zeros((len(anchors.points), 4), np.float32)
    predicted[centre] = [[0.5, 0.5, 159.5, 80]]
    found = assign_atss(anchors, box, predicted)
    # Its neighbours of stride 32 overlap by 4/6 and 16/34 at most; the threshold lies between.
    expected = atss_by_hand(anchors, box)
    assert found.box.tolist() == expected
    assert found.box[centre] == 0
    assert (found.box[anchors.strides < 32] == -1).all()
    assert found.score[centre] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_atss_as_by_hand(seed: int) -> None:
    anchors, boxes, _, predicted, _ = case(seed)
    found = assign_atss(anchors, boxes, predicted)
    assert found.box.tolist() == atss_by_hand(anchors, boxes)
    wanted = [overlap(boxes[n], predicted[a]) if n >= 0 else 0.0 for a, n in enumerate(found.box)]
    assert found.score == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_task_aligned_as_by_hand(seed: int) -> None:
    anchors, boxes, classes, predicted, scores = case(seed)
    found = assign_task_aligned(anchors, boxes, classes, predicted, scores)
    owner, wanted = aligned_by_hand(anchors, boxes, classes, predicted, scores)
    assert found.box.tolist() == owner
    assert found.score == pytest.approx(wanted, abs=1e-5)
    assert (found.box >= 0).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([32, 64, 160]))
def test_every_assignment_keeps_the_rules(seed: int, side: int) -> None:
    anchors, boxes, classes, predicted, scores = case(seed, side)
    half = anchors.strides[:, None] * 2.5
    cells = np.concatenate([anchors.points - half, anchors.points + half], axis=1)
    check_rules(assign_atss(anchors, boxes, predicted), anchors, boxes, cells)
    aligned = assign_task_aligned(anchors, boxes, classes, predicted, scores)
    check_rules(aligned, anchors, boxes, predicted)
    assert (aligned.box >= 0).sum() <= 13 * len(boxes)


def test_a_single_box_has_thirteen_anchors_at_most() -> None:
    anchors, _, _, predicted, scores = case(1)
    box = np.array([[1, 1, 95, 95]], np.float32)
    found = assign_task_aligned(anchors, box, np.array([0]), predicted, scores)
    assert (found.box == 0).sum() == 13


def test_no_boxes_no_anchors() -> None:
    anchors, _, _, predicted, scores = case(0)
    none, no_classes = np.empty((0, 4), np.float32), np.empty(0, np.int64)
    for found in (
        assign_atss(anchors, none, predicted),
        assign_task_aligned(anchors, none, no_classes, predicted, scores),
    ):
        assert (found.box == -1).all()
        assert (found.score == 0).all()


@pytest.mark.parametrize("box", [(3, 3, 3, 9), (4.1, 4.1, 4.2, 4.2), (-5, -5, 400, 400)])
def test_odd_boxes_do_not_trip_it(box: Box) -> None:
    anchors, _, _, predicted, scores = case(0)
    boxes = np.array([box], np.float32)
    check_rules(assign_atss(anchors, boxes, predicted), anchors, boxes)
    found = assign_task_aligned(anchors, boxes, np.array([0]), predicted, scores)
    check_rules(found, anchors, boxes)
