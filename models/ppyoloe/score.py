"""What an inspector asks of a detector: which parts it lets pass, and which it rejects for nothing.

A part is one picture. It is defective if a defect is labelled on it, and rejected if anything of
any class is found on it with at least the threshold's score. An *escape* is a defective part that
is passed, a *false reject* a sound one that is rejected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ppyoloe.dataset import Dataset, Picture
from models.results import Defect

__all__ = [
    "MATCH_IOU",
    "ClassCount",
    "Comparison",
    "Curve",
    "Rate",
    "compare",
    "count_classes",
    "overlaps",
    "part_curve",
    "part_rates",
    "part_scores",
    "threshold_for",
]

MATCH_IOU = 0.5
"""Overlap from which a found box counts as the labelled one (Pascal VOC, COCO's AP50)."""

Z95 = 1.959964
"""Standard deviations that hold 95% of a normal distribution."""


@dataclass(frozen=True)
class Rate:
    """``count`` of ``total`` parts.

    >>> Rate(1, 250).value
    0.004
    """

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """0 to 1; ``None`` where there is not one part of that kind."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% confidence interval after Wilson (1927), which holds near 0 and for few parts too."""
        if not self.total:
            return None
        n, p, z2 = self.total, self.count / self.total, Z95**2
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        low = 0.0 if self.count == 0 else centre - half  # exactly, whatever the rounding
        high = 1.0 if self.count == n else centre + half
        return low, high


@dataclass(frozen=True, eq=False)
class Curve:
    """Both rates at every threshold at which one of them may change.

    Attributes
    ----------
    thresholds
        ``(K,) float32``, ascending.
    escape_rate, false_reject_rate
        ``(K,) float64``, 0 to 1; ``None`` without defective, or without sound parts.
    """

    thresholds: NDArray[np.float32]
    escape_rate: NDArray[np.float64] | None
    false_reject_rate: NDArray[np.float64] | None


def part_scores(
    dataset: Dataset, found: Mapping[int, Sequence[Defect]]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Truth and verdict of each part, in the set's order.

    Parameters
    ----------
    found
        What was found, by picture id; a picture without an entry has nothing.

    Returns
    -------
    ``(N,) bool`` whether it is defective, and ``(N,) float32`` its best score of any class, 0 where
    nothing was found.
    """
    defective = np.array([picture.defective for picture in dataset.pictures], np.bool_)
    best = [
        max((defect.score for defect in found.get(picture.id, ())), default=0.0)
        for picture in dataset.pictures
    ]
    return defective, np.array(best, np.float32)


def part_rates(
    truth_defective: NDArray[np.bool_], top_score: NDArray[np.float32], threshold: float
) -> tuple[Rate, Rate]:
    """Escapes among the defective parts, and false rejects among the sound ones."""
    rejected = top_score.astype(np.float64) >= threshold  # as the rules compare: not rounded
    sound = ~truth_defective
    return (
        Rate(int((truth_defective & ~rejected).sum()), int(truth_defective.sum())),
        Rate(int((sound & rejected).sum()), int(sound.sum())),
    )


def part_curve(truth_defective: NDArray[np.bool_], top_score: NDArray[np.float32]) -> Curve:
    """Escape rate and false-reject rate over the threshold.

    Parameters
    ----------
    truth_defective
        ``(N,) bool``.
    top_score
        ``(N,) float32``, 0 to 1; 0 where nothing was found, so that no threshold rejects it.
    """
    thresholds = np.unique(np.append(top_score[top_score > 0], np.float32(1)))

    def below(scores: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Share of the parts that pass at each threshold."""
        if not len(scores):
            return None
        passed = np.searchsorted(np.sort(scores), thresholds, side="left")
        return np.asarray(passed / len(scores), np.float64)

    sound_passed = below(top_score[~truth_defective])
    return Curve(
        thresholds,
        below(top_score[truth_defective]),
        None if sound_passed is None else 1 - sound_passed,
    )


def threshold_for(curve: Curve, escape: float) -> float | None:
    """The highest threshold whose escape rate is at most ``escape``.

    Returns
    -------
    ``None`` if there is none, since more than that share of the defective parts has nothing found
    on it at all, or since there are no defective parts.
    """
    if curve.escape_rate is None:
        return None
    holds = np.flatnonzero(curve.escape_rate <= escape)
    return float(curve.thresholds[holds[-1]]) if len(holds) else None


def overlaps(
    boxes: NDArray[np.float32], others: NDArray[np.float32], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Intersection over union of each of ``(N, 4)`` with each of ``(M, 4)`` boxes, xyxy.

    Where ``crowd`` ``(M,)`` is set, intersection over the area of the first box, as in COCO.

    Returns
    -------
    ``(N, M)``, 0 to 1; the boxes must have an area.
    """
    one, other = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=2)
    area = (one[..., 2:] - one[..., :2]).prod(axis=2)
    other_area = (other[..., 2:] - other[..., :2]).prod(axis=2)
    union = np.where(crowd[None], area, area + other_area - shared)
    return np.asarray(shared / np.maximum(union, np.finfo(np.float64).tiny), np.float64)


@dataclass(frozen=True)
class Comparison:
    """What was found on a picture against what is labelled on it.

    Attributes
    ----------
    hits
        Index of a labelled box to index of the defect that found it.
    missed
        Indices of labelled boxes, crowds left out.
    false_alarms
        Indices of found defects that are none, or of another class.
    """

    hits: Mapping[int, int]
    missed: tuple[int, ...]
    false_alarms: tuple[int, ...]


def compare(picture: Picture, labels: Sequence[str], found: Sequence[Defect]) -> Comparison:
    """Pair what was found with what is labelled, class by class at IoU 0.5, best score first.

    Each labelled box is found once, by the best overlap that is left, as COCO counts; what lies in
    a crowd is neither hit nor false alarm.
    """
    boxes = np.array([defect.box for defect in found], np.float32).reshape(-1, 4)
    table = overlaps(boxes, picture.boxes, picture.crowd)
    names = np.array([labels[index] for index in picture.classes], np.str_)
    hits: dict[int, int] = {}
    false_alarms = []
    for index in sorted(range(len(found)), key=lambda each: -found[each].score):
        row = np.where(names == found[index].label, table[index], 0.0)
        taken = list(hits)
        row[taken] = 0.0
        alone = np.where(picture.crowd, 0.0, row)
        if alone.size and alone.max() >= MATCH_IOU:
            hits[int(alone.argmax())] = index
        elif not row.size or row.max() < MATCH_IOU:
            false_alarms.append(index)
    missed = (int(index) for index in np.flatnonzero(~picture.crowd))
    return Comparison(hits, tuple(i for i in missed if i not in hits), tuple(false_alarms))


@dataclass(frozen=True)
class ClassCount:
    """Defects of one class: labelled and found, labelled and missed, found and not labelled."""

    found: int = 0
    missed: int = 0
    false_alarms: int = 0


def count_classes(
    dataset: Dataset, found: Mapping[int, Sequence[Defect]], threshold: float
) -> dict[str, ClassCount]:
    """Count defects, class by class, of all that is found with at least ``threshold``."""
    hits, missed, alarms = (dict.fromkeys(dataset.labels, 0) for _ in range(3))
    for picture in dataset.pictures:
        defects = [each for each in found.get(picture.id, ()) if each.score >= threshold]
        outcome = compare(picture, dataset.labels, defects)
        for index in outcome.hits:
            hits[dataset.labels[picture.classes[index]]] += 1
        for index in outcome.missed:
            missed[dataset.labels[picture.classes[index]]] += 1
        for index in outcome.false_alarms:
            alarms[defects[index].label] += 1
    return {each: ClassCount(hits[each], missed[each], alarms[each]) for each in dataset.labels}
