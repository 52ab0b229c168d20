"""Which anchor answers for which defect: ATSS to begin with, then task-aligned.

Pure functions of one picture. Anchors stand in the order of the network's outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Anchors", "Assignment", "anchors_of", "assign_atss", "assign_task_aligned", "iou"]

Float = NDArray[np.float32]

CELL = 5.0
"""Side of an anchor box, strides (PP-YOLOE's grid_cell_scale)."""

ATSS_NEAREST = 9
"""Anchors of each stride that are considered for a box."""

ALIGNED_BEST = 13
"""Anchors that answer for a box at most."""

ALIGNED_POWER = 6
"""How much more the overlap counts than the score."""

TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Anchors:
    """All anchors of one input size.

    Attributes
    ----------
    points
        ``(A, 2) float32`` centres, pixels.
    strides
        ``(A,) float32``.
    counts
        How many each stride has.
    """

    points: Float
    strides: Float
    counts: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Assignment:
    """What the anchors of one picture are to say.

    Attributes
    ----------
    box
        ``(A,) int64`` index of the box each answers for, -1 for none.
    score
        ``(A,) float32`` what it should score, 0 where there is no box.
    """

    box: NDArray[np.int64]
    score: Float


def anchors_of(size: tuple[int, int], strides: Sequence[int]) -> Anchors:
    """The anchors of an input of ``size`` (width, height), pixels, multiples of every stride."""
    points, each, counts = [], [], []
    for stride in strides:
        columns, rows = size[0] // stride, size[1] // stride
        y, x = np.mgrid[:rows, :columns].reshape(2, -1).astype(np.float32)
        points.append((np.stack([x, y], axis=1) + np.float32(0.5)) * np.float32(stride))
        each.append(np.full(len(x), stride, np.float32))
        counts.append(len(x))
    return Anchors(np.concatenate(points), np.concatenate(each), tuple(counts))


def iou(boxes: Float, others: Float) -> Float:
    """Intersection over union: ``(N, 4)`` and ``(M, 4)`` xyxy to ``(N, M) float32``."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    other_area = np.clip(others[:, 2:] - others[:, :2], 0, None).prod(axis=1)
    union = area[:, None] + other_area[None] - shared
    return np.asarray(shared / np.maximum(union, TINY), np.float32)


def _inside(points: Float, boxes: Float) -> NDArray[np.bool_]:
    """Which points lie in which boxes: ``(N, A)``."""
    above = points[None] - boxes[:, None, :2] > TINY
    below = boxes[:, None, 2:] - points[None] > TINY
    return np.asarray((above & below).all(axis=2))


def _one_box_each(positive: NDArray[np.bool_], overlap: Float) -> NDArray[np.bool_]:
    """Give an anchor that several boxes claim to the one that it overlaps most."""
    claimed = positive.sum(axis=0) > 1
    best = np.zeros_like(positive)
    best[overlap.argmax(axis=0), np.arange(overlap.shape[1])] = True
    return np.where(claimed, best, positive)


def _nobody(anchors: Anchors) -> Assignment:
    count = len(anchors.points)
    return Assignment(np.full(count, -1, np.int64), np.zeros(count, np.float32))


def _assignment(positive: NDArray[np.bool_], score: Float) -> Assignment:
    """From ``(N, A)`` tables to what each anchor is to say."""
    taken = positive.any(axis=0)
    box = np.where(taken, positive.argmax(axis=0), -1).astype(np.int64)
    best = np.where(positive, score, 0).max(axis=0)
    return Assignment(box, np.asarray(best, np.float32))


def assign_atss(anchors: Anchors, boxes: Float, predicted: Float) -> Assignment:
    """By how well anchors of a fixed size overlap; needs no trained network.

    Parameters
    ----------
    boxes
        ``(N, 4) float32`` of the picture, xyxy pixels.
    predicted
        ``(A, 4) float32`` what the anchors say now; its overlap is the score they should give.

    Source: ATSS, https://arxiv.org/abs/1912.02424.
    """
    if not len(boxes):
        return _nobody(anchors)
    half = anchors.strides[:, None] * np.float32(CELL / 2)
    overlap = iou(boxes, np.concatenate([anchors.points - half, anchors.points + half], axis=1))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    distance = np.linalg.norm(centres[:, None] - anchors.points[None], axis=2)
    nearest, start = [], 0
    for count in anchors.counts:
        few = min(ATSS_NEAREST, count)
        level = np.argpartition(distance[:, start : start + count], few - 1, axis=1)[:, :few]
        nearest.append(level + start)
        start += count
    candidates = np.concatenate(nearest, axis=1)
    near = np.take_along_axis(overlap, candidates, axis=1)
    threshold = near.mean(axis=1, keepdims=True) + near.std(axis=1, ddof=1, keepdims=True)
    positive = np.zeros(overlap.shape, bool)
    np.put_along_axis(positive, candidates, near > threshold, axis=1)
    positive = _one_box_each(positive & _inside(anchors.points, boxes), overlap)
    return _assignment(positive, iou(boxes, predicted))


def assign_task_aligned(
    anchors: Anchors, boxes: Float, classes: NDArray[np.int64], predicted: Float, scores: Float
) -> Assignment:
    """By what the network itself does best: score of the class, and overlap.

    Parameters
    ----------
    boxes, classes
        ``(N, 4) float32`` xyxy pixels and ``(N,) int64`` of the picture.
    predicted, scores
        ``(A, 4) float32`` xyxy pixels and ``(A, C) float32``: what the anchors say now.

    Source: TOOD, https://arxiv.org/abs/2108.07755.
    """
    if not len(boxes):
        return _nobody(anchors)
    overlap = iou(boxes, predicted)
    aligned = scores[:, classes].T * overlap**ALIGNED_POWER
    inside = _inside(anchors.points, boxes)
    few = min(ALIGNED_BEST, aligned.shape[1])
    best = np.argpartition(-(aligned * inside), few - 1, axis=1)[:, :few]
    positive = np.zeros(aligned.shape, bool)
    np.put_along_axis(positive, best, True, axis=1)
    positive = _one_box_each(positive & inside, overlap)
    # The best anchor of each box is to score as much as it overlaps, the others in proportion.
    highest = np.where(positive, aligned, 0).max(axis=1, keepdims=True)
    reach = np.where(positive, overlap, 0).max(axis=1, keepdims=True)
    return _assignment(positive, aligned / (highest + TINY) * reach)
