"""Text detection: image to network input, probability map to quads.

The network is PP-OCRv4's; the way back is that of DB (Liao et al., "Real-time Scene Text
Detection with Differentiable Binarization", AAAI 2020), with PaddleOCR's choices.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.ppocr.geometry import order_corners

__all__ = ["add_margin", "det_input", "det_quads", "det_size"]

STRIDE = 32
"""The network halves its input five times."""

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""Of ImageNet, on BGR in this order, as the network was trained."""

MAP_THRESHOLD = 0.3
"""Probability from which a pixel counts as text."""

BOX_THRESHOLD = 0.5
"""Mean probability from which a box counts as a line."""

UNCLIP_RATIO = 1.6
"""The map shows shrunk lines; area times this over perimeter is how far they are grown back."""

MAX_CANDIDATES = 1000
"""Contours that are looked at; a page of print has fewer, noise may have thousands."""

MIN_SIDE = 3.0
"""Pixels of the map; smaller specks are no text."""

DILATION = np.ones((2, 2), np.uint8)

SMALL_SIDE = 224
"""Pixels; a picture with a shorter side is a region cut tight around its print, see
:func:`add_margin`."""

MARGIN = 32
"""Pixels of grey around a small picture. 16 finds as many lines but reads fewer of them, 48 and
64 find fewer; black and white margins look like print to the network."""

GREY = 127


def det_size(height: int, width: int, max_side: int) -> tuple[int, int]:
    """Height and width of the network's input for a frame: multiples of 32, proportions kept.

    The longer side is brought down to ``max_side``; nothing is scaled up, except what is below
    one stride.
    """
    scale = min(1.0, max_side / max(height, width))
    return (
        max(STRIDE, round(height * scale / STRIDE) * STRIDE),
        max(STRIDE, round(width * scale / STRIDE) * STRIDE),
    )


def add_margin(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Put a small picture on a grey sheet: the network overlooks print that touches the edge.

    Nothing is enlarged instead: that tears dotted print apart.

    Parameters
    ----------
    image
        ``(H, W, 3) uint8`` BGR.

    Returns
    -------
    The picture with its margin, and the margin in pixels: 0, and the very picture, if it is large.
    """
    if min(image.shape[:2]) >= SMALL_SIDE:
        return image, 0
    sheet = cv2.copyMakeBorder(image, *(MARGIN,) * 4, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
    return np.asarray(sheet, np.uint8), MARGIN


_NORMAL = tuple(
    ((np.arange(256) / 255 - mean) / std).astype(np.float32)
    for mean, std in zip(MEAN, STD, strict=True)
)
"""Pixel to input value, by channel; looking it up is half the time of computing it."""


def det_input(image: NDArray[np.uint8], max_side: int) -> NDArray[np.float32]:
    """Bring a frame into the form that the network takes.

    Parameters
    ----------
    image
        ``(H, W, 3) uint8`` BGR.
    max_side
        Longest side of the input, pixels.

    Returns
    -------
    ``(1, 3, h, w) float32``, ``h`` and ``w`` multiples of 32.
    """
    height, width = det_size(image.shape[0], image.shape[1], max_side)
    if image.shape[:2] != (height, width):
        image = np.asarray(cv2.resize(image, (width, height)), np.uint8)
    planes = np.empty((1, 3, height, width), np.float32)
    for channel in range(3):
        plane = cv2.extractChannel(image, channel)
        cv2.LUT(plane, _NORMAL[channel], dst=planes[0, channel])
    return planes


def det_quads(
    probability: NDArray[np.float32], height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lines of text from the network's map.

    Each connected region becomes its smallest rectangle, is scored by the mean probability inside
    and grown by ``area x ratio / perimeter``. Growing a rectangle with round corners and taking
    the smallest rectangle of the result, as DB does by polygon clipping, is adding that distance
    on all four sides: the same result in closed form.

    Parameters
    ----------
    probability
        ``(h, w) float32``, 0 to 1.
    height, width
        Of the frame, pixels; the quads are in its pixels.

    Returns
    -------
    Quads ``(N, 4, 2) float32`` inside the frame, and scores ``(N,) float32``.
    """
    rows, columns = probability.shape
    mask = np.asarray(probability > MAP_THRESHOLD, np.uint8)
    mask = np.asarray(cv2.dilate(mask, DILATION), np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    corners: list[NDArray[np.float32]] = []
    scores: list[float] = []
    for contour in contours[:MAX_CANDIDATES]:
        (x, y), (w, h), angle = cv2.minAreaRect(contour)
        if min(w, h) < MIN_SIDE:
            continue
        score = _mean_inside(probability, np.asarray(cv2.boxPoints(((x, y), (w, h), angle))))
        if not score >= BOX_THRESHOLD:  # NaN is no line
            continue
        grow = 2 * w * h * UNCLIP_RATIO / (2 * (w + h))
        corners.append(np.asarray(cv2.boxPoints(((x, y), (w + grow, h + grow), angle)), np.float32))
        scores.append(score)
    if not corners:
        return np.zeros((0, 4, 2), np.float32), np.zeros(0, np.float32)
    quads = order_corners(np.stack(corners))
    quads *= np.array([width / columns, height / rows], np.float32)
    quads[:, :, 0] = quads[:, :, 0].clip(0, width - 1)
    quads[:, :, 1] = quads[:, :, 1].clip(0, height - 1)
    return quads, np.array(scores, np.float32)


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    """Mean of the map over a rectangle ``(4, 2)``, clipped to the map."""
    rows, columns = probability.shape
    x0, y0 = np.floor(corners.min(axis=0)).astype(int)
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int)
    x0, x1 = np.clip((x0, x1), 0, columns - 1)
    y0, y1 = np.clip((y0, y1), 0, rows - 1)
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillConvexPoly(mask, (corners - (x0, y0)).astype(np.int32), (1,))
    return float(cv2.mean(probability[y0 : y1 + 1, x0 : x1 + 1], mask)[0])
