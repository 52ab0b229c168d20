"""The picture of a part with what was found drawn in, as the record says it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.draw import draw_defects, draw_lines
from models.results import Defect, TextLine

__all__ = ["overlay"]


def overlay(image: NDArray[np.uint8], record: dict[str, Any]) -> NDArray[np.uint8]:
    """Draw lines and defects of a record on a copy of ``(H, W, 3) uint8`` BGR."""
    lines = [
        TextLine(line["text"], line["score"] or 0.0, np.array(line["quad"], np.float32))
        for found in record["read"].values()
        for line in found
    ]
    defects = [
        Defect(defect["label"], defect["score"] or 0.0, np.array(defect["box"], np.float32))
        for found in record["defects"].values()
        for defect in found
    ]
    return draw_defects(draw_lines(image, lines), defects)
