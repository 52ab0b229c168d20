"""What is at fault just now, told to everybody who shows it, in order, to newcomers too."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Faults", "OnFault"]

OnFault = Callable[[str, str | None], None]
"""Told what is at fault and why; ``None``, when it is no more."""


class Faults:
    """A board of faults; safe from several threads."""

    def __init__(self) -> None:
        self._now: dict[str, str] = {}
        self._listeners: list[tuple[str, OnFault]] = []
        # Held while listeners are told, so that none hears an old state last; a listener may well
        # find a fault of its own then.
        self._lock = threading.RLock()

    def listen(self, name: str, listener: OnFault) -> None:
        """Tell ``listener`` of all but the faults of ``name``, which it is itself."""
        with self._lock:
            self._listeners.append((name, listener))
            for source, reason in list(self._now.items()):
                if source != name:
                    listener(source, reason)

    def tell(self, source: str, reason: str | None) -> None:
        """Something is at fault, or no more if ``reason`` is ``None``."""
        with self._lock:
            if reason is None:
                if self._now.pop(source, None) is None:
                    return
            else:
                self._now[source] = reason
            for name, listener in list(self._listeners):
                if name != source:
                    listener(source, reason)
