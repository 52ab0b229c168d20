"""Sees in the pictures that a part passes: something on the belt that is not the empty belt.

The box is looked at on a coarse grid, with the way of the parts along its long axis. Cells that
differ from the empty belt make the columns of a *run*, which is a part::

    box  ┌──────────────┬──────────────┐
         │     ▒▒▒▓▓▓▓▓▓│▓▓▓           │   run: columns that differ, weak ones only beside strong
         └──────────────┴──────────────┘
               tail   centre  front          fires when the centre has passed the middle

What counts as empty is learnt: the median of the first second, and slowly on from there wherever
no part is seen. The light of the whole scene is divided out, so that neither a lamp that ages nor
one that is switched on is a part. A thing that stays where it is, is belt after a while.

The rules for the runs are Canny's hysteresis (IEEE PAMI 8, 1986) in one dimension.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.station.triggers import VisionTrigger
from models.errors import ImageError

__all__ = ["Vision", "runs"]

COLUMNS, ROWS = 128, 16
"""Cells of the grid along and across the belt: a part of a tenth of the box has a dozen columns."""

SAMPLES = 2, 4
"""Pixels of a cell that are looked at, along and across: their mean has a third of the noise, and
all of them together are a fiftieth of a picture."""

WEAK = 0.6
"""Of the threshold: such a cell belongs to a part that it touches, and makes none of its own."""

COVER = 0.15
"""Of a column's cells that must differ: print and dirt of the belt are smaller, parts larger."""

HOLE = 2
"""Columns that may look empty within a part; a gap between two parts is wider."""

SMALLEST = COLUMNS // 32
"""Columns of the smallest part, unless told otherwise."""

LEARN_S, LEARN_FRAMES = 1.0, 8
"""The empty belt is learnt from so much, and so many pictures at least, before anything fires."""

DRIFT_S = 2.0
"""Time constant by which the belt is followed: slow against a part, quick against the daylight."""

STILL_S = 10.0
"""A cell that has differed for so long is belt: nothing that is inspected in passing stands."""

GAIN = 0.4, 2.5
"""Bounds of a change of light: beyond them it is too dark or too bright to see anything."""

BACK = 0.125
"""Of a part's length by which its centre must lie behind the one before it to be another part."""


