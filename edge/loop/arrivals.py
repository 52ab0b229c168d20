"""Parts of a camera that has a trigger: owed a verdict from their trigger on, pictured later.

Two kinds of threads meet here, those that fire and the one that reads the camera; neither waits
for the other for longer than a few lines of Python.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from edge.camera.base import Frame
from edge.deadline import Deadline
from edge.loop.sequencer import Lapse, Sequencer
from edge.station import Camera
from edge.station.triggers import TriggerTable, VisionTrigger
from edge.trigger.pairing import MOST_WAITING, Miss, Pairing
from edge.trigger.vision import Vision
from edge.verdict import Part, rejected

__all__ = ["Arrivals"]

APART_S = 1e-6
"""Parts are this far apart at least, since outputs tell them by their moment: a PLC that has
counted two parts between two looks fires both at once."""

FRAMES = 2
"""Frame intervals that a part waits for its picture unless told otherwise: one until the camera
takes it, and one to be handed over."""

_Picture = Frame | None
"""``None``: it cannot be decoded."""


class Arrivals:
    """Opens a part at each trigger of a camera, and gives it the picture that is its own.

    Parameters
    ----------
    camera
        The camera.
    trigger
        Its trigger.
    deadline_s
        Trigger to verdict.
    sequencer
        Owes the verdicts.
    open_part
        Opens a part of a moment, or turns it away; with what it comes to without a picture.
    seen
        Takes each part that has its picture.
    """

    def __init__(
        self,
        camera: Camera,
        trigger: TriggerTable,
        deadline_s: float,
        sequencer: Sequencer,
        open_part: Callable[[float, Lapse], Part | None],
        seen: Callable[[Part], None],
    ) -> None:
        self._camera, self._trigger = camera, trigger
        self._most = deadline_s - trigger.delay_ms / 1000
        self._sequencer, self._open_part, self._seen = sequencer, open_part, seen
        self._pairing: Pairing[Part, _Picture] = Pairing(trigger.delay_ms / 1000, self._most)
        self._vision = Vision(trigger) if isinstance(trigger, VisionTrigger) else None
        self._fired = float("-inf")
        self._lost = False
        self._lock = threading.Lock()
        self.settle(0.0)

    def settle(self, fps: float) -> None:
        """The camera is open, and its rate known; 0 if it has none."""
        wait = self._trigger.picture_ms
        patience = FRAMES / fps if fps > 0 else self._most
        self._pairing.patience = min(self._most, patience if wait is None else wait / 1000)

    def lost(self, lost: bool) -> None:
        """The camera gives no pictures, or gives them again."""
        self._lost = lost

    def fire(self, moment: float) -> datetime | None:
        """A part was there at ``moment``. Its time in the records; ``None``: turned away."""
        with self._lock:
            at = max(moment, self._fired + APART_S)
            part = self._open_part(at, self._lapse(at))
            if part is None:
                return None
            self._fired = at
            if self._lost:
                self._sequencer.decide(part, rejected("no_frame", camera=self._camera.name))
                return part.time
            found = self._pairing.triggered(part, at)
            if found != "waits":
                self._decide(part, found)
            return part.time

    def pictured(self, frame: _Picture, at: float) -> None:
        """The camera took a picture; a vision trigger looks at it."""
        with self._lock:
            for part, found in self._pairing.pictured(frame, at):
                self._decide(part, found)
        if self._vision is not None and frame is not None and self._vision.look(frame.image, at):
            self.fire(at)

    def _decide(self, part: Part, found: _Picture | Miss) -> None:
        if isinstance(found, Frame):
            pictured = replace(part, frame=found, queued=time.monotonic(), truth=found.truth)
            if self._sequencer.show(part, pictured):
                self._seen(pictured)
            return
        camera = self._camera.name
        if found is None:
            outcome = rejected("bad_frame", camera=camera)
        elif found == "no_picture":
            outcome = rejected(found, camera=camera, wait_ms=self._wait_ms)
        elif found == "overrun":
            outcome = rejected(found, queue=MOST_WAITING)
        else:
            outcome = rejected(found)
        self._sequencer.decide(part, outcome)

    @property
    def _wait_ms(self) -> int:
        return round(self._pairing.lapses(0.0) * 1000)

    def _lapse(self, at: float) -> Lapse:
        words = rejected("no_picture", camera=self._camera.name, wait_ms=self._wait_ms)
        return Lapse(Deadline(self._pairing.lapses(at)), words)
