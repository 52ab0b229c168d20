"""What an output is to the loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edge.camera.capture import State
from edge.verdict import Verdict

__all__ = ["Follower", "Keeper", "Output", "Signalled"]


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


@runtime_checkable
class Follower(Protocol):
    """An output that follows parts from their trigger on, as a gate does."""

    def triggered(self, camera: str, captured: float) -> None:
        """A part of a camera has come, ``time.monotonic()``. Any thread; must not wait."""


@runtime_checkable
class Keeper(Protocol):
    """An output that keeps what others told; it ends after them."""

    def signalled(self, told: Signalled) -> None:
        """Keep it. Any thread; must not wait."""


@dataclass(frozen=True)
class Signalled:
    """What an output told somebody about a part, and whether it was understood.

    Attributes
    ----------
    part
        The id of its verdict.
    output
        Name of the output.
    said
        What it said, in its own words.
    at
        When, on the wall clock: seconds since 1970 UTC.
    acknowledged
        When the other side said that it has it, likewise; ``None`` if it did not, or cannot.
    error
        What went wrong, in one line; ``None`` if nothing did.
    """

    part: str
    output: str
    said: str
    at: float
    acknowledged: float | None = None
    error: str | None = None
