"""Pictures, boxes and defects for tests of detectors."""

from pathlib import Path

import numpy as np

from models.ppyoloe.dataset import Picture, make_picture
from models.results import Defect

LABELS = ("open", "short")

Box = tuple[float, float, float, float]

A: Box = (10.0, 10.0, 20.0, 20.0)
B: Box = (50.0, 50.0, 60.0, 60.0)
C: Box = (70.0, 70.0, 90.0, 90.0)


def picture(number: int, *boxes: tuple[int, Box, bool]) -> Picture:
    """100x100 pixels; of each box the class, the corners and whether it is a crowd."""
    return make_picture(
        number,
        Path(f"{number}.png"),
        (100, 100),
        [box for _, box, _ in boxes],
        [index for index, _, _ in boxes],
        [crowd for _, _, crowd in boxes],
    )


def defect(label: str, score: float, *box: float) -> Defect:
    """As a detector finds it."""
    return Defect(label, score, np.array(box, np.float32))
