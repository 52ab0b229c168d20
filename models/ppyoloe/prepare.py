"""From a picture to the network's input: where which part of it lies there, and its values."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.ppyoloe.config import STRIDE, DetectorConfig
from models.ppyoloe.tiles import tile_starts

__all__ = ["View", "fill_input", "plan_views", "value_tables"]

PADDING = 114
"""Grey of what the picture does not fill: PaddleDetection's, and near the mean of photographs."""


@dataclass(frozen=True)
class View:
    """How one part of a picture lies in one input of the network.

    Attributes
    ----------
    box
        xyxy pixels of the picture.
    shown
        Width and height of that part in the input, where it begins at the top left.
    size
        Width and height of the input, multiples of 32.
    """

    box: tuple[int, int, int, int]
    shown: tuple[int, int]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the input to a pixel of the picture, along x and y."""
        x0, y0, x1, y1 = self.box
        return self.shown[0] / (x1 - x0), self.shown[1] / (y1 - y0)


def plan_views(width: int, height: int, config: DetectorConfig, *, fixed: bool) -> tuple[View, ...]:
    """Where a picture of this size goes; several views only with ``fit = "tile"``.

    Parameters
    ----------
    width, height
        Of the picture.
    fixed
        The network takes inputs of ``config.size`` alone; else a small picture takes a small one.
    """
    whole = (0, 0, width, height)
    if config.fit == "resize":
        return (View(whole, config.size, config.size),)
    if config.fit == "letterbox":
        ratio = min(config.size[0] / width, config.size[1] / height)
        shown = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        return (View(whole, shown, config.size),)
    wide, high = (
        side if fixed else min(side, -(-length // STRIDE) * STRIDE)
        for side, length in zip(config.size, (width, height), strict=True)
    )
    views = []
    for y in tile_starts(height, high, config.overlap):
        for x in tile_starts(width, wide, config.overlap):
            box = (x, y, min(x + wide, width), min(y + high, height))
            views.append(View(box, (box[2] - x, box[3] - y), (wide, high)))
    return tuple(views)


def value_tables(config: DetectorConfig) -> NDArray[np.float32]:
    """Pixel to input value for R, G and B, ``(3, 256) float32``.

    Looking it up is half the time of computing it.
    """
    pixels = np.arange(256) / 255
    mean, std = np.array(config.mean)[:, None], np.array(config.std)[:, None]
    return np.asarray((pixels - mean) / std, np.float32)


def fill_input(
    planes: NDArray[np.float32],
    image: NDArray[np.uint8],
    view: View,
    tables: NDArray[np.float32],
) -> None:
    """Write a view of a picture into an input, every value of it.

    A picture that is scaled is so by cubic interpolation, as in PaddleDetection's ``Resize``.

    Parameters
    ----------
    planes
        ``(3, h, w) float32`` RGB of the size of the view, contiguous.
    image
        ``(H, W, 3) uint8`` BGR.
    tables
        From :func:`value_tables`.
    """
    x0, y0, x1, y1 = view.box
    part = image[y0:y1, x0:x1]
    width, height = view.shown
    if part.shape[:2] != (height, width):
        part = np.asarray(cv2.resize(part, view.shown, interpolation=cv2.INTER_CUBIC), np.uint8)
    for plane, table, channel in zip(planes, tables, (2, 1, 0), strict=True):
        cv2.LUT(cv2.extractChannel(part, channel), table, dst=plane[:height, :width])
        plane[height:] = table[PADDING]
        plane[:height, width:] = table[PADDING]
