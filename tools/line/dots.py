"""Dot-matrix print, as continuous ink-jet coders throw it: 5 x 7 dots to a character."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.line.fonts import margin

__all__ = ["GLYPHS", "dot_mask"]

_ROWS = {
    "0": "01110 10001 10001 10001 10001 10001 01110",
    "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111",
    "3": "01110 10001 00001 00110 00001 10001 01110",
    "4": "00010 00110 01010 10010 11111 00010 00010",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110",
    "7": "11111 00001 00010 00100 00100 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110",
    "9": "01110 10001 10001 01111 00001 00010 01100",
    "A": "00100 01010 01010 10001 11111 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "F": "11111 10000 10000 11110 10000 10000 10000",
    "G": "01110 10001 10000 10011 10001 10001 01110",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "J": "00111 00010 00010 00010 00010 10010 01100",
    "K": "10001 10010 10100 11000 10100 10010 10001",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001",
    "N": "10001 11001 11001 10101 10011 10011 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 10001 11110 10000 10000",
    "Q": "01110 10001 10001 10001 10101 10010 01101",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "U": "10001 10001 10001 10001 10001 10001 01110",
    "V": "10001 10001 10001 10001 01010 01010 00100",
    "W": "10001 10001 10001 10101 10101 11011 10001",
    "X": "10001 10001 01010 00100 01010 10001 10001",
    "Y": "10001 10001 01010 00100 00100 00100 00100",
    "Z": "11111 00001 00010 00100 01000 10000 11111",
    "-": "00000 00000 00000 01110 00000 00000 00000",
    "/": "00001 00001 00010 00100 01000 10000 10000",
    ":": "00000 00100 00100 00000 00100 00100 00000",
    ".": "00000 00000 00000 00000 00000 01100 01100",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}

GLYPHS = {
    character: np.array([[dot == "1" for dot in row] for row in rows.split()])
    for character, rows in _ROWS.items()
}
"""``(7, 5) bool`` of each character."""

SHIFT = 4
"""Fractional bits of the coordinates that go to OpenCV."""


@lru_cache(maxsize=64)
def _dots(text: str) -> NDArray[np.float64]:
    """``(N, 2)`` column and row of every dot of ``text``; six columns to a character."""
    found = [np.argwhere(GLYPHS[c])[:, ::-1] + (6 * i, 0) for i, c in enumerate(text)]
    dots = np.asarray(np.concatenate(found), np.float64)
    dots.setflags(write=False)
    return dots


def dot_mask(text: str, pitch: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One line of dots.

    The drops of one stroke leave the nozzle together and miss together, so a column is shifted as
    a whole; each drop then misses a little by itself, and their sizes differ.

    Parameters
    ----------
    text
        Of the characters of ``GLYPHS``.
    pitch
        Pixels from dot to dot along the line; rows are a fifth wider apart, the coder's usual
        proportion.

    Returns
    -------
    ``(H, W) uint8``: 0 is bare ground, 255 full ink; the dots and the margin around them.
    """
    dots = _dots(text)
    rows = 1.2 * pitch
    edge = margin(7 * rows) + pitch / 2
    width = round((dots[:, 0].max() - dots[:, 0].min()) * pitch + 2 * edge)
    height = round(6 * rows + 2 * edge)
    stroke = rng.normal(0, 0.09, size=6 * len(text))[dots[:, 0].astype(int)]
    miss = rng.normal(0, 0.07, size=dots.shape)
    x = (dots[:, 0] - dots[:, 0].min() + miss[:, 0]) * pitch + edge
    y = (dots[:, 1] + miss[:, 1] + stroke) * rows + edge
    radius = 0.60 * pitch * rng.uniform(0.9, 1.12, size=len(dots))
    mask = np.zeros((height, width), np.uint8)
    fixed = np.stack([x, y, radius], axis=1) * 2**SHIFT
    for cx, cy, r in np.rint(fixed).astype(int).tolist():
        cv2.circle(mask, (cx, cy), r, (255,), -1, cv2.LINE_AA, SHIFT)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.20 * pitch), np.uint8)
