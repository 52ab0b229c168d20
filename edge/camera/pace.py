"""A fixed rate for pictures that come from a disk."""

from __future__ import annotations

import time

__all__ = ["Pace"]


class Pace:
    """Lets one picture pass per period.

    A picture that comes late moves all that follow: lag is not made up by a burst, as no camera
    would do that either.

    Parameters
    ----------
    fps
        Hz; 0 lets every picture pass at once.
    """

    def __init__(self, fps: float) -> None:
        self._period = 1.0 / fps if fps > 0 else 0.0
        self._due = time.monotonic()

    def wait(self) -> float:
        """Wait until the next picture is due; returns ``time.monotonic()``."""
        now = time.monotonic()
        if self._due > now:
            time.sleep(self._due - now)
            now = time.monotonic()
        # Counted from the due time while on time, so that the rate has no drift.
        late = now - self._due > self._period
        self._due = (now if late else self._due) + self._period
        return now
