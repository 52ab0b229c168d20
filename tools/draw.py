"""Pictures with what was found drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.results import TextLine

__all__ = ["BLUE", "draw_lines"]

BLUE = (200, 80, 0)
"""BGR; stands out on print, cartons and boards, and means neither OK nor NG."""


def draw_lines(image: NDArray[np.uint8], lines: Sequence[TextLine]) -> NDArray[np.uint8]:
    """Outline and number each line on a copy of ``(H, W, 3) uint8``; the first side is thick.

    The thick side is the top of the text, so that one sees which way up it was read.
    """
    drawn = image.copy()
    size = max(0.4, min(image.shape[:2]) / 900)
    for number, line in enumerate(lines, 1):
        corners = np.round(line.quad).astype(np.int32)
        cv2.polylines(drawn, [corners], True, BLUE, 1, cv2.LINE_AA)
        top_left = (int(corners[0][0]), int(corners[0][1]))
        cv2.line(drawn, top_left, (int(corners[1][0]), int(corners[1][1])), BLUE, 3, cv2.LINE_AA)
        label = str(number)
        (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        x = min(max(0, top_left[0] - width - 4), image.shape[1] - width)
        y = min(max(height + 2, top_left[1] + height), image.shape[0] - 2)
        cv2.rectangle(drawn, (x - 2, y - height - 2), (x + width + 2, y + 3), BLUE, cv2.FILLED)
        white = (255, 255, 255)
        cv2.putText(drawn, label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, white, 1, cv2.LINE_AA)
    return drawn
