"""Pictures with what was found drawn in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from models.results import Defect, TextLine

__all__ = ["BLUE", "draw_defects", "draw_lines"]

BLUE = (200, 80, 0)
"""BGR; stands out on print, cartons and boards, and means neither OK nor NG."""

WHITE = (255, 255, 255)


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
        _put(drawn, label, top_left[0] - width - 4, top_left[1] + height, size)
    return drawn


def draw_defects(image: NDArray[np.uint8], defects: Sequence[Defect]) -> NDArray[np.uint8]:
    """Frame each defect on a copy of ``(H, W, 3) uint8``, with its number, class and score.

    The frame is blue between white and stands around the defect, so that it is seen on any
    picture and hides nothing of what it shows. The surest are drawn last, over the others.
    OpenCV's letters are ASCII alone: of other classes only the number and the score can be read.
    """
    drawn = image.copy()
    size = max(0.4, min(image.shape[:2]) / 1400)
    frames = [np.rint(defect.box).astype(int).tolist() for defect in defects]
    for x0, y0, x1, y1 in reversed(frames):
        for away, colour in ((4, WHITE), (3, BLUE), (2, BLUE), (1, WHITE)):
            cv2.rectangle(drawn, (x0 - away, y0 - away), (x1 + away, y1 + away), colour, 1)
    for number in range(len(defects), 0, -1):
        (x0, y0, _, y1), defect = frames[number - 1], defects[number - 1]
        name = defect.label.encode("ascii", "replace").decode()
        label = f"{number} {name} {defect.score:.2f}"
        (_, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        above = y0 - 8
        _put(drawn, label, x0, above if above > height + 2 else y1 + height + 8, size)
    return drawn


def _put(image: NDArray[np.uint8], text: str, x: int, y: int, size: float) -> None:
    """Write white on blue, the lower left corner at ``x, y`` or where it is all seen."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    x = max(0, min(x, image.shape[1] - width))
    y = max(height + 2, min(y, image.shape[0] - 4))
    cv2.rectangle(image, (x - 2, y - height - 2), (x + width + 2, y + 3), BLUE, cv2.FILLED)
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, WHITE, 1, cv2.LINE_AA)
