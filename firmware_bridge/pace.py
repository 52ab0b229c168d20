"""How large frames are and how long to wait for an answer: what the line teaches."""

from __future__ import annotations

from math import isqrt

from firmware_bridge.frames import SMALLEST

__all__ = ["FrameSize", "Timeout"]

_HEAD = 16
"""Bytes that a frame costs beyond its part of the message: head, CRC, flags, COBS, 0x00."""

_EPOCH = 16384
_FADE = 0.93
"""What was seen counts less by 7% after each 16 KiB: a memory of a quarter of a megabyte."""

_FIRST_COME = 4096.0
"""Bytes with one loss that a session is begun with: frames of 256 pass a line that is bad enough,
and on a good one they grow to four times that within 64 KiB."""

_LEAST_LOST = 0.01  # never none: it is divided by

_LEAST_WAIT = 0.1
_MOST_WAIT = 0.5
_FIRST_WAIT = 1.0  # RFC 6298, 2.1


class FrameSize:
    """Bytes of a message in one frame, so that heads and losses together cost least.

    A frame of ``n`` bytes costs ``head / n`` for its head and, with ``e`` losses for each byte,
    ``e n`` for what is sent again: least at ``sqrt(head / e)``.

    Parameters
    ----------
    largest
        The most that both ends take.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._come, self._lost = _FIRST_COME, 1.0
        self._since = 0
        self._set()

    def came(self, count: int) -> None:
        """``count`` bytes are known to have come."""
        self._come += count
        self._since += count
        if self._since >= _EPOCH:
            self._since = 0
            self._come *= _FADE
            self._lost = max(_LEAST_LOST, self._lost * _FADE)
            self._set()

    def lost(self) -> None:
        """A frame, or all that was in flight at once, did not come."""
        self._lost += 1
        self._set()

    def _set(self) -> None:
        best = isqrt(int(_HEAD * self._come / self._lost))
        self.value = max(SMALLEST, min(self._largest, best))


class Timeout:
    """Seconds to wait for an ACK before sending again: RFC 6298, at least 0.1 s.

    Doubles at each expiry up to 0.5 s, for a line has no crowd to give way to, but is never less
    than what the line has been seen to take.
    """

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0
        self._doubled = 0

    def measured(self, seconds: float) -> None:
        """An ACK came ``seconds`` after a frame that was sent once (Karn's rule)."""
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
        else:
            self._deviation += (abs(self._mean - seconds) - self._deviation) / 4
            self._mean += (seconds - self._mean) / 8

    def answered(self) -> None:
        """Something new was acknowledged: the line lives."""
        self._doubled = 0

    def expired(self) -> None:
        """Nothing came in time: wait twice as long."""
        self._doubled += 1

    def seconds(self, on_line: float) -> float:
        """How long to wait, where the bytes in flight need ``on_line`` seconds on the line."""
        mean = _FIRST_WAIT if self._mean is None else self._mean + 4 * self._deviation
        wait = max(_LEAST_WAIT, mean) + on_line
        return max(wait, min(_MOST_WAIT, wait * 2.0 ** min(self._doubled, 16)))
