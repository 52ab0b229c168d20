"""Training a detector from a data set to the files that a box needs."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from edge.families.ppyoloe import open_detector
from models.atomic import write_atomic
from models.errors import InputError
from models.images import encode_image
from models.ppyoloe.coco import load_coco
from models.ppyoloe.coco_ap import CocoScores, coco_scores
from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.dataset import Dataset
from models.ppyoloe.layout import image_folder, open_dataset
from models.ppyoloe.train.augment import Fit
from models.ppyoloe.train.export import export_onnx, save_pdparams
from models.ppyoloe.train.split import hold_out
from models.ppyoloe.train.trainer import Trainer
from models.ppyoloe.train.weights import Start, load_pdparams
from models.zoo import resolve
from tools.evaluate_detect import FLOOR, Found, find_all
from tools.mistakes import mistakes_sheet, worst_mistakes
from tools.plots import training_plot

__all__ = [
    "Progress",
    "Run",
    "Stopped",
    "check_sizes",
    "starter",
    "stopped_between_steps",
    "training_sets",
]

CHECKPOINT_S = 120.0
"""Seconds of training that a power cut may cost."""

EVALUATIONS = 10
"""Over a training: enough for a curve."""

EVALUATION_SHARE = 0.2
"""Of the time at most: in a short training there are fewer."""

SMOOTH = 0.95
"""Of the loss that is shown; single batches jump."""

Progress = Callable[[Any], Any]
"""Goes through pictures and shows how far it is."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The training was asked to stop, and is saved."""


def training_sets(
    data: Path, images: Path | None, seed: int, progress: Progress
) -> tuple[Dataset, Dataset]:
    """What to learn from and what to check with, every file of both opened and found sound.

    A set without a validation split has a twentieth of its pictures held back.

    Raises
    ------
    InputError
        All faults of the data at once.
    """
    if data.is_dir():
        if images is not None:
            raise InputError(f"{images}: --images goes with a COCO file: {data} is a folder")
        splits = open_dataset(data, progress)
        if splits.val is not None:
            return splits.train, splits.val
        whole = splits.train
    else:
        whole = load_coco(data, images or image_folder(data.parent, data), progress)
        if not any(picture.defective for picture in whole.pictures):
            raise InputError(f"{data}: not one defect is labelled: there is nothing to learn from")
    if len(whole.pictures) < 2:
        raise InputError(f"{data}: one picture alone: training needs another one to check with")
    return hold_out(whole, seed)


def check_sizes(dataset: Dataset, fit: Fit, whole: tuple[int, int], crop: int) -> None:
    """Refuse defects that no crop can show whole: they would never be learnt.

    Parameters
    ----------
    fit, whole, crop
        How pictures come to the network, its input, and the side of the largest crop, pixels.

    Raises
    ------
    InputError
        Says how many there are, how large the largest is, and what to do.
    """
    largest, count = 0.0, 0
    for picture in dataset.pictures:
        x, y = whole[0] / picture.width, whole[1] / picture.height
        x, y = {"tile": (1.0, 1.0), "letterbox": (min(x, y),) * 2, "resize": (x, y)}[fit]
        sides = (picture.boxes[:, 2:] - picture.boxes[:, :2]) * np.array([x, y])
        longest = sides[~picture.crowd].max(axis=1, initial=0)
        largest = max(largest, float(longest.max(initial=0)))
        count += int((longest > crop).sum())
    if count:
        raise InputError(
            f"{count} defects are larger than the crops of {crop} pixels (the largest has "
            f"{largest:.0f}): give a larger --crop, or --fit letterbox, which scales pictures down"
        )


def starter(reference: str) -> Start:
    """First weights: from ``.pdparams``, or the one beside an ``.onnx`` of the zoo.

    Raises
    ------
    ModelError, InputError
        There is no such file, or it holds no weights.
    """
    path = resolve(reference).with_suffix(".pdparams")
    return Start(load_pdparams(path), str(path))


@contextmanager
def stopped_between_steps() -> Iterator[Callable[[], None]]:
    """SIGINT and SIGTERM let the running step end; the function given raises ``Stopped`` then."""
    asked = []

    def ask(signum: int, frame: FrameType | None) -> None:
        asked.append(signum)

    def check() -> None:
        if asked:
            raise Stopped

    old = {each: signal.signal(each, ask) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield check
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)


