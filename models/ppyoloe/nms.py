"""Non-maximum suppression: of boxes that show the same thing, the surest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["suppress"]

BLOCK = 64
"""Boxes that are compared at once. Of 600, one at a time costs ten times as much in calls, all at
once six times as much in pairs that were suppressed already."""


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.intp],
    iou: float,
) -> NDArray[np.intp]:
    """Which boxes stay: greedily from the highest score, within each class.

    A box goes if its intersection over union with one that stays, of its class, is more than
    ``iou``. Two boxes without area have none. PaddleDetection's ``multiclass_nms`` on one picture
    says the same, and so does ``cv2.dnn.NMSBoxesBatched``, but for boxes without area and those
    left of or above the picture; it takes as long as this.

    Parameters
    ----------
    boxes
        ``(N, 4) float32`` xyxy.
    scores, classes
        ``(N,)``.

    Returns
    -------
    Indices ``(K,)``, the highest score first; of equal scores the first first.
    """
    order = np.argsort(-scores, kind="stable")
    # Left and top with their sign turned, so that an intersection is min(...) + min(...).
    signed = boxes[order].T * np.array([[-1], [-1], [1], [1]], np.float32)
    left, top, right, bottom = signed
    # common / (area + area - common) > iou, without a division
    part = (left + right) * (top + bottom) * np.float32(iou / (1 + iou))
    label = classes[order].astype(np.int32)

    def same(some: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
        rows = some[:, None]
        width = np.minimum(left[rows], left[others])
        width += np.minimum(right[rows], right[others])
        np.maximum(width, 0, out=width)
        height = np.minimum(top[rows], top[others])
        height += np.minimum(bottom[rows], bottom[others])
        common = np.multiply(width, height, out=width)
        found = common > np.add(part[rows], part[others], out=height)
        return np.asarray(found & (label[rows] == label[others]), np.bool_)

    waiting = np.arange(order.size)
    kept: list[NDArray[np.intp]] = []
    while waiting.size:
        block, waiting = waiting[:BLOCK], waiting[BLOCK:]
        hides = np.triu(same(block, block), 1)
        stays = np.ones(block.size, np.bool_)
        for row in np.flatnonzero(hides.any(axis=1)):
            if stays[row]:
                stays &= ~hides[row]
        kept.append(block[stays])
        if waiting.size:
            waiting = waiting[~same(kept[-1], waiting).any(axis=0)]
    return order[np.concatenate(kept)] if kept else order
