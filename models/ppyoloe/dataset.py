"""Labelled pictures of defects, and what may be wrong with them.

``coco`` and ``voc`` read them, ``layout`` tells which of the two a folder is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import ImageError, InputError
from models.images import load_image

__all__ = [
    "Box",
    "Dataset",
    "Picture",
    "Progress",
    "check_label",
    "check_pictures",
    "clip_box",
    "make_picture",
    "refuse",
    "shown",
]

FAULTS_SHOWN = 200
"""Faults that an error lists; more of one set are mostly the same fault."""

TOLERANCE = 1.0
"""Pixels that a box may reach out of its picture: labelling tools round; the box is clipped."""

MIN_SIDE = 0.01
"""Pixels; float32, which boxes are kept in, tells no smaller sides apart at the far border."""

MAX_LABEL = 64
"""Characters of a class name: as many as a model's configuration takes."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Picture:
    """One part, and the defects that are labelled on it.

    Attributes
    ----------
    id
        As the annotation file numbers it.
    path
        The image file.
    width, height
        Pixels.
    boxes
        ``(N, 4) float32`` xyxy, pixels, within the picture.
    classes
        ``(N,) int64``, index in the set's labels.
    crowd
        ``(N,) bool``: the box holds many defects too close to be told apart (COCO's ``iscrowd``).
        Such a box is trained as neither defect nor background, and scored as neither hit nor miss.
    """

    id: int
    path: Path
    width: int
    height: int
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]

    @property
    def defective(self) -> bool:
        """Whether a defect is labelled on it; a crowd alone does not count."""
        return bool((~self.crowd).any())


@dataclass(frozen=True)
class Dataset:
    """A set of pictures with labelled defects of the classes ``labels``."""

    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]


def make_picture(
    number: int,
    path: Path,
    size: tuple[int, int],
    boxes: Sequence[Box],
    classes: Sequence[int],
    crowd: Sequence[bool],
) -> Picture:
    """A picture from lists; ``size`` is width and height."""
    return Picture(
        number,
        path,
        *size,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array(crowd, np.bool_),
    )


def check_label(name: str) -> None:
    """``ValueError`` unless a model may have a class of that name."""
    if not (name.strip() and name.isprintable() and len(name) <= MAX_LABEL):
        raise ValueError(f"class {shown(name)!r}: must be 1 to {MAX_LABEL} printable characters")


def clip_box(box: Box, width: int, height: int) -> Box:
    """Clip an xyxy box that reaches out of its picture by no more than a pixel.

    Raises
    ------
    ValueError
        It reaches out further, or has no area; says so in the words of a fault.
    """
    x0, y0, x1, y1 = box
    if x1 - x0 < MIN_SIDE or y1 - y0 < MIN_SIDE:
        raise ValueError(f"box is {x1 - x0:g}x{y1 - y0:g} pixels: must have an area")
    over = max(-x0, -y0, x1 - width, y1 - height)
    if over > TOLERANCE:
        raise ValueError(
            f"box {x0:g}, {y0:g} to {x1:g}, {y1:g} lies outside the picture of {width}x{height}: "
            f"may reach out by {TOLERANCE:g} pixel"
        )
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    if clipped[2] - clipped[0] < MIN_SIDE or clipped[3] - clipped[1] < MIN_SIDE:
        raise ValueError("box touches its picture only from outside: must have an area within it")
    return clipped


Progress = Callable[[Sequence[Picture]], Iterable[Picture]]
"""Goes through pictures and may show how far it is; ``iter`` shows nothing."""


def check_pictures(dataset: Dataset, progress: Progress = iter) -> list[str]:
    """Decode every picture: what cannot be read must be known before hours of training.

    Returns
    -------
    One line for each picture that is unreadable, cut off, or not as large as annotated.
    """
    faults: list[str] = []
    for picture in progress(dataset.pictures):
        try:
            height, width = load_image(picture.path).shape[:2]
        except ImageError as error:
            faults.append(str(error))
            continue
        if (width, height) != (picture.width, picture.height):
            faults.append(
                f"{picture.path}: image {picture.id}: is {width}x{height} pixels, but annotated as "
                f"{picture.width}x{picture.height}: annotate the picture as it is stored"
            )
    return faults


def refuse(faults: Sequence[str]) -> None:
    """Raise ``InputError`` with all ``faults``, one a line, up to two hundred; nothing if none."""
    if faults:
        more = len(faults) - FAULTS_SHOWN
        rest = [f"and {more} more faults"] if more > 0 else []
        raise InputError("\n".join([*faults[:FAULTS_SHOWN], *rest]))


def shown(name: str) -> str:
    """A name out of a file as a fault may show it: on one line, and not endless."""
    plain = name if name.isprintable() else repr(name)
    return plain if len(plain) <= 120 else f"{plain[:117]}..."
