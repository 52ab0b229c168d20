"""Angle classification: is a line upright or upside down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.ppocr.rec import rec_input

__all__ = ["CLS_BATCH", "cls_input", "upside_down"]

WIDTH = 192
"""Pixels; what the classifier is trained on, at the height of the recogniser's lines."""

CLS_BATCH = 12
"""Lines that are classified together; bounds memory on a page of hundreds of lines."""

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
    return rec_input(crops, WIDTH)


def upside_down(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which lines are to be turned, from the classifier's ``(N, 2) float32`` (upright, turned)."""
    return np.asarray(probabilities[:, 1] > TURN_THRESHOLD, np.bool_)
