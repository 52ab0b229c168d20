"""The speed of a serial line: raised with a test, and lowered by whoever hears nothing.

One rule keeps both ends together, whatever is lost: at a raised rate, an end that hears no valid
frame for two seconds goes back to the base rate, and the host says something each half second.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from firmware_bridge.frames import Kind, encode

__all__ = ["BASE_RATE", "BoxSpeed", "HostSpeed", "Speed"]

BASE_RATE = 115200
"""Baud at which both ends begin: every adapter has it, and boot loaders use it."""

_DEAF = 2.0
"""Seconds without a valid frame at a raised rate, then both are back at the base rate."""

_REPEAT = 0.2
_ASKS = 5

_BOX_GUARD = 0.05
"""Seconds between the box's answer and its change: what a USB adapter may still hold."""

_HOST_GUARD = 0.15
"""And the host's: when it speaks at the new rate, the box listens at it."""

_TESTS, _ENOUGH = 10, 7
"""PINGs of a test, and how many must be answered: at a bit error rate of 1e-5 one in twenty is not,
and the line is still nearly twice as fast as at the next lower rate."""

_TEST_BYTES = 512
_TEST_TIME = 1.0

_KEEP_ALIVE = 0.5


class Speed:
    """A line without a rate, such as TCP: nothing to raise. The other two build on it.

    Attributes
    ----------
    rate
        Baud that the port should be set to; ``None`` where there is none.
    settled
        Whether messages may be sent: neither a change nor a test is under way.
    """

    rate: int | None = None
    settled = True

    def begin(self, session: int, bauds: Sequence[int], now: float) -> None:
        """The session is open; the other end's port does ``bauds``."""

    def heard(self, kind: Kind, payload: bytes, now: float) -> None:
        """A valid frame of this session came."""

    def poll(self, now: float) -> list[bytes]:
        """Frames to write now; changes ``rate`` for all that follows."""
        return []

    def next_timeout(self) -> float:
        """When to poll again."""
        return math.inf


class BoxSpeed(Speed):
    """Follows the host.

    Parameters
    ----------
    bauds
        What the box's port does.
    """

    def __init__(self, bauds: Sequence[int]) -> None:
        self.rate: int = BASE_RATE
        self._bauds = bauds
        self._session = 0
        self._answer = 0  # rate that was asked for
        self._change = math.inf  # when to take it; -inf while the answer has not gone
        self._heard = 0.0

    def begin(self, session: int, bauds: Sequence[int], now: float) -> None:
        """The session is open; only the host asks."""
        self._session, self._heard = session, now

    def heard(self, kind: Kind, payload: bytes, now: float) -> None:
        """Note that the line lives; a RATE will be answered, then obeyed."""
        self._heard = now
        rate = int.from_bytes(payload, "big")
        if kind is Kind.RATE and rate in self._bauds:
            self._answer, self.settled = rate, False
            self._change = -math.inf

    def poll(self, now: float) -> list[bytes]:
        """Answer at the old rate, change a moment later."""
        if self._change == -math.inf:
            self._change = now + _BOX_GUARD
            return [encode(Kind.RATE, self._session, 0, self._answer.to_bytes(4, "big"))]
        if now >= self._change:
            self.rate, self._change = self._answer, math.inf
            self._heard, self.settled = now, True
        if self.rate != BASE_RATE and now >= self._heard + _DEAF:
            self.rate = BASE_RATE
        return []

    def next_timeout(self) -> float:
        """When to poll again."""
        deaf = math.inf if self.rate == BASE_RATE else self._heard + _DEAF
        return min(deaf, self._change)


class HostSpeed(Speed):
    """Asks for the highest rate that both ends have, tests it, and takes a lower one if it fails.

    Parameters
    ----------
    rate
        The highest to ask for.
    bauds
        What the host's port does.
    """

    def __init__(self, rate: int, bauds: Sequence[int]) -> None:
        self.rate: int = BASE_RATE
        self._most, self._bauds = rate, bauds
        self._session = 0
        self._candidates: deque[int] = deque()
        self._phase = ""
        self._count = 0  # asked, or answered PINGs
        self._next = math.inf  # when to do the next thing
        self._until = math.inf  # when the test has failed
        self._heard = 0.0
        self._spoke = 0.0

    def begin(self, session: int, bauds: Sequence[int], now: float) -> None:
        """Raise the rate, to one of ``bauds`` that this end has too, if it may."""
        both = set(bauds) & set(self._bauds)
        fit = [baud for baud in both if BASE_RATE < baud <= self._most]
        self._session, self._candidates = session, deque(sorted(fit, reverse=True))
        self._heard = now
        self._ask(now)

    def heard(self, kind: Kind, payload: bytes, now: float) -> None:
        """Note that the line lives, and what became of asking and testing."""
        self._heard = now
        if self._phase == "return":
            self._ask(now)
        elif self._phase == "ask" and kind is Kind.RATE:
            if int.from_bytes(payload, "big") == self._candidates[0]:
                self._phase, self._count, self._next = "test", 0, now + _HOST_GUARD
        elif self._phase == "test" and kind is Kind.ACK and self.rate != BASE_RATE:
            self._count += 1
            if self._count >= _ENOUGH:
                self._candidates.clear()
                self._ask(now)

    def _ask(self, now: float) -> None:
        """Try the next rate; settle if there is none."""
        self._phase = "ask" if self._candidates else ""
        self._count, self._next, self._until = 0, now, math.inf
        self.settled = not self._candidates
        self._spoke = now

    def _return(self, now: float) -> None:
        """Back to the base rate, and call until the box is there too."""
        self.rate, self._phase, self.settled = BASE_RATE, "return", False
        self._next, self._until = now, math.inf
        if self._candidates:
            self._candidates.popleft()

    def poll(self, now: float) -> list[bytes]:
        """What raising the rate, or keeping it, needs to be said."""
        if self._phase == "ask" and now >= self._next:
            if self._count == _ASKS:
                self._return(now)
            else:
                self._count, self._next = self._count + 1, now + _REPEAT
                rate = self._candidates[0]
                return [encode(Kind.RATE, self._session, 0, rate.to_bytes(4, "big"))]
        elif self._phase == "test" and now >= self._next:
            self.rate, self._next = self._candidates[0], math.inf
            self._until = now + _TEST_TIME
            return [encode(Kind.PING, self._session, 0, _PATTERN)] * _TESTS
        if now >= self._until:
            self._return(now)
        if not self._phase and self.rate != BASE_RATE:
            if now >= self._heard + _DEAF:
                self._return(now)
            elif now >= max(self._heard, self._spoke) + _KEEP_ALIVE:
                self._spoke = now
                return [encode(Kind.PING, self._session)]
        if self._phase == "return" and now >= self._next:
            self._next = now + _REPEAT
            return [encode(Kind.PING, self._session)]
        return []

    def next_timeout(self) -> float:
        """When to poll again."""
        if self._phase:
            return min(self._next, self._until)
        if self.rate == BASE_RATE:
            return math.inf
        alive = max(self._heard, self._spoke) + _KEEP_ALIVE
        return min(alive, self._heard + _DEAF)


_PATTERN = bytes(range(256)) * (_TEST_BYTES // 256)
