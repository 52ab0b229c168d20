"""Angle classification: is a line upright or upside down."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["cls_input", "upside_down"]

HEIGHT, WIDTH = 48, 192
"""Pixels; what the classifier is trained on."""

TURN_THRESHOLD = 0.9
"""Probability from which a line is turned (PaddleOCR's)."""


def cls_input(crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Lines as one input of the classifier: long ones squeezed, short ones padded on the right.

    Parameters
    ----------
    crops
        ``(h, w, 3) uint8`` BGR each.

    Returns
    -------
    ``(N, 3, 48, 192) float32``, -1 to 1.
    """
    batch = np.zeros((len(crops), 3, HEIGHT, WIDTH), np.float32)
    for slot, crop in zip(batch, crops, strict=True):
        height, width = crop.shape[:2]
        wide = min(WIDTH, max(1, int(np.ceil(HEIGHT * width / height))))
        if crop.shape[:2] != (HEIGHT, wide):
            crop = np.asarray(cv2.resize(crop, (wide, HEIGHT)), np.uint8)
        part = slot[:, :, :wide]
        np.multiply(crop.transpose(2, 0, 1), 1 / 127.5, out=part, casting="unsafe")
        part -= 1
    return batch


def upside_down(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which lines are to be turned, from the classifier's ``(N, 2) float32`` (upright, turned)."""
    return np.asarray(probabilities[:, 1] > TURN_THRESHOLD, np.bool_)
