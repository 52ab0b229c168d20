"""How good a reading is: exact match, normalised edit distance, detection hmean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from models.ppocr.labels import Label
from models.results import TextLine

__all__ = ["DetectionCount", "count_detections", "exact", "match_quads", "ned", "quad_iou"]

MATCH_IOU = 0.5
"""Overlap from which a found line counts as the labelled one (ICDAR 2015)."""


def _plain(text: str) -> str:
    return "".join(text.split())


def exact(read: str, truth: str) -> bool:
    """Whether the texts are equal but for white space, which a recogniser cannot know."""
    return _plain(read) == _plain(truth)


def ned(read: str, truth: str) -> float:
    """1 minus edit distance over the longer length, 0 to 1, white space left out (PaddleOCR)."""
    return float(Levenshtein.normalized_similarity(_plain(read), _plain(truth)))


def quad_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two convex quads ``(4, 2) float32``."""
    shared, _ = cv2.intersectConvexConvex(one, other)
    union = cv2.contourArea(one) + cv2.contourArea(other) - shared
    return float(shared / union) if union > 0 else 0.0


def match_quads(
    found: Sequence[NDArray[np.float32]], truth: Sequence[NDArray[np.float32]]
) -> dict[int, int]:
    """Pair found quads with true ones, best overlap first, each at most once.

    Returns
    -------
    Index in ``truth`` to index in ``found``, for pairs of IoU 0.5 and more.
    """
    overlaps = [
        (quad_iou(quad, true), i, j) for i, true in enumerate(truth) for j, quad in enumerate(found)
    ]
    pairs: dict[int, int] = {}
    for overlap, i, j in sorted(overlaps, key=lambda each: -each[0]):
        if overlap < MATCH_IOU:
            break
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return pairs


@dataclass(frozen=True)
class DetectionCount:
    """Lines of one or more photos, counted as ICDAR 2015 does, and their texts.

    Attributes
    ----------
    hits, found, labelled
        Matched lines, found lines and labelled lines, unreadable ones left out of all three.
    exact, ned
        Sums over the labelled lines; a line that was not found counts 0.
    """

    hits: int = 0
    found: int = 0
    labelled: int = 0
    exact: int = 0
    ned: float = 0.0

    def __add__(self, other: DetectionCount) -> DetectionCount:
        return DetectionCount(
            self.hits + other.hits,
            self.found + other.found,
            self.labelled + other.labelled,
            self.exact + other.exact,
            self.ned + other.ned,
        )

    @property
    def precision(self) -> float:
        """Share of the found lines that are there; 1 if nothing was found."""
        return self.hits / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled lines that were found; 1 if none is labelled."""
        return self.hits / self.labelled if self.labelled else 1.0

    @property
    def hmean(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def count_detections(lines: Sequence[TextLine], labels: Sequence[Label]) -> DetectionCount:
    """Compare the lines found on one photo with its labels."""
    pairs = match_quads([line.quad for line in lines], [label.quad for label in labels])
    ignored = sum(labels[i].ignored for i in pairs)
    scored = [(label, pairs.get(i)) for i, label in enumerate(labels) if not label.ignored]
    texts = [(lines[j].text if j is not None else "", label.text) for label, j in scored]
    return DetectionCount(
        hits=sum(j is not None for _, j in scored),
        found=len(lines) - ignored,
        labelled=len(scored),
        exact=sum(exact(read, truth) for read, truth in texts),
        ned=sum(ned(read, truth) for read, truth in texts),
    )
