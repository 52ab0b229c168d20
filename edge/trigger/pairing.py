"""Which picture is that of which part: the first one taken at or after its trigger and a delay.

Pure: triggers and pictures come in, in whatever order their threads bring them; pairs come out.

::

    trigger          at + delay                    at + delay + patience
    at ─────────────────► the first picture from here on ──────► none: ``no_picture``

A picture is that of one part. Where two parts come before the same picture, the first of them has
it and the second is ``too_close``: nobody can tell which of the two it shows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

__all__ = ["Miss", "Pairing"]

REMEMBERED = 3
"""Newest pictures that are kept for a trigger which is told after them: its thread, or the kernel,
may be that many pictures behind the camera's."""

MOST_WAITING = 256
"""Parts that may wait for a picture: as many verdicts as an output may lie behind. At 30 parts a
second that is a way of eight seconds from trigger to camera; more is a sensor that flutters."""

Miss = Literal["no_picture", "too_close", "overrun"]
"""Why a part has no picture: none came in time, another part has it, too many parts wait."""

P = TypeVar("P")
F = TypeVar("F")


@dataclass
class _Picture(Generic[F]):
    at: float
    frame: F
    taken: bool = False


@dataclass(frozen=True)
class _Waiting(Generic[P]):
    due: float
    part: P


class Pairing(Generic[P, F]):
    """Gives parts ``P`` their pictures ``F``. Not safe from several threads.

    Parameters
    ----------
    delay
        From trigger to picture, seconds.
    patience
        How long after that a picture may be taken and still be that of the part, seconds.
    """

    def __init__(self, delay: float, patience: float) -> None:
        self._delay = delay
        self.patience = patience
        self._waiting: deque[_Waiting[P]] = deque()
        self._pictures: deque[_Picture[F]] = deque(maxlen=REMEMBERED)

    def lapses(self, at: float) -> float:
        """Until when a part that was triggered at ``at`` waits."""
        return at + self._delay + self.patience

    def triggered(self, part: P, at: float) -> F | Miss | Literal["waits"]:
        """A part was triggered: its picture, why there is none, or that it waits for one.

        Parts come in the order of their triggers.
        """
        due = at + self._delay
        for picture in self._pictures:
            if picture.at >= due:
                return self._give(picture, due)
        if len(self._waiting) >= MOST_WAITING:
            return "overrun"
        self._waiting.append(_Waiting(due, part))
        return "waits"

    def pictured(self, frame: F, at: float) -> Iterator[tuple[P, F | Miss]]:
        """A picture was taken: every part that need not wait any more, in their order."""
        picture = _Picture(at, frame)
        self._pictures.append(picture)
        while self._waiting and self._waiting[0].due <= at:
            waiting = self._waiting.popleft()
            yield waiting.part, self._give(picture, waiting.due)

    def _give(self, picture: _Picture[F], due: float) -> F | Miss:
        if picture.at > due + self.patience:
            return "no_picture"
        if picture.taken:
            return "too_close"
        picture.taken = True
        return picture.frame
