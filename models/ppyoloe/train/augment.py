"""What a training picture may go through before the network sees it.

Pure functions of a picture ``(H, W, 3) uint8`` BGR, its truth and a generator of random numbers.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.ppyoloe.train.loss import Truth

__all__ = ["Fit", "Pose", "augment", "blotted", "camera", "crop", "fitted", "turn"]

Image = NDArray[np.uint8]

Fit: TypeAlias = Literal["tile", "letterbox", "resize"]
"""As of :class:`models.ppyoloe.config.DetectorConfig`."""

Pose: TypeAlias = Literal["fixed", "mirrored", "any"]
"""How parts lie. *fixed*: all the same way under a camera that stays where it is, so that a layout
can be known by heart. *mirrored*: also from left to right, a little nearer or further. *any*: also
with all quarter turns."""

SCALES = (0.8, 1.25)
"""A camera stands a little nearer or further than the one that took the training pictures."""

SEEN = 0.6
"""Of a box cut by the crop's edge, the share of its area from which it is still to be found. What
is left of the others is blotted out."""

WHOLE = 0.95
"""A box of which more is seen counts as not cut."""

TRIES = 6
"""Crops that are tried for one that cuts no box in two: a half may be a defect or not."""

ON_BOX = 0.85
"""Share of the crops that are laid around a defect; the others may show none."""

LIT = 0.5
"""Share of the pictures whose light, lens or sensor is changed; the others stay as they are."""

GREY = 114
"""Of what lies beyond the picture's edge, and of what is blotted out."""


def fitted(image: Image, truth: Truth, fit: Fit, whole: tuple[int, int]) -> tuple[Image, Truth]:
    """The picture at the scale at which the network is to see it.

    Parameters
    ----------
    whole
        Width and height of the network's input. *tile* leaves pictures as they are, *letterbox*
        scales them to fit, *resize* stretches them.
    """
    if fit == "tile":
        return image, truth
    height, width = image.shape[:2]
    x, y = whole[0] / width, whole[1] / height
    if fit == "letterbox":
        x = y = min(x, y)
    size = (max(1, round(width * x)), max(1, round(height * y)))
    boxes = truth.boxes * np.array([size[0] / width, size[1] / height] * 2, np.float32)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8), Truth(boxes, truth.classes)


def augment(
    image: Image, truth: Truth, size: int, rng: np.random.Generator, *, pose: Pose
) -> tuple[Image, Truth]:
    """Crop, turn and scale as far as parts lie in other ways, and change the light of some.

    Parameters
    ----------
    size
        Side of the square that comes out, pixels.
    """
    image, truth = crop(image, truth, size, rng, scaled=pose != "fixed")
    image, truth = turn(image, truth, rng, pose=pose)
    return camera(image, rng) if rng.random() < LIT else image, truth


def crop(
    image: Image, truth: Truth, size: int, rng: np.random.Generator, *, scaled: bool
) -> tuple[Image, Truth]:
    """A square of ``size`` pixels out of the picture; ``scaled`` a little, or pixel by pixel."""
    height, width = image.shape[:2]
    scale = float(np.exp(rng.uniform(*np.log(SCALES)))) if scaled else 1.0
    side = size / scale
    best: tuple[float, float, float] | None = None
    for _ in range(TRIES):
        if len(truth.boxes) and rng.random() < ON_BOX:
            box = truth.boxes[rng.integers(len(truth.boxes))]
            left, top = (
                rng.uniform(min(box[i + 2] - side, box[i]), max(box[i + 2] - side, box[i]))
                for i in range(2)
            )
        else:
            left, top = rng.uniform(0, max(width - side, 0)), rng.uniform(0, max(height - side, 0))
        # A little beyond the edge at most: what is there is grey and teaches nothing.
        left = float(np.clip(left, min(0.0, width - side), max(0.0, width - side)))
        top = float(np.clip(top, min(0.0, height - side), max(0.0, height - side)))
        if not scaled:
            left, top = float(round(left)), float(round(top))
        share = _seen(truth.boxes, np.array([left, top, left + side, top + side], np.float32))
        cut = float(((share > 0) & (share < WHOLE)).sum())
        if best is None or cut < best[0]:
            best = (cut, left, top)
        if cut == 0:
            break
    assert best is not None  # noqa: S101 - TRIES is not 0
    _, left, top = best
    # Pixels have their centres at a half, boxes their edges at whole numbers.
    half = (scale - 1) / 2
    move = np.array([[scale, 0, half - left * scale], [0, scale, half - top * scale]], np.float32)
    cropped = np.asarray(
        cv2.warpAffine(image, move, (size, size), borderValue=(GREY, GREY, GREY)), np.uint8
    )
    share = _seen(truth.boxes, np.array([left, top, left + side, top + side], np.float32))
    boxes = (truth.boxes - np.array([left, top, left, top], np.float32)) * np.float32(scale)
    boxes = np.clip(boxes, 0, size).astype(np.float32)
    kept = share >= SEEN
    cropped = blotted(cropped, boxes[(share > 0) & ~kept])
    return cropped, Truth(boxes[kept], truth.classes[kept])


def blotted(image: Image, boxes: NDArray[np.float32]) -> Image:
    """Paint boxes ``(N, 4)`` over: what nobody can call a defect must not be learnt as none."""
    if not len(boxes):
        return image
    image = image.copy()
    for x0, y0, x1, y1 in boxes:
        image[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = GREY
    return image


def _seen(boxes: NDArray[np.float32], window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of each box's area that lies in the window."""
    low = np.maximum(boxes[:, :2], window[:2])
    high = np.minimum(boxes[:, 2:], window[2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(np.clip(high - low, 0, None).prod(axis=1) / np.maximum(area, 1e-6))


def turn(
    image: Image, truth: Truth, rng: np.random.Generator, *, pose: Pose
) -> tuple[Image, Truth]:
    """Flip left to right or not; in *any* pose also transpose and flip top to bottom."""
    boxes = truth.boxes
    if pose != "fixed" and rng.random() < 0.5:
        image = image[:, ::-1]
        width = np.float32(image.shape[1])
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    if pose == "any" and rng.random() < 0.5:
        image = image[::-1]
        height = np.float32(image.shape[0])
        boxes = np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], 1)
    if pose == "any" and rng.random() < 0.5:
        image = image.transpose(1, 0, 2)
        boxes = boxes[:, [1, 0, 3, 2]]
    return np.ascontiguousarray(image), Truth(np.ascontiguousarray(boxes), truth.classes)


def camera(image: Image, rng: np.random.Generator) -> Image:
    """Another light, another lens, another sensor: brightness, contrast, tint, blur, noise."""
    contrast, bright = rng.uniform(0.6, 1.3), rng.uniform(-40, 40)
    tint = rng.uniform(0.92, 1.08, 3) * contrast
    middle = 127.5
    levels = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip((levels - middle) * tint + middle + bright, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table[None]), np.uint8)
    if rng.random() < 0.4:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0)), np.uint8)
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(1, 8), image.shape[:2]).astype(np.float32)
        image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
    return image
