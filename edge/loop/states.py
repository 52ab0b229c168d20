"""What outputs are told of cameras: one whose trigger is lost sees no part, and counts as lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.camera.capture import State

__all__ = ["OnState", "States"]

OnState = Callable[[str, State, str], None]
"""Told the name of a camera, what it does, and why."""


class States:
    """The state of each camera together with its trigger; safe from several threads.

    Parameters
    ----------
    tell
        Told each change, one after the other; must not wait.
    """

    def __init__(self, tell: OnState) -> None:
        self._tell = tell
        self._cameras: dict[str, tuple[State, str]] = {}
        self._faults: dict[str, str] = {}
        self._told: dict[str, tuple[State, str]] = {}
        self._lock = threading.Lock()

    def camera(self, camera: str, state: State, reason: str) -> None:
        """A camera has changed its state."""
        with self._lock:
            self._cameras[camera] = state, reason
            self._show(camera)

    def trigger(self, camera: str, fault: str | None) -> None:
        """The trigger of a camera is lost, or works."""
        with self._lock:
            if fault is not None:
                self._faults[camera] = fault
            else:
                self._faults.pop(camera, None)
            if camera in self._cameras:
                self._show(camera)

    def _show(self, camera: str) -> None:
        state, reason = self._cameras[camera]
        fault = self._faults.get(camera)
        if fault is not None and state in ("starting", "running"):
            state, reason = "lost", fault
        if self._told.get(camera) != (state, reason):  # a source is tried again and again
            self._told[camera] = state, reason
            self._tell(camera, state, reason)
