"""What a trigger is to the loop."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from edge.deadline import Deadline
from edge.io.hooks import Hooks
from models.errors import DeviceError

__all__ = ["Fire", "PolledTrigger", "Trigger"]

_log = logging.getLogger(__name__)

Fire = Callable[[float], object]
"""Told when a part was there, ``time.monotonic()`` seconds. Must not wait, and never raises."""

RETRY_S = 1.0
"""Seconds until a source that failed is tried again: parts pass unseen meanwhile."""


class Trigger(Protocol):
    """Says that a part is there.

    Attributes
    ----------
    name
        How messages call it.
    """

    name: str

    def start(self, fire: Fire) -> None:
        """Begin; ``fire`` is called from a thread of the trigger's, once for each part."""

    def stop(self, deadline: Deadline) -> None:
        """Fire no more. Returns by ``deadline``; what hangs then is left behind.

        May be repeated, and does not wait if there is no time: so several stop side by side.
        """


class PolledTrigger(ABC):
    """A trigger with a thread of its own, and a source that may fail and come back.

    Parameters
    ----------
    name
        How messages call it.
    hooks
        ``on_state`` is told when the source fails and when it is back.
    """

    def __init__(self, name: str, hooks: Hooks) -> None:
        self.name, self._hooks = name, hooks
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def open(self) -> None:
        """Reach the source. ``DeviceError`` or ``OSError`` if it is not there."""

    @abstractmethod
    def wait(self) -> list[float]:
        """The parts that came, after a short time at most. ``DeviceError``, ``OSError``: lost."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the source, open or not."""

    def start(self, fire: Fire) -> None:
        """Begin."""
        self._thread = threading.Thread(
            target=self._run, args=(fire,), name=f"trigger {self.name}", daemon=True
        )
        self._thread.start()

    def stop(self, deadline: Deadline) -> None:
        """Fire no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(deadline.remaining())

    def _run(self, fire: Fire) -> None:
        while not self._stopping.is_set():
            try:
                self.open()
                self._hooks.on_state(self.name, "up", "")
                while not self._stopping.is_set():
                    for moment in self.wait():
                        fire(moment)
            except (DeviceError, OSError) as error:
                self._hooks.on_state(self.name, "down", f"{error}")
            except Exception as error:
                _log.exception("%s failed", self.name)
                self._hooks.on_state(self.name, "down", f"{self.name}: failed ({error!r})")
            finally:
                self.close()
            self._stopping.wait(RETRY_S)
