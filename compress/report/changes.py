"""Which pictures a compressed model answers worst, and what to show of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.result import Answer, Change, Changes, Mark
from models.images import load_image

__all__ = ["Candidate", "worst_changes"]

LIMIT = 24
"""Pictures on a report: a reader looks at no more."""

SIDE = 480
"""Pixels of the longer side of a picture in the report."""

LINE_HEIGHT = 64
"""Pixels of a line of print in the report."""

QUALITIES = (85, 70, 55, 40, 25)
"""Of JPEG: the next one is taken if a picture is too large with this one."""

MAX_BYTES = 56_000
"""Of one picture: 24 of them in base64 are 1.8 MB, which leaves a report below 3 MB."""

SAME_IOU = 0.5
"""Overlap from which marks are the same thing, moved."""


@dataclass(frozen=True)
class Candidate:
    """One picture of the evaluation set with both models' answers.

    Attributes
    ----------
    key
        For people: its path in the data folder.
    path
        Of the picture.
    truth, before, after
        What is right, and what the original and the compressed model say; marks in its pixels.
    loss
        What its own score lost; 0 if neither won nor lost.
    """

    key: str
    path: Path
    truth: Answer
    before: Answer
    after: Answer
    loss: float


def worst_changes(artefact: str, candidates: Iterable[Candidate]) -> Changes:
    """Count what changed, and cut the worst 24 out of their pictures.

    Marks that moved a little are no change: those of a picture are compared by their number, of
    each label.

    Parameters
    ----------
    artefact
        Name of the one that gave ``after``.

    Raises
    ------
    ImageError
        A picture cannot be read.
    """
    known = list(candidates)
    worse = [each for each in known if each.loss > 0]
    better = [each for each in known if each.loss < 0]
    other = [each for each in known if each.loss == 0 and _said(each.before) != _said(each.after)]
    worst = sorted(worse, key=lambda each: (-each.loss, each.key))
    worst += sorted(other, key=lambda each: each.key)
    return Changes(
        artefact=artefact,
        worse=len(worse),
        better=len(better),
        other=len(other),
        same=len(known) - len(worse) - len(better) - len(other),
        worst=tuple(_change(each) for each in worst[:LIMIT]),
    )


def _said(answer: Answer) -> str | Counter[str]:
    return answer if isinstance(answer, str) else Counter(mark.label for mark in answer)


def _change(of: Candidate) -> Change:
    image = load_image(of.path)
    answers = (of.truth, of.before, of.after)
    if all(isinstance(each, str) for each in answers):
        factor = min(LINE_HEIGHT / image.shape[0], SIDE / image.shape[1], 1.0)
        corner = np.zeros(2)
    else:
        x0, y0, x1, y1 = _window(_marks(of.before), _marks(of.after), image.shape)
        image, corner = np.ascontiguousarray(image[y0:y1, x0:x1]), np.array([x0, y0], np.float64)
        factor = min(SIDE / max(image.shape[:2]), 1.0)
    if factor < 1:
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    truth, before, after = (
        each if isinstance(each, str) else tuple(_moved(mark, corner, factor) for mark in each)
        for each in answers
    )
    return Change(
        key=of.key, truth=truth, before=before, after=after, loss=of.loss, jpeg=_jpeg(image)
    )


def _marks(answer: Answer) -> Sequence[Mark]:
    return () if isinstance(answer, str) else answer


def _moved(mark: Mark, corner: NDArray[np.float64], factor: float) -> Mark:
    points = (np.array(mark.points, np.float64).reshape(-1, 2) - corner) * factor
    return mark.model_copy(update={"points": tuple((round(x, 1), round(y, 1)) for x, y in points)})


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    for quality in QUALITIES:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= MAX_BYTES:
            break
    return data


def _window(
    before: Sequence[Mark], after: Sequence[Mark], shape: Sequence[int]
) -> tuple[int, int, int, int]:
    """What to show of a large picture: the surroundings of the first mark that only one has."""
    height, width = shape[:2]
    boxes = [[_box(mark) for mark in marks] for marks in (before, after)]
    lonely = [
        box
        for mine, others in (boxes, boxes[::-1])
        for box in mine
        if all(_overlap(box, other) < SAME_IOU for other in others)
    ]
    if not lonely or max(height, width) <= SIDE:
        return 0, 0, width, height
    x0, y0, x1, y1 = lonely[0]
    side = max(SIDE, round(3 * max(x1 - x0, y1 - y0)))
    wide, high = min(side, width), min(side, height)
    left = int(np.clip((x0 + x1 - wide) / 2, 0, width - wide))
    top = int(np.clip((y0 + y1 - high) / 2, 0, height - high))
    return left, top, left + wide, top + high


def _box(mark: Mark) -> tuple[float, float, float, float]:
    points = np.array(mark.points, np.float64).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two xyxy boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    union = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)) - shared
    return shared / union if union > 0 else 0.0
