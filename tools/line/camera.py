"""The simulated line as a camera: parts come past at a fixed rate, read or not."""

from __future__ import annotations

import math
import threading
import time

from edge.camera.base import EndOfStream, Frame
from edge.camera.source import Source
from models.errors import CameraError
from tools.line.effects import Image
from tools.line.render import MAX_SIDE, check, kind_named, render
from tools.line.world import DEMO_JOB, Job, PartTruth

__all__ = ["LineCamera"]

MAX_RATE = 1000.0
"""Parts a second; no line is faster, and no drawing either."""

MAX_NUMBER = 2**31 - 1
"""Seeds and counts; far beyond any run, and it keeps them whole numbers in a float."""


LEAD_S = 0.05
"""How long before its time a part is drawn: five times what drawing takes. Not sooner, since a
real camera takes no processor time while the part before is inspected."""


class LineCamera:
    """A camera above the simulated line; each frame's ``truth`` is a :class:`PartTruth`.

    Opening starts the line; part n passes n + 1 periods later, whoever looks. A reader that is
    late misses none: parts then come at once, in their order, until it has caught up.

    Parameters
    ----------
    kind
        One of ``tools.line.render.KINDS``.
    rate
        Parts a second; 0 gives the next part whenever it is asked for.
    phase
        Fraction of a period by which parts come after the beat that all lines of this machine keep:
        a part passes one camera after the other, not all at once.
    seed
        Names the line: the same seed gives the same parts.
    ng
        Fraction of parts with a fault.
    parts
        After so many the stream ends; 0 goes on for ever.
    size
        Width and height in pixels; the kind's own unless given.
    job
        What an OK part says.

    Raises
    ------
    InputError
        There is no such kind, or a number is out of bounds.
    """

    def __init__(
        self,
        kind: str = "carton",
        *,
        rate: float = 0.0,
        phase: float = 0.0,
        seed: int = 0,
        ng: float = 0.2,
        parts: int = 0,
        size: tuple[int, int] | None = None,
        job: Job = DEMO_JOB,
    ) -> None:
        self.name = f"line:{kind}"
        self.fps = rate
        self._phase = phase
        self._kind = kind
        self._seed = seed
        self._ng = ng
        self._parts = parts
        self._size = size or kind_named(kind).size
        self._job = job
        check(kind, seed, self._size, ng)
        self._number = 0
        self._start = 0.0
        self._closed = threading.Event()
        self._closed.set()

    @classmethod
    def from_source(cls, source: Source) -> LineCamera:
        """From ``line:?kind=carton&rate=2&phase=0.5&seed=7&ng=0.2&parts=100&width=640&height=480``.

        Raises
        ------
        InputError
            An option is unknown or out of bounds.
        """
        source.only("kind", "rate", "phase", "seed", "ng", "parts", "width", "height")
        kind = source.text("kind", "carton")
        width, height = kind_named(kind).size
        return cls(
            kind,
            rate=source.number("rate", 0.0, 0.0, MAX_RATE),
            phase=source.number("phase", 0.0, 0.0, 1.0),
            seed=source.integer("seed", 0, 0, MAX_NUMBER),
            ng=source.number("ng", 0.2, 0.0, 1.0),
            parts=source.integer("parts", 0, 0, MAX_NUMBER),
            size=(
                source.integer("width", width, 1, MAX_SIDE),
                source.integer("height", height, 1, MAX_SIDE),
            ),
        )

    def open(self) -> None:
        """Start the line.

        Raises
        ------
        InputError
            The line's type is not installed.
        """
        self._draw(0)  # textures and type are made now, so that part 0 is on time
        self._number = 0
        self._closed.clear()
        self._start = time.monotonic()
        if self.fps:
            beat = math.floor(self._start * self.fps) / self.fps
            self._start = beat + self._phase / self.fps

    def read(self) -> Frame:
        """Draw the next part, and wait until it passes.

        Returns
        -------
        A frame captured at the instant the part passed, or if that was over, now.

        Raises
        ------
        EndOfStream
            All parts have passed.
        CameraError
            The camera is not open, or was closed meanwhile.
        """
        if self._closed.is_set():
            raise CameraError(f"{self.name}: is not open: open it first")
        if self._parts and self._number >= self._parts:
            raise EndOfStream(f"{self.name}: all {self._parts} parts have passed")
        number = self._number
        self._number = number + 1
        due = self._start + self._number / self.fps if self.fps else 0.0  # from the start: no drift
        self._wait(due - LEAD_S)
        image, truth = self._draw(number)
        drawn = time.monotonic()
        self._wait(due)
        return Frame(image, max(due, drawn), number, truth)

    def _wait(self, moment: float) -> None:
        if self._closed.wait(max(0.0, moment - time.monotonic())):
            raise CameraError(f"{self.name}: was closed: open it again")

    def _draw(self, number: int) -> tuple[Image, PartTruth]:
        return render(self._kind, self._seed, number, self._job, self._size, self._ng)

    def close(self) -> None:
        """Stop the line; a waiting ``read`` comes back at once."""
        self._closed.set()
