"""Batches of training pictures: the same for the same seed and step, made ahead by a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.images import load_image
from models.ppyoloe.dataset import Dataset, Picture
from models.ppyoloe.train.augment import Fit, Pose, augment, blotted, fitted
from models.ppyoloe.train.loss import Truth

__all__ = ["Batch", "BatchPlan", "batches", "make_batch"]

AHEAD = 3
"""Batches that wait; more would only cost memory."""


@dataclass(frozen=True, eq=False)
class Batch:
    """``images`` is ``(N, 3, S, S) float32`` RGB, 0 to 1; one truth for each."""

    step: int
    images: NDArray[np.float32]
    truths: tuple[Truth, ...]


@dataclass(frozen=True)
class BatchPlan:
    """What every batch of a training is made from.

    Attributes
    ----------
    size
        Of a batch.
    sides
        Sides of the square inputs, pixels; each batch takes one of them.
    seed
        Of all that is random.
    pose
        How parts lie: see :data:`~models.ppyoloe.train.augment.Pose`.
    fit, whole
        How a whole picture is brought to the network's input, of width and height ``whole``; crops
        are taken of the result.
    """

    size: int
    sides: tuple[int, ...]
    seed: int
    pose: Pose
    fit: Fit = "tile"
    whole: tuple[int, int] = (640, 640)


def make_batch(dataset: Dataset, plan: BatchPlan, step: int) -> Batch:
    """The batch of that step. It depends on nothing before it, so that a training may resume.

    Raises
    ------
    ImageError
        A picture cannot be read any more.
    """
    side = int(np.random.default_rng([plan.seed, step]).choice(plan.sides))
    images = np.empty((plan.size, 3, side, side), np.float32)
    truths = []
    for i in range(plan.size):
        place = step * plan.size + i
        picture = dataset.pictures[_shuffled(len(dataset.pictures), plan.seed, place)]
        rng = np.random.default_rng([plan.seed, step, i])
        image = blotted(load_image(picture.path), picture.boxes[picture.crowd])
        image, truth = fitted(image, _truth(picture), plan.fit, plan.whole)
        image, truth = augment(image, truth, side, rng, pose=plan.pose)
        images[i] = image[:, :, ::-1].transpose(2, 0, 1)
        truths.append(truth)
    images /= 255
    return Batch(step, images, tuple(truths))


def _shuffled(count: int, seed: int, place: int) -> int:
    """Which picture stands at ``place`` when every round goes through all in a new order."""
    rng = np.random.default_rng([seed, place // count, count])
    return int(rng.permutation(count)[place % count])


def _truth(picture: Picture) -> Truth:
    own = ~picture.crowd
    return Truth(picture.boxes[own], picture.classes[own])


def batches(dataset: Dataset, plan: BatchPlan, start: int) -> Generator[Batch, None, None]:
    """Batches from step ``start`` on, without end; a thread makes the next ones meanwhile.

    Raises
    ------
    ImageError
        A picture cannot be read any more.
    """
    ready: queue.Queue[Batch | Exception] = queue.Queue(AHEAD)
    stop = threading.Event()

    def put(item: Batch | Exception) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
                break
            except queue.Full:
                continue

    def work() -> None:
        step = start
        try:
            while not stop.is_set():
                put(make_batch(dataset, plan, step))
                step += 1
        except Exception as error:  # handed to the one who waits for the batch
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
