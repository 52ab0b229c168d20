"""The sending half of a link: what is in flight, what is lost, what goes next."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from firmware_bridge.frames import REACH, Kind, encode
from firmware_bridge.pace import FrameSize, Timeout

__all__ = ["Outbox"]

_LATER = 3
"""A frame is lost when so many sent after it have come; so many are sent again at a time-out, so
that their ACKs tell of all others."""


@dataclass
class _Sent:
    frame: bytes
    size: int  # of the message's part
    turn: int  # counts transmissions, the later the higher
    at: float
    again: bool = False
    lost: bool = False


class Outbox:
    """Cuts messages into numbered frames and sends them until they have come.

    Selective repeat with cumulative and selective acknowledgement; losses are told by order of
    sending, as in RACK (RFC 8985), and by time-out (RFC 6298).

    Parameters
    ----------
    session
        Number for the frames.
    window
        Bytes of messages in flight at most.
    largest
        Bytes of a message in one frame at most.
    """

    def __init__(self, session: int, window: int, largest: int) -> None:
        self._session, self._window = session, window
        self._size, self._timeout = FrameSize(largest), Timeout()
        self._queue: deque[bytes] = deque()
        self._offset = 0  # into the first of the queue
        self._flight: dict[int, _Sent] = {}
        self._bytes = 0  # in flight and not lost
        self._first = self._next = 0  # oldest frame that has not come; number of the next
        self._behind = 0  # what of those after `_first` has come, as in an ACK
        self._again: deque[int] = deque()
        self._order: deque[tuple[int, int]] = deque()  # transmissions: turn and number
        self._turn = 0
        self._come = [-1] * _LATER  # the latest turns that have come, ascending
        self._lost = -1  # the latest turn that was found lost
        self._progress = 0.0
        self.waiting = 0
        """Bytes of messages that have not gone out yet."""
        self.expiry = math.inf
        """When to call ``expire``."""

    def put(self, message: bytes) -> None:
        """Queue one message."""
        self._queue.append(message)
        self.waiting += len(message)

    @property
    def idle(self) -> bool:
        """Whether everything has come."""
        return not self._queue and not self._flight

    @property
    def sendable(self) -> bool:
        """Whether there is something to send that may be sent."""
        while self._again and self._again[0] not in self._flight:
            self._again.popleft()  # it came after all
        return bool(self._again) or (
            bool(self._queue)
            and self._next - self._first < REACH
            and self._bytes + self._size.value <= self._window
        )

    def stuck_since(self) -> float:
        """When something in flight last came, or the first of it went; ``inf`` if nothing is."""
        return self._progress if self._flight else math.inf

    def next_frame(self, now: float, byte_time: float) -> bytes:
        """Give the next frame; only while ``sendable``.

        Parameters
        ----------
        now
            Seconds on the caller's clock.
        byte_time
            Seconds that a byte takes on the line.
        """
        if self._again:
            number = self._again.popleft()
            sent = self._flight[number]
            sent.again, sent.lost = True, False
        else:
            number = self._next
            if not self._flight:
                self._progress = now
            sent = self._flight[number] = self._cut()
            self._next += 1
        self._turn += 1
        sent.turn, sent.at = self._turn, now
        self._order.append((sent.turn, number))
        self._bytes += sent.size
        if self.expiry == math.inf:
            self._restart(now, byte_time)
        return sent.frame

    def _cut(self) -> _Sent:
        message = self._queue[0]
        end = self._offset + self._size.value
        part = message[self._offset : end]
        last = end >= len(message)
        if last:
            self._queue.popleft()
            self._offset = 0
        else:
            self._offset = end
        self.waiting -= len(part)
        frame = encode(Kind.DATA, self._session, self._next, bytes((last,)) + part)
        return _Sent(frame, len(part), 0, 0.0)

    def acknowledge(self, first: int, behind: int, now: float, byte_time: float) -> None:
        """Take in an ACK: ``first`` and ``behind`` as in ``pack_ack``."""
        if not self._first <= first <= self._next:
            return  # older than another, or of frames that were never sent
        came: list[_Sent] = []
        known = self._behind >> (first - self._first)
        for number in range(self._first, first):
            self._take(number, came)
        self._first, self._behind = first, behind
        new = behind & ~known
        while new:
            bit = new & -new
            self._take(first + bit.bit_length(), came)
            new ^= bit
        if not came:
            return
        latest = max(came, key=lambda sent: sent.turn)
        if not latest.again:
            self._timeout.measured(now - latest.at)
        self._timeout.answered()
        self._progress = now
        self._come = sorted([*self._come, *(sent.turn for sent in came)])[-_LATER:]
        while self._order and self._order[0][0] < self._come[0]:
            turn, number = self._order.popleft()
            sent = self._flight.get(number)
            if sent is not None and sent.turn == turn:
                self._lose(number, sent)
                if turn != self._lost + 1:
                    self._size.lost()  # a burst counts once: shorter frames are no help
                self._lost = turn
        self._restart(now, byte_time)

    def _take(self, number: int, came: list[_Sent]) -> None:
        sent = self._flight.pop(number, None)
        if sent is not None:
            came.append(sent)
            self._size.came(len(sent.frame))
            if not sent.lost:
                self._bytes -= sent.size

    def _lose(self, number: int, sent: _Sent) -> None:
        if not sent.lost:
            sent.lost = True
            self._bytes -= sent.size
            self._again.append(number)

    def expire(self, now: float, byte_time: float) -> None:
        """Send the oldest again: no ACK has come until ``expiry``."""
        self._timeout.expired()
        self._size.lost()
        oldest = [pair for pair, _ in zip(self._flight.items(), range(_LATER), strict=False)]
        for number, sent in oldest:
            self._lose(number, sent)
        self._restart(now, byte_time)

    def _restart(self, now: float, byte_time: float) -> None:
        wait = self._timeout.seconds(self._bytes * byte_time)
        self.expiry = now + wait if self._flight else math.inf
