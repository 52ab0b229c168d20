"""PaddleOCR's label files.

Crops: ``path TAB text``. Photos: ``path TAB [{"transcription": ..., "points": [[x, y], ...]}]``.
Paths are relative to the label file.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.images import MAX_SIDE
from models.ppocr.geometry import order_corners, quad_size

__all__ = ["Label", "Labelled", "load_labels"]

UNREADABLE = frozenset({"###", "*"})
"""Transcriptions of lines that nobody could read: neither a hit nor a miss."""

FAULTS_SHOWN = 10
"""Faults that an error lists; more of one file are mostly the same fault."""


@dataclass(frozen=True)
class Label:
    """One line of a photo: its text and ``(4, 2) float32`` quad, pixels."""

    text: str
    quad: NDArray[np.float32]
    ignored: bool = False


@dataclass(frozen=True)
class Labelled:
    """One image and what stands on it: ``text`` of a crop, or ``lines`` of a photo."""

    path: Path
    text: str | None = None
    lines: tuple[Label, ...] = ()


def load_labels(path: Path) -> list[Labelled]:
    """Read a label file, all crops or all photos.

    Raises
    ------
    InputError
        The file cannot be read, or has faults; up to ten are named, with their line.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would make us wait for ever
            raise InputError(f"{path}: is no file: name a label file")
        # not splitlines: a text may hold any of the characters that it takes for a line's end
        rows = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from error
    items: list[Labelled] = []
    faults: list[str] = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            items.append(_parse(row, path.parent))
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
    if not faults and not items:
        faults.append(f"{path}: holds no labels: `path TAB text` is expected")
    if len({item.text is None for item in items}) > 1:
        faults.append(f"{path}: crops and photos in one file: split it in two")
    if faults:
        more = len(faults) - FAULTS_SHOWN
        shown = faults[:FAULTS_SHOWN] + ([f"{path}: and {more} more"] if more > 0 else [])
        raise InputError("\n".join(shown))
    return items


def _parse(row: str, folder: Path) -> Labelled:
    name, tab, content = row.partition("\t")
    if not tab or not name:
        raise ValueError("no tab: `path TAB text` is expected")
    image = folder / name
    if not os.path.isfile(image):  # Path.is_file raises of a name that is too long
        raise ValueError(f"{image}: no such image")
    if not content.startswith("[{") and content != "[]":
        return Labelled(image, text=content)
    try:
        entries = json.loads(content)
        lines = tuple(_label(entry["transcription"], entry["points"]) for entry in entries)
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"not a list of transcription and points ({error or type(error).__name__})"
        ) from error
    return Labelled(image, lines=lines)


def _label(text: str, points: list[list[float]]) -> Label:
    corners = np.array(points, np.float32)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError(f"points of {text!r} are no polygon")
    if not np.isfinite(corners).all():
        raise ValueError(f"points of {text!r} are no finite numbers")
    if np.abs(corners).max() > MAX_SIDE:
        raise ValueError(f"points of {text!r} lie outside of any picture")
    if len(corners) != 4:
        corners = order_corners(
            np.asarray(cv2.boxPoints(cv2.minAreaRect(corners)), np.float32)[None]
        )[0]
    ignored = text in UNREADABLE
    if not ignored and min(quad_size(corners)) < 1:
        raise ValueError(f"points of {text!r} are no polygon: they enclose not one pixel")
    return Label(str(text), corners, ignored)