class Vision:
    """Looks at every picture of one camera, and says when a part passes. Not thread-safe.

    Parameters
    ----------
    table
        Where to look, and what differs from the belt.
    """

    def __init__(self, table: VisionTrigger) -> None:
        self._table = table
        self._upright = table.moves in ("down", "up")
        self._size = (0, 0)
        self._looked_at = np.zeros(0, np.intp), np.zeros(0, np.intp)
        self._smallest = SMALLEST
        self._first: list[NDArray[np.float32]] = []
        self._began = self._last = 0.0
        self._belt = np.zeros((0,), np.float32)
        self._differs = np.zeros((ROWS, COLUMNS), bool)
        self._since = np.zeros((ROWS, COLUMNS))
        self._gain = np.ones(3, np.float32)
        self._inside = self._fired = False
        self._foremost = 0.0

    def look(self, image: NDArray[np.uint8], at: float) -> bool:
        """Whether the middle of a part has passed since the last picture.

        Raises
        ------
        ImageError
            The box lies outside the picture.

        Parameters
        ----------
        image
            ``(H, W, 3) uint8`` BGR; only looked at.
        at
            When it was taken, ``time.monotonic()`` seconds.
        """
        if image.shape[:2] != self._size:  # another picture: nothing that was learnt holds
            self._begin((image.shape[0], image.shape[1]), at)
        cells = self._cells(image)
        if not self._belt.size:
            self._learn_first(cells, at)
            return False
        profile = self._compare(cells, at)
        return self._follow(profile)

    def _begin(self, size: tuple[int, int], at: float) -> None:
        """Learn anew, in pictures of that height and width."""
        height, width = size
        x0, y0, x1, y1 = self._table.box or (0, 0, width, height)
        x1, y1 = min(x1, width), min(y1, height)
        if x0 >= x1 or y0 >= y1:
            raise ImageError(f"trigger: its box lies outside the picture of {width}x{height}")
        along, across = COLUMNS * SAMPLES[0], ROWS * SAMPLES[1]
        down, right = (along, across) if self._upright else (across, along)
        self._looked_at = (
            np.linspace(y0, y1 - 1, down).astype(np.intp),
            np.linspace(x0, x1 - 1, right).astype(np.intp),
        )
        wanted = self._table.min_size_px
        scale = COLUMNS / (y1 - y0 if self._upright else x1 - x0)
        self._smallest = SMALLEST if wanted is None else max(1, round(wanted * scale))
        self._size = size
        self._first, self._began, self._belt = [], at, np.zeros((0,), np.float32)

    def _cells(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(ROWS, COLUMNS, 3)`` of the box, turned so that parts go to the right."""
        rows, columns = self._looked_at
        seen = image[rows][:, columns]
        if self._upright:
            seen = seen.swapaxes(0, 1)
        if self._table.moves in ("left", "up"):
            seen = seen[:, ::-1]
        cells = cv2.resize(
            np.ascontiguousarray(seen), (COLUMNS, ROWS), interpolation=cv2.INTER_AREA
        )
        return cells.astype(np.float32)

    def _learn_first(self, cells: NDArray[np.float32], at: float) -> None:
        """Take the median of the first second; parts that pass in it are not seen."""
        self._first.append(cells)
        if at - self._began >= LEARN_S and len(self._first) >= LEARN_FRAMES:
            self._belt = np.median(self._first, axis=0).astype(np.float32)
            self._first = []
            self._differs[:] = False
            self._inside = self._fired = False
            self._since[:] = self._last = at

    def _compare(self, cells: NDArray[np.float32], at: float) -> NDArray[np.int8]:
        """Which columns show a part: 2 surely, 1 if they touch one, 0 not. Learns the rest."""
        free = ~self._differs[::2, ::2]  # one in four is plenty for a median
        if np.count_nonzero(free) >= free.size // 8:  # else the light cannot be told from the part
            ratio = (cells[::2, ::2][free] + 1) / (self._belt[::2, ::2][free] + 1)
            self._gain = np.clip(np.median(ratio, axis=0), *GAIN).astype(np.float32)
        blue, green, red = np.moveaxis(np.abs(cells - self._belt * self._gain), 2, 0)
        error = np.maximum(np.maximum(blue, green), red)
        strong, weak = error > self._table.threshold, error > self._table.threshold * WEAK
        seconds, self._last = max(0.0, at - self._last), at
        self._since[~weak] = at
        still = at - self._since > STILL_S
        follow = 1 - np.exp(-seconds / DRIFT_S)
        share = np.where(weak, 0.0, follow) + still
        self._belt += (np.minimum(share, 1.0)[..., None] * (cells - self._belt)).astype(np.float32)
        self._differs = weak & ~still
        need = COVER * ROWS
        columns = (self._differs.sum(axis=0) > need).astype(np.int8)
        surely = (strong & ~still).sum(axis=0) > need
        profile: NDArray[np.int8] = columns + surely
        return profile

    def _follow(self, profile: NDArray[np.int8]) -> bool:
        """Follow the part that covers the middle."""
        middle = COLUMNS / 2
        here = [run for run in runs(profile, self._smallest) if run[0] <= middle <= run[1]]
        if not here:
            unseen = self._inside and not self._fired  # it went on by more than half its length
            self._inside = self._fired = False
            return unseen
        tail, front = here[0]
        centre = (tail + front) / 2
        back = max(2.0, BACK * (front - tail))
        missed = False
        if self._inside and centre < self._foremost - back:  # the next one, close behind
            missed, self._fired = not self._fired, False
            self._foremost = centre
        elif not self._inside:
            self._foremost = centre
        self._inside, self._foremost = True, max(self._foremost, centre)
        fires = not self._fired and centre >= middle
        self._fired = self._fired or fires
        return fires or missed


def runs(profile: NDArray[np.int8], smallest: int) -> list[tuple[int, int]]:
    """Runs of columns that are not 0 and hold a 2: first column and the one after the last.

    >>> runs(np.array([0, 1, 2, 0, 2, 0, 0, 0, 1, 1, 0], np.int8), 2)
    [(1, 5)]
    """
    found: list[tuple[int, int]] = []
    for column in np.flatnonzero(profile):
        if found and column - found[-1][1] <= HOLE:
            found[-1] = (found[-1][0], int(column) + 1)
        else:
            found.append((int(column), int(column) + 1))
    return [
        (first, end)
        for first, end in found
        if end - first >= smallest and (profile[first:end] == 2).any()
    ]
