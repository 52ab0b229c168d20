"""A carton on a belt: product name, net weight, and the coder's three lines anywhere on it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.results import TextLine
from tools.line import words
from tools.line.dots import dot_mask
from tools.line.effects import (
    Image,
    Scene,
    backdrop,
    glare,
    jittered,
    photograph,
    place,
    shadow,
    sheet,
)
from tools.line.fonts import Style, text_mask
from tools.line.printing import stamp, through
from tools.line.words import Print
from tools.line.world import Drawn, Job

__all__ = ["FAULTS", "SIZE", "draw", "zone"]

SIZE = (640, 480)
"""Width and height of a frame, unless another is asked for."""

FAULTS = words.CARTON_FAULTS

PRODUCTS: tuple[tuple[Style, str, str], ...] = (
    ("sans", "茉莉花茶", "净含量 250g"),
    ("serif", "燕麦饼干", "净含量 400g"),
    ("sans", "纯牛奶", "净含量 250ml"),
    ("serif", "桂花藕粉", "净含量 300g"),
    ("sans", "鲜榨橙汁", "净含量 330ml"),
    ("serif", "Oat Biscuits", "NET 400g"),
    ("plain", "GREEN TEA", "NET 250g"),
    ("sans", "Pure Milk", "NET 250ml"),
)
"""Type, name and net weight."""

BOARDS = ((232, 234, 234), (138, 172, 198), (214, 226, 232), (226, 220, 206))
"""BGR of carton board: white, kraft, cream, pale blue."""

BANDS = ((74, 108, 46), (142, 78, 34), (46, 52, 158), (36, 96, 176), (92, 44, 98))
"""BGR of the printed band behind the product's name."""

DOTTED = 0.3
"""Fraction of cartons that an ink-jet coder has printed."""

TURNED = 0.15
"""Fraction of cartons that come upside down."""


