"""Ink on a face: stamped, worn, or wiped off."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from models.results import TextLine
from tools.line.effects import Image
from tools.line.words import Print

__all__ = ["stamp", "through"]


@lru_cache(maxsize=1)
def _wear() -> NDArray[np.float32]:
    """How much of the ink takes, ``(256, 2048) float32``: uneven, with specks left out."""
    rng = np.random.default_rng(57)
    speckle = cv2.GaussianBlur(rng.normal(size=(256, 2048)).astype(np.float32), (0, 0), 0.8)
    uneven = cv2.resize(rng.normal(size=(12, 90)).astype(np.float32), (2048, 256))
    return np.asarray(np.clip(0.9 + 0.10 * speckle + 0.04 * uneven, 0.55, 1.0), np.float32)


def _wiped(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a sleeve leaves of wet ink: a haze in which no stroke is left."""
    height = mask.shape[0]
    bare = cv2.BORDER_CONSTANT  # the haze fades towards the edge of the mask
    drawn = cv2.blur(mask, (3 * height, height // 2), borderType=bare)
    hazy = cv2.GaussianBlur(
        drawn, (0, 0), sigmaX=0.4 * height, sigmaY=0.15 * height, borderType=bare
    )
    return np.asarray(cv2.convertScaleAbs(hazy, alpha=0.9), np.uint8)


def stamp(
    face: Image,
    mask: NDArray[np.uint8],
    at: tuple[float, float],
    ink: tuple[int, int, int],
    line: Print,
    rng: np.random.Generator,
) -> TextLine:
    """Print ``mask`` onto ``face``, in place.

    Parameters
    ----------
    mask
        ``(h, w) uint8`` coverage.
    at
        Top left corner, in pixels of ``face``; the mask has to fit there.
    ink
        BGR.

    Returns
    -------
    What is now printed, with its quad in pixels of ``face``; no text if it was wiped.
    """
    x, y = round(at[0]), round(at[1])
    height, width = mask.shape
    wear = _wear()
    wx = int(rng.integers(wear.shape[1] - width)) if width < wear.shape[1] else 0
    wy = int(rng.integers(wear.shape[0] - height)) if height < wear.shape[0] else 0
    laid = _wiped(mask) if line.wiped else mask
    grip = cv2.resize(wear[wy : wy + height, wx : wx + width], (width, height))
    alpha = (laid * grip / 255.0).astype(np.float32)[:, :, None]
    ground = face[y : y + height, x : x + width]
    ground[:] = np.rint(ground + alpha * (np.array(ink, np.float32) - ground)).astype(np.uint8)
    quad = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)
    return TextLine("" if line.wiped else line.text, 0.0 if line.wiped else 1.0, quad)


def through(lines: list[TextLine], across: NDArray[np.float64]) -> tuple[TextLine, ...]:
    """The same lines in pixels of the frame that ``across``, a homography, leads to."""
    return tuple(
        TextLine(
            line.text,
            line.score,
            np.asarray(cv2.perspectiveTransform(line.quad[None], across)[0], np.float32),
        )
        for line in lines
    )
