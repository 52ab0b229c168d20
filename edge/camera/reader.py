"""The thread that is inside a camera: it opens, reads and closes one, and may never come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from edge.camera.base import Camera, Frame
from models.errors import ImageError

__all__ = ["Reader"]


class Reader(threading.Thread):
    """Reads one camera until it fails, ends, or is retired.

    A driver can hang inside a native call, and a thread cannot be ended from outside. So the thread
    is a daemon, only it touches its camera, and it can be retired: should the call return after
    all, it delivers nothing more, closes its camera and ends.

    Parameters
    ----------
    camera
        Not open yet; nobody else touches it afterwards.
    on_frame, on_bad_frame
        See :class:`edge.camera.capture.Capture`.
    changed
        Notified when the camera has opened, has given its first picture, and when it is over.

    Attributes
    ----------
    opened
        Whether the camera is open.
    pictures
        Frames and bad frames so far.
    heard
        ``time.monotonic()`` of the last sign of life.
    outcome
        Why it is over; ``None`` while it is not.
    """

    def __init__(
        self,
        camera: Camera,
        on_frame: Callable[[Frame], object],
        on_bad_frame: Callable[[ImageError, float], object],
        changed: threading.Condition,
    ) -> None:
        super().__init__(name=f"reader of {camera.name}", daemon=True)
        self.camera = camera
        self.opened = False
        self.pictures = 0
        self.heard = time.monotonic()
        self.outcome: Exception | None = None
        self._on_frame = on_frame
        self._on_bad_frame = on_bad_frame
        self._changed = changed
        self._retired = False

    def retire(self) -> None:
        """Deliver nothing from now on, and end as soon as the camera lets go."""
        self._retired = True

    def run(self) -> None:
        """Read until it is over; the thread's own method."""
        outcome = None
        try:
            self.camera.open()
            self._tell(opened=True)
            while not self._retired:
                self._read_one()
        except Exception as error:  # whatever a driver raises: the watchdog must hear of it
            outcome = error
        with suppress(Exception):  # a camera that was pulled out may refuse to be closed
            self.camera.close()
        with self._changed:
            self.outcome = outcome or InterruptedError("retired")
            self._changed.notify_all()

    def _read_one(self) -> None:
        try:
            frame = self.camera.read()
        except ImageError as error:
            if not self._retired:
                self._on_bad_frame(error, time.monotonic())
        else:
            if not self._retired:
                self._on_frame(frame)
        self._tell(picture=True)

    def _tell(self, *, opened: bool = False, picture: bool = False) -> None:
        with self._changed:
            self.heard = time.monotonic()
            self.opened = self.opened or opened
            self.pictures += picture
            if opened or self.pictures == 1:
                self._changed.notify_all()
