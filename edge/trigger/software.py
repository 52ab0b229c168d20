"""A trigger that a program pulls: the REST interface, a test, another module."""

from __future__ import annotations

import threading
import time

from edge.trigger.base import Fire

__all__ = ["SoftwareTrigger"]


class SoftwareTrigger:
    """Fires when it is told to."""

    name = "software"

    def __init__(self) -> None:
        self._fire: Fire | None = None
        self._lock = threading.Lock()

    def start(self, fire: Fire) -> None:
        """Begin."""
        with self._lock:
            self._fire = fire

    def pull(self) -> bool:
        """A part is there now; ``False`` if nobody listens. Any thread."""
        moment = time.monotonic()
        with self._lock:
            if self._fire is None:
                return False
            self._fire(moment)
            return True

    def stop(self) -> None:
        """Fire no more."""
        with self._lock:
            self._fire = None
