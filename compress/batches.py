"""Pictures to learn from, a batch a step: the same step always gives the same batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from compress.asked import Asked
from compress.datasets import Item
from compress.metrics import Metric
from compress.metrics.text import INPUT
from compress.recipe import Recipe
from compress.tune.learner import Batch
from edge.engines import Array
from models.images import load_image
from models.ppocr.cls import cls_input
from models.ppocr.det import GREY, add_margin, det_input
from models.ppocr.rec import HEIGHT, WIDTH_STEP, rec_input
from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.detector import INPUT as IMAGE
from models.ppyoloe.prepare import View, fill_input, value_tables

__all__ = ["Batches", "altered"]

Picture = NDArray[np.uint8]

CROP = 320
"""Side of the parts of photos that are learnt from, pixels: a whole one would take minutes."""

TURNED = 0.15
"""Share of lines that are shown upside down, for the teacher to say how unsure to be of them."""

WIDEST = 640
"""Pixels of a line to learn from; longer ones are left out, since they take minutes a batch."""


@dataclass
class Batches:
    """Batches of one family's pictures.

    Attributes
    ----------
    recipe, metric
        What becomes of a picture.
    items
        The tuning set.
    size
        Pictures of a batch.
    labels
        Whether texts are learnt.
    asked
        What the original says of each line, if texts are learnt.
    config
        Of a detector.
    """

    recipe: Recipe
    metric: Metric
    items: Sequence[Item]
    size: int
    labels: bool = False
    asked: Asked | None = None
    config: DetectorConfig | None = None
    _widths: dict[int, list[int]] = field(default_factory=dict)

    def __call__(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        rng = np.random.default_rng((self.recipe.seed, step))
        if self.recipe.family == "ppocr_rec":
            return self._lines(rng)
        numbers = rng.choice(len(self.items), min(self.size, len(self.items)), replace=False)
        make = self._picture()
        parts = [make(self.items[number], rng) for number in numbers]
        return Batch({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})

    def _picture(self) -> Callable[[Item, np.random.Generator], dict[str, Array]]:
        if self.recipe.family == "ppocr_det":
            return self._photo
        if self.recipe.family == "ppocr_cls":
            return self._line_either_way
        if self.config is not None:
            return self._board
        return lambda item, rng: dict(next(iter(self.metric.feeds(item))))

    def _lines(self, rng: np.random.Generator) -> Batch:
        """Lines that are equally wide: a batch has one width."""
        widths = self._known_widths()
        every = np.concatenate([np.full(len(own), width) for width, own in widths.items()])
        width = int(rng.choice(every))
        own = widths[width]
        numbers = rng.choice(own, min(self.size, len(own)), replace=False)
        crops, texts, taught = [], [], []
        for number in numbers:
            image = altered(load_image(self.items[number].path), rng)
            turned = self.recipe.mode == "label" and rng.random() < TURNED
            lies = self.asked is not None and bool(self.asked.turned[number])
            crops.append(np.ascontiguousarray(image[::-1, ::-1]) if turned != lies else image)
            truth = self.items[number].truth
            known = self.labels and isinstance(truth, str) and not turned
            texts.append(" ".join(truth.split()) if known and isinstance(truth, str) else None)
            weight = float(self.asked.taught[number]) if self.asked and known else 1.0
            taught.append(weight)
        feeds = {INPUT: rec_input(crops, width)}
        return Batch(feeds, texts if self.labels else (), taught)

    def _known_widths(self) -> dict[int, list[int]]:
        if not self._widths:
            for number, item in enumerate(self.items):
                height, width = load_image(item.path).shape[:2]
                wide = -(-int(np.ceil(HEIGHT * width / height)) // WIDTH_STEP) * WIDTH_STEP
                if wide <= WIDEST:
                    self._widths.setdefault(wide, []).append(number)
        return self._widths

    def _photo(self, item: Item, rng: np.random.Generator) -> dict[str, Array]:
        sheet, _ = add_margin(load_image(item.path))
        longest = max(sheet.shape[:2])
        if longest > self.recipe.max_side:
            scale = self.recipe.max_side / longest
            size = (round(sheet.shape[1] * scale), round(sheet.shape[0] * scale))
            sheet = np.asarray(cv2.resize(sheet, size), np.uint8)
        return {INPUT: det_input(altered(_cut(sheet, rng), rng), CROP)}

    def _line_either_way(self, item: Item, rng: np.random.Generator) -> dict[str, Array]:
        image = altered(load_image(item.path), rng)
        if rng.random() < 0.5:
            image = np.ascontiguousarray(image[::-1, ::-1])
        return {INPUT: cls_input([image])}

    def _board(self, item: Item, rng: np.random.Generator) -> dict[str, Array]:
        config, image = self.config, load_image(item.path)
        if config is None or config.fit != "tile":
            return dict(next(iter(self.metric.feeds(item))))
        part = _cut(image, rng)
        tensor = np.empty((1, 3, CROP, CROP), np.float32)
        view = View((0, 0, CROP, CROP), (CROP, CROP), (CROP, CROP))
        fill_input(tensor[0], part, view, value_tables(config))
        return {IMAGE: tensor}


def altered(image: Picture, rng: np.random.Generator) -> Picture:
    """The picture as another light, another lens and another hand might have made it.

    Half of all are left as they are: the model is to be good at those in the first place.
    """
    if rng.random() < 0.5:
        return image
    gain, shift = rng.uniform(0.7, 1.3), rng.uniform(-30, 30)
    image = np.clip(image * gain + shift, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 10), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        height, width = image.shape[:2]
        reach = 0.04 * np.array([height, height])
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        moved = (corners + rng.uniform(-reach, reach, (4, 2))).astype(np.float32)
        turn = cv2.getPerspectiveTransform(corners, moved)
        image = np.asarray(
            cv2.warpPerspective(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE),
            np.uint8,
        )
    return image


def _cut(image: Picture, rng: np.random.Generator) -> Picture:
    """A square part of a picture, wherever; what is smaller lies on a grey sheet."""
    part = np.full((CROP, CROP, 3), GREY, np.uint8)
    places = []
    for side in image.shape[:2]:
        free = side - CROP
        start = int(rng.integers(0, abs(free) + 1))
        taken = slice(start, start + CROP) if free > 0 else slice(0, side)
        put = slice(0, CROP) if free > 0 else slice(start, start + side)
        places.append((put, taken))
    (rows, own_rows), (columns, own_columns) = places
    part[rows, columns] = image[own_rows, own_columns]
    return part
