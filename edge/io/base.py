"""What an output is to the loop."""

from __future__ import annotations

from typing import Protocol

from edge.camera.capture import State
from edge.verdict import Verdict

__all__ = ["Output"]


class Output(Protocol):
    """Takes verdicts. Called from one thread of its own, so it may wait, but not for ever.

    Attributes
    ----------
    name
        How messages call it.
    pictures
        Whether it looks at ``verdict.part.frame``; the loop drops the pixels otherwise.
    """

    name: str
    pictures: bool

    def verdict(self, verdict: Verdict) -> None:
        """Take the next verdict. ``StorageError`` or ``DeviceError`` stops the station."""

    def camera(self, camera: str, state: State, reason: str) -> None:
        """A camera has changed its state."""

    def close(self) -> None:
        """Nothing more comes; finish what was begun."""
