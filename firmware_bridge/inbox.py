"""The receiving half of a link: frames in any order to whole messages in order."""

from __future__ import annotations

import math
from collections import deque

from firmware_bridge.frames import REACH

__all__ = ["MAX_MESSAGE", "Inbox"]

MAX_MESSAGE = 5 << 20
"""Bytes; the largest is an offer, with an envelope of 4 MiB at most."""

_HOLD = 1 << 18
"""Bytes that messages take which nobody has fetched, beyond which nothing more is acknowledged."""

_FULL = _HOLD + (4 << 20)
"""And beyond which nothing is taken in: only for a sender that minds no window."""

_COST = 64
"""Bytes that a message takes beside its own: without them the short ones would be free."""

_DELAY = 0.02
"""Seconds that an ACK may wait for a second frame."""


class Inbox:
    """Puts DATA in order, and says what has come."""

    def __init__(self) -> None:
        self._next = 0
        self._kept: dict[int, bytes] = {}  # came before their turn
        self._behind = 0  # the same as bits, as in an ACK
        self._parts: list[bytes] = []
        self._length = 0  # of the parts
        self._messages: deque[bytes] = deque()
        self._held = 0  # bytes that the messages take
        self._told = 0  # the last `first` of an ACK
        self._quiet = 0  # frames since the last ACK
        self.ack_at = math.inf
        """When the next ACK is due; 0 for at once."""

    def data(self, number: int, payload: bytes, now: float) -> bool:
        """Take in the payload of one DATA; ``False`` if a message grows beyond ``MAX_MESSAGE``."""
        ahead = number - self._next
        if ahead < 0 or number in self._kept:
            self.ack_at = 0.0  # the ACK was lost
            return True
        if ahead > REACH or not payload or self._held > _FULL:
            return True
        if ahead:
            self._kept[number] = payload
            self._behind |= 1 << (ahead - 1)
            self.ack_at = 0.0
            return True
        self._append(payload)
        while self._behind & 1:
            self._behind >>= 1
            self._append(self._kept.pop(self._next))
        self._behind >>= 1
        self._quiet += 1
        if self._behind or self._quiet > 1:
            self.ack_at = 0.0
        else:
            self.ack_at = min(self.ack_at, now + _DELAY)
        return self._length <= MAX_MESSAGE

    def _append(self, payload: bytes) -> None:
        self._next += 1
        self._parts.append(payload[1:])
        self._length += len(payload) - 1
        if payload[0] & 1:
            message = b"".join(self._parts)
            self._messages.append(message)
            self._held += len(message) + _COST
            self._parts.clear()
            self._length = 0

    def ack(self) -> tuple[int, int]:
        """What has come, as in ``pack_ack``; holds back while messages pile up unfetched."""
        self._quiet, self.ack_at = 0, math.inf
        if self._held > _HOLD:
            return self._told, 0
        self._told = self._next
        return self._next, self._behind

    @property
    def ready(self) -> bool:
        """Whether a message waits."""
        return bool(self._messages)

    def take(self) -> bytes | None:
        """Fetch the next message; ``None`` if there is none."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        left = self._held - len(message) - _COST
        if self._held > _HOLD >= left:
            self.ack_at = 0.0  # the sender waits for it
        self._held = left
        return message