@dataclass
class Run:
    """A training with its folder: checkpoints, evaluations, and what stays at the end.

    ::

        checkpoint.npz               to go on from
        model.onnx, model.json       what the box needs, as of the last evaluation
        model.pdparams               the weights, to train or compress from
        training.png, mistakes.png   the curves, and what it still gets wrong
    """

    trainer: Trainer
    check: Dataset
    config: DetectorConfig
    out: Path
    threads: int
    show: Callable[[float, dict[str, float], float | None, float], None]
    progress: Progress
    _saved: float = 0.0
    _evaluated: float = 0.0
    _took: float = 0.0
    _loss: float | None = None

    @property
    def model(self) -> Path:
        """The ONNX file."""
        return self.out / "model.onnx"

    def run(self) -> dict[str, Any]:
        """Train to the end.

        Returns
        -------
        The summary.

        Raises
        ------
        Stopped
            A signal came; the checkpoint is written.
        TrainingError
            See :class:`~models.ppyoloe.train.trainer.Trainer`.
        """
        self._saved = self._evaluated = time.monotonic()
        with stopped_between_steps() as check_signals:

            def each(measured: dict[str, float]) -> None:
                self._show(measured)
                if self._due():
                    self.evaluate()
                    self._save()
                elif time.monotonic() - self._saved > CHECKPOINT_S:
                    self._save()
                try:
                    check_signals()
                except Stopped:
                    self._save()
                    raise

            self.trainer.run(each)
        scores, found = self.evaluate()
        self._save()
        return self._summary(scores, found)

    def evaluate(self) -> tuple[CocoScores, Found]:
        """Export the averaged weights, and score what was exported."""
        begin = time.monotonic()
        export_onnx(self.trainer.averaged(), self.model, self.config)
        detector = open_detector(str(self.model), threads=self.threads)
        found = find_all(detector, self.check, FLOOR, self.progress)
        scores = coco_scores(self.check, found)
        self.trainer.history["scores"].append(
            {
                "step": self.trainer.step,
                "progress": self.trainer.progress,
                "ap": scores.ap if scores.ap is not None else float("nan"),
                "ap50": scores.ap50 if scores.ap50 is not None else float("nan"),
            }
        )
        self._evaluated = time.monotonic()
        self._took = self._evaluated - begin
        return scores, found

    def _due(self) -> bool:
        past = self.trainer.history["scores"]
        last = int(past[-1]["progress"] * EVALUATIONS) if past else 0
        rested = time.monotonic() - self._evaluated > self._took / EVALUATION_SHARE
        return rested and last + 1 <= self.trainer.progress * EVALUATIONS

    def _save(self) -> None:
        self.trainer.save()
        self._saved = time.monotonic()

    def _show(self, measured: dict[str, float]) -> None:
        loss = measured["loss"]
        if np.isfinite(loss):
            self._loss = loss if self._loss is None else SMOOTH * self._loss + (1 - SMOOTH) * loss
        scores = self.trainer.history["scores"]
        progress = self.trainer.progress
        left = self.trainer.seconds * (1 - progress) / max(progress, 1e-6)
        shown = {**measured, "loss": self._loss if self._loss is not None else loss}
        self.show(progress, shown, scores[-1]["ap"] if scores else None, left)

    def _summary(self, scores: CocoScores, found: Found) -> dict[str, Any]:
        trainer = self.trainer
        history = trainer.history
        save_pdparams(self.model.with_suffix(".pdparams"), trainer.average)
        write_atomic(self.out / "training.png", training_plot(history["steps"], history["scores"]))
        mistakes = worst_mistakes(self.check, found, self.config.threshold)
        write_atomic(self.out / "mistakes.png", encode_image(mistakes_sheet(mistakes)))
        pictures = trainer.step * trainer.setup.plan.size
        return {
            "model": str(self.model),
            "variant": trainer.setup.variant,
            "parameters": trainer.parameters,
            "steps": trainer.step,
            "seconds": round(trainer.seconds),
            "images_per_second": round(pictures / max(trainer.seconds, 1e-9), 2),
            "trained_on": len(trainer.dataset.pictures),
            "checked_on": len(self.check.pictures),
            "ap": scores.ap,
            "ap50": scores.ap50,
            "ap75": scores.ap75,
            "per_class": scores.per_class,
        }
