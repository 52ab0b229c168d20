"""Any network: how far its outputs agree with those of the FP32 original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from compress.datasets import Item
from compress.metrics.base import Counts, Evaluation, Feeds, Network, Progress, summed
from compress.recipe import Input
from models.errors import EngineError
from models.images import load_image

__all__ = ["RawMetric"]


class RawMetric:
    """1 minus noise over signal of all outputs, no less than 0; 1 is the original itself.

    Parameters
    ----------
    form
        How a picture becomes the input.
    name_in
        What the network calls its input.
    original
        The FP32 model, which says what is right.
    """

    name = "agreement"

    def __init__(self, form: Input, name_in: str, original: Network) -> None:
        self._form, self._input, self._original = form, name_in, original

    def feeds(self, item: Item) -> Iterator[Feeds]:
        """The picture, stretched to the input."""
        form = self._form
        image = np.asarray(cv2.resize(load_image(item.path), (form.width, form.height)), np.uint8)
        if form.colour == "rgb":
            image = image[:, :, ::-1]
        pixels = (image / 255 - np.array(form.mean)) / np.array(form.std)
        yield {self._input: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)}

    def evaluate(
        self, network: Network, items: Sequence[Item], progress: Progress | None = None
    ) -> Evaluation:
        """Rows are the agreement; answers the largest number of each output and where it is."""
        rows, answers = np.ones((len(items), 2)), []
        for number, item in enumerate(items):
            (feeds,) = self.feeds(item)
            right = [np.asarray(v, np.float64) for v in self._original.run(feeds).values()]
            outputs = [np.asarray(v, np.float64) for v in network.run(feeds).values()]
            if [a.shape for a in right] != [b.shape for b in outputs]:
                raise EngineError(
                    f"puts out {[b.shape for b in outputs]}, the original "
                    f"{[a.shape for a in right]}: convert it again"
                )
            rows[number, 0] = _agreement(right, outputs)
            answers.append(_told(outputs))
            if progress:
                progress(number + 1, len(items))
        return Evaluation(self.value_of(rows), rows, answers, rows[:, 0])

    def value_of(self, per_item: Counts, weights: Counts | None = None) -> float:
        """Mean over the pictures."""
        agreement, pictures = summed(per_item, weights)
        return float(agreement / pictures) if pictures else 0.0

    def more(self, per_item: Counts) -> dict[str, float]:
        """Nothing else."""
        return {}


def _agreement(right: Sequence[Any], outputs: Sequence[Any]) -> float:
    shares = []
    for a, b in zip(right, outputs, strict=True):
        if not np.isfinite(b).all():
            return 0.0
        power = float(np.square(a).sum())
        noise = float(np.square(a - b).sum())
        shares.append(1 - noise / power if power else float(noise == 0))
    return max(0.0, min(shares))


def _told(outputs: Sequence[Any]) -> str:
    # argmax finds the first NaN, if there is one: it is what matters then.
    return ", ".join(f"{o.flat[o.argmax()]:.4g} at {o.argmax()}" for o in outputs if o.size)
