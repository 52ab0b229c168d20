"""PP-YOLOE: average precision, counted so that it can be had of any choice of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.datasets import Item
from compress.metrics.base import Counts, Evaluation, Feeds, Network, Progress
from models.errors import InputError
from models.images import load_image
from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.dataset import Picture
from models.ppyoloe.detector import INPUT, Detector
from models.ppyoloe.prepare import fill_input, plan_views, value_tables
from models.ppyoloe.score import overlaps
from models.results import Defect

__all__ = ["DefectMetric"]

FLOOR = 0.01
"""Score from which on everything counts: AP is measured over all scores."""

KEPT = 100
"""Best ones of each class and picture that COCO looks at."""

IOUS = np.linspace(0.5, 0.95, 10)
"""COCO's ten thresholds; their mean is AP, the first is AP50."""

RECALLS = np.linspace(0, 1, 101)
"""At which COCO samples the curve."""

_HIT, _IGNORED = 1, 2
"""What a found thing may be, apart from a miss, 0."""

_Ranked = tuple[NDArray[np.intp], NDArray[np.int64]]


class DefectMetric:
    """COCO's average precision, IoU 0.5 or the mean over 0.5 to 0.95.

    A row holds, for one picture: how many defects of each class are labelled, then for each thing
    that was found its class, its score, and ten digits in base 3 that say what it is at each IoU
    (miss, hit, ignored); the end is filled up with class -1.

    Parameters
    ----------
    config
        What goes with the model.
    labels
        Class names of the data, in the order of its numbers.
    name
        Which of the two.
    fixed
        The network takes inputs of the configuration's size alone.

    Raises
    ------
    InputError
        The classes of the data are not those of the model.
    """

    def __init__(
        self,
        config: DetectorConfig,
        labels: Sequence[str],
        name: Literal["AP50", "AP"] = "AP50",
        *,
        fixed: bool = False,
    ) -> None:
        if set(labels) != set(config.labels):
            raise InputError(
                f"classes of the data are {', '.join(labels)}, of the model "
                f"{', '.join(config.labels)}: the names must be the same"
            )
        self.name: str = name
        self._config, self._labels, self._fixed = config, tuple(labels), fixed
        self._tables = value_tables(config)
        # The bootstrap asks a thousand times for the same two models' counts, otherwise weighed.
        self._known: list[tuple[Counts, list[_Ranked]]] = []

    def feeds(self, item: Item) -> Iterator[Feeds]:
        """Each view of the picture."""
        image = load_image(item.path)
        height, width = image.shape[:2]
        for view in plan_views(width, height, self._config, fixed=self._fixed):
            tensor = np.empty((1, 3, view.size[1], view.size[0]), np.float32)
            fill_input(tensor[0], image, view, self._tables)
            yield {INPUT: tensor}

    def evaluate(
        self, network: Network, items: Sequence[Item], progress: Progress | None = None
    ) -> Evaluation:
        """Answers are lists of class, score and box, those below the model's threshold left out."""
        detector = Detector(network, self._config)
        rows: list[list[float]] = []
        answers: list[Any] = []
        scores = []
        for item in items:
            picture = item.truth
            if not isinstance(picture, Picture):
                raise InputError(f"{item.path}: has no labelled defects: give a COCO file")
            found = detector.detect(load_image(item.path), threshold=FLOOR)
            rows.append(self._row(picture, found))
            sure = [each for each in found if each.score >= self._config.threshold]
            answers.append(
                [[d.label, round(float(d.score), 4), np.round(d.box, 1).tolist()] for d in sure]
            )
            scores.append(self._score(picture, sure))
            if progress:
                progress(len(rows), len(items))
        width = max((len(row) for row in rows), default=0)
        counts = np.full((len(rows), width), -1.0)
        for filled, row in zip(counts, rows, strict=True):
            filled[: len(row)] = row
        return Evaluation(self.value_of(counts), counts, answers, np.array(scores, np.float64))

    def value_of(self, per_item: Counts, weights: Counts | None = None) -> float:
        """AP50 or AP, mean over the classes that are labelled; 0 if none is."""
        return self._precision(per_item, weights, len(IOUS) if self.name == "AP" else 1)

    def more(self, per_item: Counts) -> dict[str, float]:
        """The other one of the two."""
        other = "AP" if self.name == "AP50" else "AP50"
        return {other: self._precision(per_item, None, len(IOUS) if other == "AP" else 1)}

    def _precision(self, per_item: Counts, weights: Counts | None, ious: int) -> float:
        weights = np.ones(len(per_item)) if weights is None else weights
        labelled = weights @ per_item[:, : len(self._labels)]
        values = [
            _area((own // 3**power) % 3, weights[pictures], labelled[index])
            for index, (pictures, own) in enumerate(self._ranked(per_item))
            if labelled[index]
            for power in range(ious)
        ]
        return float(np.mean(values)) if values else 0.0

    def _ranked(self, per_item: Counts) -> list[_Ranked]:
        """What was found of each class, the surest first: its picture, and what it is."""
        for counts, ranked in self._known:
            if counts is per_item:
                return ranked
        classes = len(self._labels)
        found = per_item[:, classes:].reshape(len(per_item), -1, 3)
        ranked = []
        for index in range(classes):
            pictures, places = np.nonzero(found[:, :, 0] == index)
            own = found[pictures, places]
            order = np.argsort(-own[:, 1], kind="stable")
            ranked.append((pictures[order], own[order, 2].astype(np.int64)))
        self._known = [*self._known[-1:], (per_item, ranked)]
        return ranked

    def _row(self, picture: Picture, found: Sequence[Defect]) -> list[float]:
        row = [
            float(((picture.classes == index) & ~picture.crowd).sum())
            for index in range(len(self._labels))
        ]
        for index, label in enumerate(self._labels):
            own = [each for each in found if each.label == label]
            own = sorted(own, key=lambda each: -each.score)[:KEPT]
            mine = picture.classes == index
            codes = _match(own, picture.boxes[mine], picture.crowd[mine])
            for defect, code in zip(own, codes, strict=True):
                row += [float(index), float(defect.score), float(code)]
        return row

    def _score(self, picture: Picture, sure: Sequence[Defect]) -> float:
        """Harmonic mean of precision and recall of one picture, at the model's threshold."""
        hits = 0
        labelled = int((~picture.crowd).sum())
        counted = 0
        for index, label in enumerate(self._labels):
            own = sorted((d for d in sure if d.label == label), key=lambda each: -each.score)
            mine = picture.classes == index
            said = [code % 3 for code in _match(own, picture.boxes[mine], picture.crowd[mine])]
            hits += said.count(_HIT)
            counted += len(said) - said.count(_IGNORED)
        return 2 * hits / (counted + labelled) if counted + labelled else 1.0


def _match(
    found: Sequence[Defect], boxes: NDArray[np.float32], crowd: NDArray[np.bool_]
) -> list[int]:
    """What each found one is at each IoU, ten digits in base 3; the surest choose first.

    As pycocotools' ``evaluateImg``: of the labelled boxes that nobody has, the one of the largest
    overlap; a crowd only if there is none, and any number of times.
    """
    codes = [0] * len(found)
    if not found or not len(boxes):
        return codes
    iou = overlaps(np.stack([each.box for each in found]), boxes, crowd)
    for power, least in enumerate(IOUS):
        free = ~crowd
        for number, row in enumerate(iou):
            open_ = np.where(free, row, -1)
            best = int(open_.argmax())
            if open_[best] >= min(least, 1 - 1e-10):
                free[best] = False
                codes[number] += _HIT * 3**power
            elif (row[crowd] >= least).any():
                codes[number] += _IGNORED * 3**power
    return codes


def _area(said: NDArray[np.int64], weights: Counts, labelled: float) -> float:
    """Area under the curve of precision over recall, sampled at 101 points as COCO does.

    Parameters
    ----------
    said
        Miss, hit or ignored, the surest first.
    weights
        How often each counts.
    labelled
        How many there are to be found.
    """
    hits = np.cumsum(weights * (said == _HIT))
    counted = np.cumsum(weights * (said != _IGNORED))
    if not len(hits) or not hits[-1]:
        return 0.0
    precision = hits / np.maximum(counted, np.finfo(np.float64).tiny)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / labelled, RECALLS, side="left")
    return float(np.append(precision, 0.0)[at].mean())
