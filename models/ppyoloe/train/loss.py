"""What training makes smaller: varifocal, GIoU and distribution focal loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle.nn import functional as F  # noqa: N812 - what everybody calls it

from models.ppyoloe.network.head import BINS, LevelMaps
from models.ppyoloe.train.assign import Anchors, Assignment, assign_atss, assign_task_aligned

__all__ = ["Losses", "Truth", "detection_loss", "distribution_focal", "giou", "varifocal"]

Tensor: TypeAlias = paddle.Tensor

WEIGHTS = {"cls": 1.0, "iou": 2.5, "dfl": 0.5}
"""Of the three losses in their sum (PP-YOLOE)."""

ALPHA, GAMMA = 0.75, 2.0
"""Varifocal loss: weight of the empty anchors, and how much less those count that know it."""

EPSILON = 1e-10
"""Keeps areas from dividing by zero."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The defects of one picture: boxes ``(N, 4) float32`` xyxy, classes ``(N,) int64``."""

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Losses:
    """The parts and their weighted sum, which is what is differentiated.

    Attributes
    ----------
    boxes
        How many anchors had a box to learn.
    """

    total: Tensor
    cls: Tensor
    iou: Tensor
    dfl: Tensor
    boxes: int


def varifocal(logits: Tensor, targets: Tensor, positive: Tensor) -> Tensor:
    """Sum over anchors and classes.

    Parameters
    ----------
    logits, targets
        ``(..., C)``; targets are the scores that are wanted.
    positive
        ``(..., C)`` 1 where an anchor answers for a box of that class, else 0.

    Source: VarifocalNet, https://arxiv.org/abs/2008.13367.
    """
    scores = F.sigmoid(logits)
    weight = ALPHA * scores.pow(GAMMA) * (1 - positive) + targets * positive
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (weight * entropy).sum()


def giou(boxes: Tensor, others: Tensor) -> Tensor:
    """1 minus the generalised overlap of pairs ``(P, 4)`` xyxy: ``(P,)``, 0 to 2.

    Source: GIoU, https://arxiv.org/abs/1902.09630.
    """
    low = paddle.maximum(boxes[:, :2], others[:, :2])
    high = paddle.minimum(boxes[:, 2:], others[:, 2:])
    shared = (high - low).clip(min=0).prod(axis=1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = area + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared + EPSILON
    outer_low = paddle.minimum(boxes[:, :2], others[:, :2])
    outer_high = paddle.maximum(boxes[:, 2:], others[:, 2:])
    hull = (outer_high - outer_low).prod(axis=1) + EPSILON
    return 1 - shared / union + (hull - union) / hull


def distribution_focal(edges: Tensor, distances: Tensor) -> Tensor:
    """Cross entropy with the two bins on both sides of each distance: ``(P,)``.

    Parameters
    ----------
    edges
        ``(P, 4, BINS)`` logits.
    distances
        ``(P, 4)`` strides.

    Source: generalised focal loss, https://arxiv.org/abs/2006.04388.
    """
    wanted = distances.clip(0, BINS - 1 - 0.01)
    left = wanted.floor()
    right_share = wanted - left
    bins = left.astype("int64")
    below = F.cross_entropy(edges, bins.unsqueeze(-1), reduction="none").squeeze(-1)
    above = F.cross_entropy(edges, (bins + 1).unsqueeze(-1), reduction="none").squeeze(-1)
    return (below * (1 - right_share) + above * right_share).mean(axis=1)


def detection_loss(
    levels: Sequence[LevelMaps], truths: Sequence[Truth], anchors: Anchors, *, aligned: bool
) -> Losses:
    """The loss of a batch.

    Parameters
    ----------
    levels
        The network's raw maps.
    truths
        One for each picture.
    anchors
        Of the input's size.
    aligned
        Task-aligned assignment; else ATSS.
    """
    logits = paddle.concat([c.flatten(2) for c, _ in levels], axis=2).transpose([0, 2, 1])
    edges = paddle.concat([e.flatten(2) for _, e in levels], axis=2).transpose([0, 2, 1])
    batch, count, classes = logits.shape
    found = _assign(logits, edges, truths, anchors, aligned)

    targets = np.zeros((batch, count, classes), np.float32)
    labels = np.zeros_like(targets)
    rows, boxes, weights = [], [], []
    for i, (each, truth) in enumerate(zip(found, truths, strict=True)):
        own = np.flatnonzero(each.box >= 0)
        kinds = truth.classes[each.box[own]]
        targets[i, own, kinds] = each.score[own]
        labels[i, own, kinds] = 1
        rows.append(own + i * count)
        boxes.append(truth.boxes[each.box[own]] / anchors.strides[own, None])
        weights.append(each.score[own])
    total_score = max(float(targets.sum()), 1.0)
    cls = varifocal(logits, paddle.to_tensor(targets), paddle.to_tensor(labels)) / total_score

    flat = np.concatenate(rows)
    if len(flat):
        own_edges = paddle.gather(edges.reshape([-1, 4 * BINS]), paddle.to_tensor(flat))
        own_edges = own_edges.reshape([-1, 4, BINS])
        places = (anchors.points / anchors.strides[:, None])[flat % count]
        points = paddle.to_tensor(places)
        wanted = paddle.to_tensor(np.concatenate(boxes))
        weight = paddle.to_tensor(np.concatenate(weights))
        off = _mean_distance(own_edges)
        predicted = paddle.concat([points - off[:, :2], points + off[:, 2:]], axis=1)
        true_off = paddle.concat([points - wanted[:, :2], wanted[:, 2:] - points], axis=1)
        iou_loss = (giou(predicted, wanted) * weight).sum() / total_score
        dfl_loss = (distribution_focal(own_edges, true_off) * weight).sum() / total_score
    else:
        iou_loss = dfl_loss = edges.sum() * 0.0
    parts = {"cls": cls, "iou": iou_loss, "dfl": dfl_loss}
    total = sum(WEIGHTS[name] * part for name, part in parts.items())
    return Losses(total, cls, iou_loss, dfl_loss, len(flat))


def _mean_distance(edges: Tensor) -> Tensor:
    """``(..., 4, BINS)`` logits to ``(..., 4)`` strides."""
    steps = paddle.arange(BINS, dtype="float32")
    return (F.softmax(edges, axis=-1) * steps).sum(axis=-1)


@paddle.no_grad()
def _assign(
    logits: Tensor, edges: Tensor, truths: Sequence[Truth], anchors: Anchors, aligned: bool
) -> list[Assignment]:
    off = _mean_distance(edges.reshape([0, 0, 4, BINS])).numpy() * anchors.strides[:, None]
    predicted = np.concatenate(
        [anchors.points - off[..., :2], anchors.points + off[..., 2:]], axis=-1
    )
    if not aligned:
        return [
            assign_atss(anchors, truth.boxes, boxes)
            for truth, boxes in zip(truths, predicted, strict=True)
        ]
    scores = F.sigmoid(logits).numpy()
    return [
        assign_task_aligned(anchors, truth.boxes, truth.classes, boxes, score)
        for truth, boxes, score in zip(truths, predicted, scores, strict=True)
    ]
