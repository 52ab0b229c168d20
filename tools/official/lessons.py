"""Same predictions, same defects: how far apart is what both codes make the network learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import functional as F  # noqa: N812 - what everybody calls it

from models.ppyoloe.network import PPYOLOE, STRIDES
from models.ppyoloe.network.head import BINS, LevelMaps
from models.ppyoloe.train.assign import (
    Anchors,
    Assignment,
    anchors_of,
    assign_atss,
    assign_task_aligned,
)
from models.ppyoloe.train.loss import Truth, detection_loss
from models.ppyoloe.train.weights import arrays_of, put
from tools.line.board import CLASSES
from tools.official import peer
from tools.official.pictures import boards

__all__ = ["LOSS", "compare_lessons", "compare_step"]

LOSS = 1e-4
"""By how much a loss, a wanted score or a gradient may differ, relative to the largest."""

SIDE = 320
PICTURES = 4
ROUNDS = 8

Float = NDArray[np.float32]
Tensor: TypeAlias = paddle.Tensor


def compare_lessons(*, aligned: bool) -> dict[str, Any]:
    """Assign and compute losses on random predictions, several batches.

    Returns
    -------
    ``positives``: how many anchors had a box; ``differing``: how many have another box, or one
    with one code only. Largest differences: ``score`` that is wanted of an anchor, the losses
    ``cls``, ``iou`` and ``dfl``, relative, and ``gradient`` of the raw maps, relative to the
    largest of the batch.
    """
    anchors = anchors_of((SIDE, SIDE), STRIDES)
    head = peer.build("t", len(CLASSES), plus=True).yolo_head
    positives = differing = 0
    worst = dict.fromkeys(("score", "cls", "iou", "dfl", "gradient"), 0.0)
    for number in range(ROUNDS):
        rng = np.random.default_rng(number)
        truths = _truths(rng)
        logits, edges = _predictions(rng, truths, anchors)
        their_box, their_score, our_box, our_score = _both_assign(
            head, logits, edges, truths, anchors, aligned
        )
        positives += int((their_box >= 0).sum())
        differing += int((their_box != our_box).sum())
        ours, theirs = (_levels(logits, edges, anchors) for _ in range(2))
        our_loss = detection_loss(ours, truths, anchors, aligned=aligned)
        their_loss = _their_loss(head, theirs, truths, aligned)
        our_loss.total.backward()
        their_loss["loss"].backward()
        found = {"score": float(np.abs(their_score - our_score).max())}
        for name in ("cls", "iou", "dfl"):
            found[name] = _relative(their_loss[f"loss_{name}"], getattr(our_loss, name))
        found["gradient"] = max(
            _relative(their.grad, our.grad)
            for their_maps, our_maps in zip(theirs, ours, strict=True)
            for their, our in zip(their_maps, our_maps, strict=True)
        )
        worst = {name: max(worst[name], found[name]) for name in worst}
    return {
        "assigner": "task-aligned" if aligned else "ATSS",
        "batches": ROUNDS,
        "positives": positives,
        "differing": differing,
        **worst,
        "fits": differing == 0 and max(worst.values()) <= LOSS,
    }


def compare_step(variant: str) -> dict[str, Any]:
    """One forward pass, loss and backward pass of whole networks in training mode on boards.

    Assigned by ATSS: the task-aligned one may choose another anchor after one rounding.

    Returns
    -------
    Relative differences of ``loss`` and of ``gradient``, its norm over all parameters, and
    ``statistics``, the largest difference of a running mean or variance.
    """
    images, truths = boards(PICTURES, (SIDE, SIDE), seed=5)
    theirs = peer.build(variant, len(CLASSES), plus=True)
    peer.randomise(theirs, images, seed=5)
    ours = PPYOLOE(variant, len(CLASSES), plus=True)
    put(ours, arrays_of(theirs), "official")
    theirs.train()
    ours.train()
    image = paddle.to_tensor(images)
    their_loss = theirs({"image": image, **peer.padded(truths, aligned=False)})["loss"]
    anchors = anchors_of((SIDE, SIDE), STRIDES)
    our_loss = detection_loss(ours(image), truths, anchors, aligned=False).total
    their_loss.backward()
    our_loss.backward()
    their_slopes, our_slopes = (
        {name: p.grad.numpy() for name, p in each.named_parameters() if p.grad is not None}
        for each in (theirs, ours)
    )
    off = sum(float(((v - our_slopes[k]) ** 2).sum()) for k, v in their_slopes.items())
    whole = sum(float((v**2).sum()) for v in their_slopes.values())
    before, after = arrays_of(theirs), arrays_of(ours)
    found = {
        "loss": _relative(their_loss, our_loss),
        "gradient": float(np.sqrt(off / whole)),
        "statistics": max(
            float(np.abs(before[name] - after[name]).max())
            for name in before
            if name.endswith(("_mean", "_variance"))
        ),
    }
    return {"variant": variant, **found, "fits": max(found.values()) <= LOSS}


def _relative(their: Tensor, our: Tensor) -> float:
    a, b = their.numpy(), our.numpy()
    return float(np.abs(a - b).max() / max(float(np.abs(a).max()), 1e-12))


def _truths(rng: np.random.Generator) -> tuple[Truth, ...]:
    """Boxes from ten pixels to most of the picture, some on top of others; none in the last."""
    truths = []
    for count in [*rng.integers(1, 9, PICTURES - 1), 0]:
        sides = np.exp(rng.uniform(np.log(10), np.log(0.7 * SIDE), (count, 2)))
        corner = rng.uniform(0, SIDE - sides)
        boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
        truths.append(Truth(boxes, rng.integers(0, len(CLASSES), count)))
    return tuple(truths)


def _predictions(
    rng: np.random.Generator, truths: Sequence[Truth], anchors: Anchors
) -> tuple[Float, Float]:
    """Logits ``(N, A, C)`` and ``(N, A, 4 * BINS)`` of a network that is half way.

    Anchors say roughly the box that they lie in. Where several are equally bad, either code may
    pick any of them for a box; but an anchor inside a box overlaps it whatever it says, so that
    only anchors outside are equally bad, at nothing, and those neither code picks.
    """
    count = len(anchors.points)
    logits = rng.normal(-2, 1.5, (len(truths), count, len(CLASSES)))
    distances = rng.uniform(0.5, 6, (len(truths), count, 4))
    for picture, truth in enumerate(truths):
        for box in truth.boxes:
            away = np.concatenate([anchors.points - box[:2], box[2:] - anchors.points], axis=1)
            inside = (away > 0).all(axis=1)
            said = away / anchors.strides[:, None] * np.exp(rng.normal(0, 0.3, away.shape))
            distances[picture, inside] = said[inside]
    away = np.arange(BINS) - distances.clip(0, BINS - 1)[..., None]
    edges = rng.normal(0, 0.3, away.shape) - away**2 / 2
    return logits.astype(np.float32), edges.reshape(*edges.shape[:2], -1).astype(np.float32)


def _levels(logits: Float, edges: Float, anchors: Anchors) -> list[LevelMaps]:
    """The same as maps of each stride, whose gradients are wanted."""
    levels, start = [], 0
    for stride, count in zip(STRIDES, anchors.counts, strict=True):
        pair = []
        for values in (logits, edges):
            part = values[:, start : start + count].transpose(0, 2, 1)
            part = part.reshape(*part.shape[:2], SIDE // stride, SIDE // stride)
            pair.append(paddle.to_tensor(part, stop_gradient=False))
        levels.append((pair[0], pair[1]))
        start += count
    return levels


def _their_loss(
    head: nn.Layer, levels: Sequence[LevelMaps], truths: Sequence[Truth], aligned: bool
) -> dict[str, Tensor]:
    """Losses of raw maps; what the official head does between its last convolutions and these."""
    flat = [
        paddle.concat([maps[kind].flatten(2) for maps in levels], axis=2).transpose([0, 2, 1])
        for kind in range(2)
    ]
    boxes, points, counts, strides = peer.grid([maps[0] for maps in levels])
    outs = [F.sigmoid(flat[0]), flat[1], boxes, points, counts, strides]
    losses: dict[str, Tensor] = head.get_loss(outs, peer.padded(truths, aligned=aligned))
    return losses


def _both_assign(
    head: nn.Layer,
    logits: Float,
    edges: Float,
    truths: Sequence[Truth],
    anchors: Anchors,
    aligned: bool,
) -> tuple[NDArray[np.int64], Float, NDArray[np.int64], Float]:
    """Box ``(N, A)``, -1 for none, and score ``(N, A)`` of each anchor: theirs, then ours."""
    levels = _levels(logits, edges, anchors)
    boxes, points, counts, strides = peer.grid([maps[0] for maps in levels])
    with paddle.no_grad():
        predicted = head._bbox_decode(points / strides, paddle.to_tensor(edges)) * strides
    scores = F.sigmoid(paddle.to_tensor(logits))
    truth = peer.padded(truths, aligned=aligned)
    given = (truth["gt_class"], truth["gt_bbox"], truth["pad_gt_mask"], len(CLASSES))
    if aligned:
        _, _, wanted, mask = head.assigner(scores, predicted, points, counts, *given)
    else:
        _, _, wanted, mask = head.static_assigner(boxes, counts, *given, pred_bboxes=predicted)
    their_box = np.where(mask.numpy().any(axis=1), mask.numpy().argmax(axis=1), -1)
    own: list[Assignment] = [
        assign_task_aligned(
            anchors, one.boxes, one.classes, predicted[i].numpy(), scores[i].numpy()
        )
        if aligned
        else assign_atss(anchors, one.boxes, predicted[i].numpy())
        for i, one in enumerate(truths)
    ]
    our_box = np.stack([each.box for each in own])
    our_score = np.stack([each.score for each in own])
    return their_box.astype(np.int64), wanted.numpy().max(axis=2), our_box, our_score
