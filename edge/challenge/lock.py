"""What becomes of parts that come while the station is locked."""

from __future__ import annotations

import threading
from dataclasses import replace

from edge.verdict import Verdict, rejected

__all__ = ["Locked"]


class Locked:
    """Rejects every part, but for one golden part if it waits for that.

    Parameters
    ----------
    camera, golden
        The next part of this camera is the golden part of that name, whatever became of it;
        without a camera there is none.
    """

    def __init__(self, camera: str | None = None, golden: str = "") -> None:
        self.camera, self.golden = camera, golden
        self._lock = threading.Lock()
        self._open = camera is not None
        self._claimed: str | None = None

    @property
    def claimed(self) -> str | None:
        """Id of the golden part, once it has come."""
        return self._claimed

    def disarm(self) -> None:
        """Wait for no golden part any more."""
        with self._lock:
            self._open = False

    def judge(self, verdict: Verdict) -> Verdict:
        """The golden part as it was judged, any other rejected."""
        with self._lock:
            if self._open and verdict.part.camera == self.camera:
                self._open, self._claimed = False, verdict.id
                return replace(verdict, golden=self.golden)
        # What was found is left out: nobody has judged by it.
        outcome = replace(rejected("challenge_due"), stages=verdict.outcome.stages)
        return replace(verdict, outcome=outcome)
