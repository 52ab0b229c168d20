"""A contact sheet of parts with their verdicts: what a run looked like, at a glance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.capture import State
from edge.draw import draw_defects, draw_lines
from edge.verdict import Verdict
from models.atomic import write_atomic
from models.errors import InputError
from models.images import encode_image
from models.results import Defect

__all__ = ["Sheet"]

CELL = (320, 240)
"""Width and height of one part on the sheet, pixels."""

COLUMNS, ROWS = 4, 6
"""One sheet; the newest parts stay."""

SUFFIXES = (".png", ".jpg", ".jpeg")
"""Formats of a sheet."""

OK_COLOUR, NG_COLOUR = (60, 150, 0), (30, 30, 200)
"""BGR."""


class Sheet:
    """Draws the parts of a run on one picture; an output of the loop.

    Parameters
    ----------
    path
        PNG or JPEG; written when the run ends.

    Raises
    ------
    InputError
        It is neither.
    """

    pictures = True

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(f"{path}: no format for a sheet: name it {', '.join(SUFFIXES)}")
        self.name, self._path = str(path), path
        self._cells: list[NDArray[np.uint8]] = []

    def verdict(self, verdict: Verdict) -> None:
        """Keep a small picture of it."""
        self._cells = [*self._cells, _cell(verdict)][-COLUMNS * ROWS :]

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Not shown: a sheet is about parts."""

    def close(self) -> None:
        """Write the sheet; ``StorageError`` if that fails."""
        blank = np.full((CELL[1], CELL[0], 3), 255, np.uint8)
        count = -(-len(self._cells) // COLUMNS) * COLUMNS
        cells = self._cells + [blank] * (count - len(self._cells))
        rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, count, COLUMNS)]
        sheet = np.vstack(rows) if rows else blank
        write_atomic(self._path, encode_image(sheet, self._path.suffix))


def _cell(verdict: Verdict) -> NDArray[np.uint8]:
    width, height = CELL
    cell = np.full((height, width, 3), 40, np.uint8)
    if verdict.part.frame is not None:
        found = [f for f in verdict.outcome.findings.values() if f is not None]
        lines = [line for f in found for line in f.lines]
        defects = [defect for f in found for defect in f.defects]
        picture = draw_lines(verdict.part.frame.image, lines)
        scale = min(width / picture.shape[1], (height - 44) / picture.shape[0])
        size = (int(picture.shape[1] * scale), int(picture.shape[0] * scale))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        # Defects are drawn on the small picture, where their names can still be read.
        factor = np.float32(scale)
        small = draw_defects(small, [Defect(d.label, d.score, d.box * factor) for d in defects])
        x = (width - size[0]) // 2
        cell[: size[1], x : x + size[0]] = small
    colour = OK_COLOUR if verdict.ok else NG_COLOUR
    cell[height - 44 :] = colour
    cv2.rectangle(cell, (0, 0), (width - 1, height - 1), colour, 3)
    word = "OK" if verdict.ok else "NG"
    head = f"{word}  {verdict.part.camera} #{verdict.number}  {verdict.latency * 1000:.0f} ms"
    why = verdict.reasons[0].text() if verdict.reasons else ""
    _put(cell, head, height - 26, 0.5)
    _put(cell, why[:52], height - 8, 0.36)
    return cell


def _put(cell: NDArray[np.uint8], text: str, y: int, size: float) -> None:
    # OpenCV's letters are ASCII alone.
    plain = text.replace("“", '"').replace("”", '"').encode("ascii", "replace").decode()
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    cv2.putText(cell, plain, (6, y), font, size, white, 1, cv2.LINE_AA)
