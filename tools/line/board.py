"""Bare boards: cuts at full scale from a few real line-scan photos, sound or with real defects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.images import load_image
from models.results import Defect
from tools.line.effects import Scene, backdrop, photograph, shadow
from tools.line.world import Drawn, Job

__all__ = ["CLASSES", "FAULTS", "SIZE", "Photo", "draw", "photos", "turned", "windows", "zone"]

SIZE = (320, 320)
"""Width and height of a board and of a frame that it fills; in a larger frame it lies on the belt.

Defects are some ten pixels wide, so nothing is scaled.
"""

FAULTS = ("defect",)

CLASSES = ("open", "short", "mousebite", "spur", "copper", "pinhole")
"""Labels, in the order of their numbers (from 1) in the annotations."""

JITTER = 6
"""Pixels by which a board on the belt may be off, each way."""

STEP = 8
"""Pixels between the cuts that are considered."""

EDGES = 0.012
"""Fraction of a sound cut's pixels that are edges of copper, at least: a blank shows nothing."""

LAYOUT = 5
"""Digits of a photo's name that say the layout."""

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, eq=False)
class Photo:
    """One annotated photo.

    Attributes
    ----------
    image
        ``(H, W) uint8``.
    boxes
        ``(N, 4) float32`` xyxy of its defects.
    labels
        Their classes.
    layout
        Number of the board's layout.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: tuple[str, ...]
    layout: str


@lru_cache(maxsize=1)
def photos() -> tuple[Photo, ...]:
    """Load the photos that come with the line."""
    index = json.loads((ASSETS / "boards.json").read_text(encoding="utf-8"))
    found = []
    for entry in index["images"]:
        here = [a for a in index["annotations"] if a["image_id"] == entry["id"]]
        boxes = np.array([a["bbox"] for a in here], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        image = np.ascontiguousarray(load_image(ASSETS / entry["file_name"])[:, :, 0])
        labels = tuple(CLASSES[a["category_id"] - 1] for a in here)
        found.append(Photo(image, boxes, labels, entry["file_name"][:LAYOUT]))
    return tuple(found)


@lru_cache(maxsize=8)
def windows(
    width: int, height: int, sound: bool, layouts: tuple[str, ...] = ()
) -> NDArray[np.int32]:
    """Every cut of that size that is free of defects, or holds at least one and halves none.

    Parameters
    ----------
    layouts
        Those that count; none: all.

    Returns
    -------
    ``(N, 3) int32``: photo, x, y.
    """
    found = []
    for number, photo in enumerate(photos()):
        if layouts and photo.layout not in layouts:
            continue
        rows, columns = photo.image.shape
        x, y = (
            n.ravel()
            for n in np.meshgrid(
                np.arange(0, columns - width + 1, STEP), np.arange(0, rows - height + 1, STEP)
            )
        )
        cuts = np.stack([x, y, x + width, y + height], axis=1)[:, None]
        low, high = photo.boxes[:, :2], photo.boxes[:, 2:]
        touched = ((low < cuts[..., 2:] + 2) & (high > cuts[..., :2] - 2)).all(axis=2)
        inside = ((low >= cuts[..., :2] + 2) & (high <= cuts[..., 2:] - 2)).all(axis=2)
        if sound:
            edges = cv2.integral((cv2.Canny(photo.image, 50, 150) > 0).astype(np.uint8))
            count = (
                edges[y + height, x + width]
                - edges[y, x + width]
                - edges[y + height, x]
                + edges[y, x]
            )
            good = ~touched.any(axis=1) & (count > EDGES * width * height)
        else:
            good = (touched == inside).all(axis=1) & inside.any(axis=1)
        found.append(np.stack([np.full(int(good.sum()), number), x[good], y[good]], axis=1))
    return np.asarray(np.concatenate(found), np.int32)


def turned(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], quarters: int, mirrored: bool
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Mirror left to right if asked, then turn anticlockwise by quarters; the boxes go along.

    Parameters
    ----------
    image
        ``(H, W) uint8``.
    boxes
        ``(N, 4) float32`` xyxy.
    """
    width = image.shape[1]
    if mirrored:
        image = image[:, ::-1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    for _ in range(quarters):
        width = image.shape[1]
        image = np.rot90(image)
        boxes = np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], 1)
    return np.ascontiguousarray(image), boxes


def zone(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the board is, xyxy, with its jitter."""
    box = []
    for middle, side in zip((size[0] / 2, size[1] / 2), SIZE, strict=True):
        reach = min(side / 2 + JITTER, middle)
        box.append((int(middle - reach), round(middle + reach)))
    return (box[0][0], box[1][0], box[0][1], box[1][1])


def draw(
    line: Scene, job: Job, fault: str | None, size: tuple[int, int], rng: np.random.Generator
) -> Drawn:
    """One board of the job's layouts; of all of them, any way up, if it names none.

    Returns
    -------
    The picture, no print, its defects.
    """
    width, height = (min(n, side) for n, side in zip(size, SIZE, strict=True))
    quarters, mirrored = int(rng.integers(4)), bool(rng.random() < 0.5)
    if job.layouts:
        quarters, mirrored = 0, False
    upright = (height, width) if quarters % 2 else (width, height)
    choice = windows(*upright, fault is None, job.layouts)
    number, x, y = (int(n) for n in choice[rng.integers(len(choice))])
    photo = photos()[number]
    cutout = photo.image[y : y + upright[1], x : x + upright[0]]
    inside = (
        (photo.boxes[:, :2] >= (x, y)) & (photo.boxes[:, 2:] <= (x + upright[0], y + upright[1]))
    ).all(axis=1)
    board, boxes = turned(
        cutout, photo.boxes[inside] - np.array([x, y] * 2, np.float32), quarters, mirrored
    )
    low, high = rng.uniform([22, 214], [44, 238])
    grey = np.rint(low + board * ((high - low) / 255)).astype(np.uint8)
    labels = [label for label, here in zip(photo.labels, inside, strict=True) if here]

    frame = backdrop(line, rng)
    spare = np.array(size) - (width, height)
    off = np.minimum(spare // 2, JITTER)
    left, top = (int(n) for n in spare // 2 + rng.integers(-off, off + 1))
    if spare.any():
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        shadow(frame, corners + np.array([left + 3, top + 3], np.float32), 5.0, 0.5)
    frame[top : top + height, left : left + width] = grey[:, :, None]
    boxes = boxes + np.array([left, top] * 2, np.float32)
    defects = tuple(Defect(label, 1.0, box) for label, box in zip(labels, boxes, strict=True))
    return photograph(frame, line, rng, (0.35, 0.6)), (), defects
