"""How long to try again: as long as it gets further, and some time beyond."""

from __future__ import annotations

import time

from tenacity import RetryCallState

from firmware_bridge.channel import TIMEOUT
from models.errors import TransferError

__all__ = ["BROKEN", "Patience"]

BROKEN = frozenset({"", TIMEOUT})
"""Codes of a session that is of no use any more."""

PASSING = frozenset({"busy", "state"})
"""Codes of what waiting mends: another writer, a trial that runs, a transfer that was closed."""

SPOILT = frozenset({"content", "internal"})
"""Codes of what may go well the next time, but not for ever."""

TRIES_AGAIN = 2
"""How often something may be spoilt."""

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before the next try, by how many have failed since it last got further."""


class Patience:
    """Says whether to try again, and when: what ``tenacity.Retrying`` asks for.

    Parameters
    ----------
    seconds
        How long it may get no further, from the first failure on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._best: tuple[int, ...] = ()
        self._failures = self._spoilt = 0
        self._since = 0.0

    def reached(self, *standing: int) -> None:
        """Something was done; it counts if it was never as far as this, by the first difference."""
        if standing > self._best:
            self._best = standing
            self._failures = 0

    def hopeful(self, error: BaseException) -> bool:
        """Take in a failure: whether another try makes sense at all."""
        if not isinstance(error, TransferError):
            return False
        if not self._failures:
            self._since = time.monotonic()
        self._failures += 1
        if error.code in SPOILT:
            self._spoilt += 1
            self._best = ()  # sending it again is not standing still
            return self._spoilt <= TRIES_AGAIN
        return error.code in BROKEN | PASSING

    def is_over(self, _: RetryCallState) -> bool:
        """Whether it has got no further for too long."""
        return time.monotonic() > self._since + self._seconds

    def pause(self, _: RetryCallState) -> float:
        """Seconds before the next try."""
        return PAUSES[min(self._failures, len(PAUSES)) - 1]