def zone(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the print may be, xyxy: anywhere."""
    return (0, 0, *size)


def _coder_masks(
    prints: tuple[Print, ...], dotted: bool, scale: float, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """Masks of the coder's lines: ink-jet dots, or thermal transfer in some type."""
    if dotted:
        pitch = scale * rng.uniform(2.6, 2.9)
        return [dot_mask(p.text, pitch, rng) for p in prints]
    style: Style = ("plain", "sans")[rng.integers(2)]
    size = round(scale * (26, 28, 30)[rng.integers(3)])
    return [text_mask(style, size, p.text, max(1, round(scale))) for p in prints]


def _barcode(face: Image, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """Bars in a quiet white field; not a valid code."""
    x, y, width, height = box
    face[y : y + height, x : x + width] = 236
    module = max(1, width // 62)
    edges = np.cumsum(rng.integers(1, 4, size=48)) * module + 4 * module
    for start, end in edges.reshape(-1, 2).tolist():
        if end < width - 4 * module:
            face[y + 3 : y + height - 3, x + start : x + end] = 34


def _face(
    line: Scene, job: Job, fault: str | None, scale: float, rng: np.random.Generator
) -> tuple[Image, list[TextLine]]:
    """The carton's top, flat, and its print."""
    width, height = (round(scale * n) for n in rng.uniform([410, 280], [450, 310]))
    face = sheet(line, height, width, BOARDS[rng.integers(len(BOARDS))], rng)
    band = round(height * rng.uniform(0.28, 0.36))
    colour = BANDS[rng.integers(len(BANDS))]
    face[:band] = sheet(line, band, width, colour, rng)
    face[band : band + max(2, round(3 * scale))] = np.array(colour) * 0.6 + 90

    lines: list[TextLine] = []
    style, name, net = PRODUCTS[rng.integers(len(PRODUCTS))]
    mask = text_mask(style, round(scale * (44, 48, 52)[rng.integers(3)]), name, round(2 * scale))
    x = rng.uniform(0.05, 0.95 - mask.shape[1] / width) * width
    lines.append(
        stamp(face, mask, (x, (band - mask.shape[0]) / 2), (240, 244, 244), Print(name), rng)
    )

    dotted = bool(rng.random() < DOTTED)
    prints = words.carton(job, fault, dotted, rng)
    masks = _coder_masks(prints, dotted, scale, rng)
    block_width = max((m.shape[1] for m in masks), default=0)
    pitch = max((m.shape[0] for m in masks), default=0) + round(scale * rng.uniform(2, 7))
    rest = 12 * scale
    on_left = rng.random() < 0.5
    free = height - band - 2 * rest - pitch * len(masks)
    y = band + rest + free * rng.uniform(0.0, 1.0)
    slack = width * rng.uniform(0.03, 0.08)
    x = slack if on_left else width - slack - block_width
    for text, m in zip(prints, masks, strict=True):
        lines.append(stamp(face, m, (x, y), (38, 34, 32), text, rng))
        y += pitch

    other = text_mask(style, round(scale * 19), net, 0)
    free_left = slack + block_width if on_left else 0.0
    free_right = width if on_left else width - slack - block_width
    middle = (free_left + free_right) / 2
    y = height - rest - other.shape[0]
    spare = (free_right - free_left - other.shape[1]) / 2 - slack
    outwards = (1 if on_left else -1) * max(0.0, spare) * rng.uniform(0.5, 1.0)
    lines.append(
        stamp(
            face, other, (middle + outwards - other.shape[1] / 2, y), (52, 46, 44), Print(net), rng
        )
    )
    if rng.random() < 0.6:
        wide, high = round(120 * scale), round(62 * scale)
        top = round(band + rest + (y - band - 2 * rest - high) * rng.uniform(0.2, 0.8))
        _barcode(face, (round(middle - wide / 2), top, wide, high), rng)
    return face, lines


def draw(
    line: Scene, job: Job, fault: str | None, size: tuple[int, int], rng: np.random.Generator
) -> Drawn:
    """One carton.

    Returns
    -------
    The picture, its print in reading order from the top of the carton; no defects.
    """
    width, height = size
    scale = min(width / SIZE[0], height / SIZE[1])
    face, lines = _face(line, job, fault, scale, rng)
    frame = backdrop(line, rng)
    centre = (width / 2 + scale * rng.uniform(-48, 48), height / 2 + scale * rng.uniform(-22, 22))
    degrees = rng.uniform(-7, 7) + (180 if rng.random() < TURNED else 0)
    top = jittered(centre, (face.shape[1], face.shape[0]), degrees, 0.02, rng)
    foot = _foot(top, size, scale)
    shadow(frame, foot + np.float32(3 * scale), 9 * scale, 0.55)
    side = [float(c) for c in face[-2, 2] * 0.62]
    hull = cv2.convexHull(np.concatenate([top, foot]))
    cv2.fillConvexPoly(frame, np.rint(hull).astype(np.int32), side, cv2.LINE_AA)
    if rng.random() < 0.6:
        spot = scale * rng.uniform([120, 90], [320, 220])
        where = rng.uniform(0.1, 0.9, size=2) * (face.shape[1], face.shape[0])
        glare(face, (where[0], where[1]), (spot[0], spot[1]), int(rng.integers(15, 45)))
    across = place(frame, face, top)
    edge = [float(c) for c in face[-2, 2] * 0.5 + 80]
    cv2.polylines(frame, [np.rint(top * 16).astype(np.int32)], True, edge, 1, cv2.LINE_AA, 4)
    return photograph(frame, line, rng, (0.45 * scale, 0.75 * scale)), through(lines, across), ()


def _foot(top: NDArray[np.float32], size: tuple[int, int], scale: float) -> NDArray[np.float32]:
    """Corners of the carton's foot: being farther away it lies nearer to the picture's middle."""
    middle = np.array(size, np.float32) / 2
    inwards = (middle - top.mean(axis=0)) * 0.08
    return np.asarray(middle + (top - middle) * 0.96 + inwards + (0, 9 * scale), np.float32)
