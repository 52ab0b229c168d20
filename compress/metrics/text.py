"""PP-OCR's three networks, measured through the code that reads on the box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compress.datasets import Item
from compress.metrics.base import Counts, Evaluation, Feeds, Network, Progress, summed
from models.images import load_image
from models.ppocr.cls import cls_input
from models.ppocr.det import add_margin, det_input
from models.ppocr.geometry import UPRIGHT_RATIO
from models.ppocr.labels import Label
from models.ppocr.reader import Reader
from models.ppocr.rec import plan_batches, rec_input
from models.ppocr.score import exact, match_quads
from models.stopwatch import Stopwatch

__all__ = ["INPUT", "ClsMetric", "DetMetric", "RecMetric"]

INPUT = "x"
"""What every PP-OCR network calls its input."""

_UPRIGHT, _TURNED = 0, 1


class RecMetric:
    """Share of the lines that are read exactly, white space left out.

    Parameters
    ----------
    dictionary
        As of :func:`models.ppocr.rec.load_dictionary`.
    mode
        *fixed*: lines are upright. *label*: both ways up are read, the surer reading is kept.
    """

    name = "exact match"

    def __init__(
        self, dictionary: Sequence[str], mode: Literal["fixed", "label"] = "fixed"
    ) -> None:
        self._dictionary, self._mode = dictionary, mode

    def feeds(self, item: Item) -> Iterator[Feeds]:
        """The line; in *label* mode both ways up, as one batch."""
        image = load_image(item.path)
        if self._mode == "fixed":
            views = [image]
        else:
            if image.shape[0] >= image.shape[1] * UPRIGHT_RATIO:
                image = np.rot90(image)
            views = [np.ascontiguousarray(image), np.ascontiguousarray(image[::-1, ::-1])]
        for width, members in plan_batches(views):
            yield {INPUT: rec_input([views[i] for i in members], width)}

    def evaluate(
        self, network: Network, items: Sequence[Item], progress: Progress | None = None
    ) -> Evaluation:
        """Rows are 1 or 0 of 1, answers texts."""
        reader = Reader(network, self._dictionary)
        answers: list[Any] = []
        for item in items:
            (line,) = reader.read(load_image(item.path), self._mode)
            answers.append(line.text)
            if progress:
                progress(len(answers), len(items))
        hits = [exact(a, str(item.truth)) for a, item in zip(answers, items, strict=True)]
        rows = np.array([(hit, 1) for hit in hits], np.float64).reshape(-1, 2)
        return Evaluation(self.value_of(rows), rows, answers, rows[:, 0])

    def value_of(self, per_item: Counts, weights: Counts | None = None) -> float:
        """Share of the lines."""
        right, lines = summed(per_item, weights)
        return float(right / lines) if lines else 0.0

    def more(self, per_item: Counts) -> dict[str, float]:
        """Nothing else."""
        return {}


class DetMetric:
    """Harmonic mean of precision and recall of lines of print, at IoU 0.5 (ICDAR 2015).

    Parameters
    ----------
    max_side
        Longest side of the input, pixels.
    """

    name = "hmean"

    def __init__(self, max_side: int) -> None:
        self._max_side = max_side

    def feeds(self, item: Item) -> Iterator[Feeds]:
        """The whole picture; with its margin, if it is small."""
        sheet, _ = add_margin(load_image(item.path))
        yield {INPUT: det_input(sheet, self._max_side)}

    def evaluate(
        self, network: Network, items: Sequence[Item], progress: Progress | None = None
    ) -> Evaluation:
        """Rows are hits, found and labelled lines; answers lists of quads."""
        # It finds with the detector alone.
        reader = Reader(network, (), det=network, max_side=self._max_side)
        rows, answers = np.zeros((len(items), 3)), []
        for number, item in enumerate(items):
            quads = reader.find(load_image(item.path), Stopwatch())
            rows[number] = _count(quads, item.truth if isinstance(item.truth, tuple) else ())
            answers.append([np.round(quad, 1).tolist() for quad in quads])
            if progress:
                progress(number + 1, len(items))
        scores = np.array([self.value_of(row[None]) for row in rows])
        return Evaluation(self.value_of(rows), rows, answers, scores)

    def value_of(self, per_item: Counts, weights: Counts | None = None) -> float:
        """Of all lines together; 1 where none is labelled and none found."""
        hits, found, labelled = summed(per_item, weights)
        return float(2 * hits / (found + labelled)) if found + labelled else 1.0

    def more(self, per_item: Counts) -> dict[str, float]:
        """Precision and recall."""
        hits, found, labelled = (float(n) for n in per_item.sum(axis=0))
        return {
            "precision": hits / found if found else 1.0,
            "recall": hits / labelled if labelled else 1.0,
        }


class ClsMetric:
    """Share of the lines of which it is known which way up they are.

    A label file may say ``0`` or ``180``, as PaddleOCR's do. Otherwise lines are taken to be
    upright, and each is shown both ways up.
    """

    name = "accuracy"

    def feeds(self, item: Item) -> Iterator[Feeds]:
        """The line, both ways up where that is not said."""
        yield {INPUT: cls_input([view for view, _ in self._views(item)])}

    def evaluate(
        self, network: Network, items: Sequence[Item], progress: Progress | None = None
    ) -> Evaluation:
        """Rows are how many are right, and of how many; answers ``0`` or ``180`` for each."""
        rows, answers = np.zeros((len(items), 2)), []
        for number, item in enumerate(items):
            views = self._views(item)
            (out,) = network.run({INPUT: cls_input([view for view, _ in views])}).values()
            said = np.asarray(out).argmax(axis=1)
            right = [int(a) == way for a, (_, way) in zip(said, views, strict=True)]
            # A NaN is no answer: argmax would take it for one.
            right = [r and bool(np.isfinite(o).all()) for r, o in zip(right, out, strict=True)]
            rows[number] = sum(right), len(right)
            answers.append([("0", "180")[int(a)] for a in said])
            if progress:
                progress(number + 1, len(items))
        return Evaluation(self.value_of(rows), rows, answers, rows[:, 0] / rows[:, 1])

    def value_of(self, per_item: Counts, weights: Counts | None = None) -> float:
        """Share of the views."""
        right, shown = summed(per_item, weights)
        return float(right / shown) if shown else 0.0

    def more(self, per_item: Counts) -> dict[str, float]:
        """Nothing else."""
        return {}

    def _views(self, item: Item) -> list[tuple[NDArray[np.uint8], int]]:
        image = load_image(item.path)
        if item.truth in ("0", "180"):
            return [(image, _TURNED if item.truth == "180" else _UPRIGHT)]
        return [(image, _UPRIGHT), (np.ascontiguousarray(image[::-1, ::-1]), _TURNED)]


def _count(found: Sequence[NDArray[np.float32]], labels: Sequence[Label]) -> tuple[int, int, int]:
    """Hits, found and labelled lines; lines that nobody could read are left out of all three."""
    pairs = match_quads(found, [label.quad for label in labels])
    ignored = sum(labels[i].ignored for i in pairs)
    labelled = sum(not label.ignored for label in labels)
    return len(pairs) - ignored, len(found) - ignored, labelled
