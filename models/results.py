"""What a model family says of an image: the types that every room speaks.

Coordinates are float32 pixels of the original frame, x to the right and y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Defect", "Findings", "TextLine"]


@dataclass(frozen=True)
class TextLine:
    """One line of print as it was read.

    Attributes
    ----------
    text
        What it says, in reading order.
    score
        Mean of ``char_scores``, 0 to 1; 0 for an empty text.
    quad
        ``(4, 2) float32`` corners: top left, top right, bottom right, bottom left *of the text*,
        so that an upside-down line starts at the bottom right of the frame.
    char_scores
        The recogniser's probability of each character of ``text``.
    """

    text: str
    score: float
    quad: NDArray[np.float32]
    char_scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class Defect:
    """One defect as it was found.

    Attributes
    ----------
    label
        The class.
    score
        Confidence, 0 to 1.
    box
        ``(4,) float32``, xyxy.
    """

    label: str
    score: float
    box: NDArray[np.float32]


@dataclass(frozen=True)
class Findings:
    """All that was found in one region of one part.

    Attributes
    ----------
    lines, defects
        What was found.
    threshold
        Score from which a defect counts by the model's own measure.
    floor
        Score from which no defect is missing: fainter ones were not looked for, or were too many.
    """

    lines: tuple[TextLine, ...] = ()
    defects: tuple[Defect, ...] = ()
    threshold: float = 0.5
    floor: float = 0.0
