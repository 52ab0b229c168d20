"""From the outputs of a PP-YOLOE network to boxes in pixels of its input.

The head and its anchor points are those of Xu et al., "PP-YOLOE: An evolved version of YOLO",
2022, section 2.3; the order of the levels is PaddleDetection's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineError

__all__ = ["anchor_grid", "check_outputs", "choose", "decode"]

STRIDES = (32, 16, 8)
"""Pixels of the input to a cell, the coarsest level first."""

KEPT_SIZES = 8
"""Input sizes whose anchors are remembered: 0.3 MB each at 640x640."""

SLACK = 0.01
"""By how much a score may leave 0 to 1: INT8 and FP16 round their sigmoid."""


@lru_cache(maxsize=KEPT_SIZES)
def anchor_grid(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Anchor points of an input, and what a distance of 1 from them is.

    Parameters
    ----------
    height, width
        Multiples of 32.

    Returns
    -------
    ``(4, A) float32`` x, y, x, y of the points, and ``(4, A) float32`` strides, those to the left
    and top negative: ``points + distances * strides`` are boxes. Both are read-only.
    """
    levels, steps = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
        x, y = ((axis.ravel() + 0.5) * stride for axis in (columns, rows))
        levels.append(np.stack([x, y, x, y]))
        steps.append(np.outer((-stride, -stride, stride, stride), np.ones(x.size)))
    points = np.concatenate(levels, axis=1).astype(np.float32)
    strides = np.concatenate(steps, axis=1).astype(np.float32)
    points.setflags(write=False)
    strides.setflags(write=False)
    return points, strides


def check_outputs(
    outputs: Sequence[NDArray[np.generic]], labels: int, anchors: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take the two outputs of a network apart, if they are what they should be.

    Parameters
    ----------
    outputs
        Distances ``(1, 4, A)`` and scores ``(1, C, A)``, float32.
    labels, anchors
        C and A.

    Returns
    -------
    Distances ``(4, A) float32`` in strides, and scores ``(C, A) float32``.

    Raises
    ------
    EngineError
        They are not: values that are no numbers would pass for a part without defects.
    """
    shapes = [tuple(output.shape) for output in outputs]
    fit = len(shapes) == 2 and shapes[0] == (1, 4, anchors)
    if fit and shapes[1][:1] == (1,) and shapes[1][2:] == (anchors,) and shapes[1][1] != labels:
        raise EngineError(
            f"the detector puts out scores of {shapes[1][1]} classes, its configuration has "
            f"{labels} labels: take the file that was written with the model"
        )
    if not fit or shapes[1] != (1, labels, anchors):
        raise EngineError(
            f"the detector puts out {' and '.join(map(str, shapes))}, not distances "
            f"{(1, 4, anchors)} and scores {(1, labels, anchors)}: export it without decoding "
            "and without NMS"
        )
    distances, scores = (np.asarray(output[0], np.float32) for output in outputs)
    # NaN fails every comparison, so that one test finds it as well.
    if not (np.isfinite(distances.sum()) and -SLACK <= scores.min() <= scores.max() <= 1 + SLACK):
        raise EngineError(
            "the detector puts out distances that are no numbers or scores outside 0 to 1: its "
            "model file or its engine is faulty, take another"
        )
    return distances, scores


def choose(
    scores: NDArray[np.float32], threshold: float, limit: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], float]:
    """The anchors that are worth a box: those of a class with at least ``threshold``.

    An anchor may stand for several classes, as in PaddleDetection's ``multiclass_nms``.

    Parameters
    ----------
    scores
        ``(C, A) float32``.
    limit
        So many of a class, the best.

    Returns
    -------
    Classes ``(N,)`` and anchors ``(N,)``, and the score from which on none is missing:
    ``threshold``, unless there were more than ``limit``.
    """
    found = np.flatnonzero(scores >= np.float32(threshold))
    classes, anchors = np.divmod(found, scores.shape[1])
    if found.size <= limit:
        return classes, anchors, threshold
    floor = threshold
    kept = np.ones(found.size, np.bool_)
    for label in np.flatnonzero(np.bincount(classes) > limit):
        members = np.flatnonzero(classes == label)
        values = scores[label, anchors[members]]
        order = np.argpartition(-values, limit)
        kept[members[order[limit:]]] = False
        floor = max(floor, float(np.nextafter(values[order[limit:]].max(), np.float32(2))))
    return classes[kept], anchors[kept], floor


def decode(
    distances: NDArray[np.float32], anchors: NDArray[np.intp], height: int, width: int
) -> NDArray[np.float32]:
    """Boxes ``(N, 4) float32`` xyxy, in pixels of the input, of some of its anchors.

    Parameters
    ----------
    distances
        ``(4, A) float32`` from :func:`check_outputs`.
    anchors
        ``(N,)`` which of them.
    height, width
        Of the input.
    """
    points, strides = anchor_grid(height, width)
    boxes = distances[:, anchors] * strides[:, anchors]
    boxes += points[:, anchors]
    np.maximum(boxes[2:], boxes[:2], out=boxes[2:])  # rounding must not turn one inside out
    return np.ascontiguousarray(boxes.T)
