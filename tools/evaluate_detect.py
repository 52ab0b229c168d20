"""Scoring a detector on labelled pictures; ``lineguard eval detect`` prints what comes out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.images import load_image
from models.ppyoloe.coco import load_coco
from models.ppyoloe.coco_ap import CocoScores, coco_scores
from models.ppyoloe.dataset import Dataset, Progress
from models.ppyoloe.layout import image_folder, open_dataset
from models.ppyoloe.score import (
    ClassCount,
    Curve,
    Rate,
    count_classes,
    part_curve,
    part_rates,
    part_scores,
    threshold_for,
)
from models.results import Defect

__all__ = [
    "FLOOR",
    "DetectScores",
    "Finder",
    "Found",
    "check_labels",
    "curve_points",
    "find_all",
    "labelled",
    "score_detections",
]

FLOOR = 0.01
"""Score from which on everything is kept, whatever the threshold: AP is measured over all scores
(PaddleDetection's ``score_threshold`` of evaluation)."""

POINTS = 50
"""Points of the curve in the report; a plot shows no more."""

Found = dict[int, tuple[Defect, ...]]
"""What was found on each picture, by its id."""


class Finder(Protocol):
    """What is scored: a detector."""

    def detect(
        self, image: NDArray[np.uint8], *, threshold: float | None = None
    ) -> tuple[Defect, ...]:
        """All defects on ``(H, W, 3) uint8`` BGR with at least the threshold's score."""
        ...


def labelled(data: Path, images: Path | None, progress: Progress | None = None) -> Dataset:
    """The pictures to measure with: of a COCO file, or the validation set of a folder.

    Parameters
    ----------
    images
        What the file's names are relative to; left out, a folder beside the file is looked for.
    progress
        As of :func:`check_pictures`; left out, the image files are looked for, not opened.

    Raises
    ------
    InputError
        As :func:`load_coco` and :func:`open_dataset`; or the folder has no validation set.
    """
    if not os.path.isdir(data):  # Path.is_dir raises of a name that is too long
        return load_coco(data, images or image_folder(data.parent, data), progress)
    if images is not None:
        raise InputError(f"{images}: --images goes with a COCO file: {data} is a folder")
    val = open_dataset(data, progress).val
    if val is None:
        raise InputError(f"{data}: has one set alone, no validation set: name its file instead")
    return val


def check_labels(labels: Sequence[str], dataset: Dataset, model: str, data: Path) -> None:
    """``InputError`` unless the model's classes are the set's, in whatever order."""
    if set(labels) != set(dataset.labels):
        raise InputError(
            f"{data}: classes {', '.join(dataset.labels)}, but {model} finds {', '.join(labels)}: "
            "the names must be the same"
        )


def find_all(
    finder: Finder,
    dataset: Dataset,
    floor: float,
    progress: Progress = iter,
) -> Found:
    """Run the detector on every picture, keeping all scores from ``floor`` on."""
    return {
        picture.id: finder.detect(load_image(picture.path), threshold=floor)
        for picture in progress(dataset.pictures)
    }


@dataclass(frozen=True, eq=False)
class DetectScores:
    """All figures of a detector on one set.

    Attributes
    ----------
    coco
        Average precision, over all scores.
    threshold
        At which parts are rejected and ``defects`` counted.
    escapes, false_rejects
        Of the defective, and of the sound parts.
    defects
        By class.
    curve
        Both rates over the threshold.
    escape, threshold_at_escape
        A wanted escape rate, and the highest threshold that holds it; ``None`` if none does.
    """

    coco: CocoScores
    threshold: float
    escapes: Rate
    false_rejects: Rate
    defects: dict[str, ClassCount]
    curve: Curve
    escape: float
    threshold_at_escape: float | None

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` prints; rates without parts are ``None``."""
        return {
            **asdict(self.coco),
            "parts": self.escapes.total + self.false_rejects.total,
            "defective": self.escapes.total,
            "threshold": self.threshold,
            "escape_rate": self.escapes.value,
            "escape_rate_95": self.escapes.interval,
            "false_reject_rate": self.false_rejects.value,
            "false_reject_rate_95": self.false_rejects.interval,
            "defects": {label: asdict(count) for label, count in self.defects.items()},
            "curve": curve_points(self.curve),
            "escape": self.escape,
            "threshold_at_escape": self.threshold_at_escape,
        }


def score_detections(
    dataset: Dataset, found: Found, threshold: float, escape: float
) -> DetectScores:
    """Score what was found; parameters as the attributes of :class:`DetectScores`."""
    defective, top = part_scores(dataset, found)
    curve = part_curve(defective, top)
    escapes, false_rejects = part_rates(defective, top, threshold)
    return DetectScores(
        coco_scores(dataset, found),
        threshold,
        escapes,
        false_rejects,
        count_classes(dataset, found, threshold),
        curve,
        escape,
        threshold_for(curve, escape),
    )


def curve_points(curve: Curve) -> list[dict[str, float | None]]:
    """At most fifty points of a curve, the first and the last among them."""
    count = len(curve.thresholds)
    chosen = np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(int))
    return [
        {
            "threshold": float(curve.thresholds[index]),
            "escape_rate": None if curve.escape_rate is None else float(curve.escape_rate[index]),
            "false_reject_rate": None
            if curve.false_reject_rate is None
            else float(curve.false_reject_rate[index]),
        }
        for index in chosen
    ]
