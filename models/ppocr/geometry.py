"""Quads on a picture: order, crops, reading order. Pure array functions.

A quad is ``(4, 2) float32`` pixels: top left, top right, bottom right, bottom left.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "UPRIGHT_RATIO",
    "box_quad",
    "crop_line",
    "order_corners",
    "quad_size",
    "reading_order",
    "turned",
]

UPRIGHT_RATIO = 1.5
"""A crop this much taller than wide holds a line that runs downwards (PaddleOCR's rule)."""

SHRINK_FIRST = 2.0
"""Text over this many times as high as wanted is averaged down first: a warp samples single
pixels and would alias."""

LONGEST = 64
"""Times its height, beyond which a crop is squeezed: the recogniser squeezes from 53 on, and a
label whose height is next to nothing would ask for gigabytes."""


def order_corners(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring the corners of rectangles into quad order.

    The two leftmost corners are the left side, the upper of them comes first; the same on the
    right (PaddleOCR, ``get_mini_boxes``).

    Parameters
    ----------
    corners
        ``(N, 4, 2) float32``.

    Returns
    -------
    ``(N, 4, 2) float32``.
    """
    by_x = np.take_along_axis(corners, np.argsort(corners[:, :, :1], axis=1, kind="stable"), axis=1)
    left, right = by_x[:, :2], by_x[:, 2:]
    left = np.take_along_axis(left, np.argsort(left[:, :, 1:], axis=1, kind="stable"), axis=1)
    right = np.take_along_axis(right, np.argsort(right[:, :, 1:], axis=1, kind="stable"), axis=1)
    return np.stack([left[:, 0], right[:, 0], right[:, 1], left[:, 1]], axis=1)


def reading_order(quads: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices that bring lines into reading order: rows from the top, each from the left.

    A line belongs to the row above it when its centre lies within half its height of that row's
    first line; whole rows are compared, not pixels, so that a slightly tilted label reads right.

    Parameters
    ----------
    quads
        ``(N, 4, 2) float32``.
    """
    if len(quads) == 0:
        return np.zeros(0, np.intp)
    centres = quads.mean(axis=1)
    heights = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
    rows: list[list[int]] = []
    for index in np.argsort(centres[:, 1], kind="stable"):
        if rows:
            first = rows[-1][0]
            reach = min(heights[first], heights[index]) / 2
            if centres[index, 1] - centres[first, 1] < reach:
                rows[-1].append(int(index))
                continue
        rows.append([int(index)])
    ordered = [index for row in rows for index in sorted(row, key=lambda i: float(centres[i, 0]))]
    return np.array(ordered, np.intp)


def quad_size(quad: NDArray[np.float32]) -> tuple[float, float]:
    """Width and height in pixels: the longer of each pair of opposite sides."""
    width = max(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[2] - quad[3]))
    height = max(np.linalg.norm(quad[3] - quad[0]), np.linalg.norm(quad[2] - quad[1]))
    return float(width), float(height)


def box_quad(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float32]:
    """An upright box as a quad."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def turned(quad: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same place, read upside down."""
    return np.roll(quad, 2, axis=0)


def crop_line(
    image: NDArray[np.uint8], quad: NDArray[np.float32], height: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Cut one line out, straightened by perspective and scaled to ``height`` in the same step.

    A line that runs downwards is turned a quarter to the left, as PaddleOCR does.

    Parameters
    ----------
    image
        ``(H, W, 3) uint8``.
    quad
        ``(4, 2) float32``.
    height
        Of the crop, pixels.

    Returns
    -------
    The crop ``(height, W', 3) uint8`` with the line's own proportions (up to 64 to 1), and the
    quad in the order in which the crop shows it.
    """
    width_px, height_px = quad_size(quad)
    if height_px >= width_px * UPRIGHT_RATIO:
        quad = np.roll(quad, -1, axis=0)
        width_px, height_px = height_px, width_px
    shown = quad
    shrink = height_px / height
    if shrink > SHRINK_FIRST:
        low = np.floor(quad.min(axis=0)).astype(int).clip(0)
        high = np.ceil(quad.max(axis=0)).astype(int) + 1
        part = image[low[1] : high[1], low[0] : high[0]]
        if part.size:
            size = (max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink)))
            image = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            scale = np.array([size[0] / part.shape[1], size[1] / part.shape[0]], np.float32)
            quad = ((quad - low.astype(np.float32)) * scale).astype(np.float32)
    ratio = min(LONGEST, width_px / max(height_px, 1e-3))
    width = max(1, int(np.ceil(height * ratio)))
    target = box_quad(0, 0, width, height)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(quad, np.float32), target)
    crop = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8), shown
