"""A session over a line that loses things: bytes and times in, bytes and messages out.

No threads, no port, no clock: whoever drives it tells it the time, so that it can be tried in
simulated time. ``docs/protocol.md``, section 2, is what it does.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from enum import Enum

from firmware_bridge.frames import (
    Decoder,
    Frame,
    Kind,
    Terms,
    encode,
    pack_ack,
    pack_terms,
    unpack_ack,
    unpack_terms,
)
from firmware_bridge.inbox import Inbox
from firmware_bridge.outbox import Outbox
from firmware_bridge.speed import BoxSpeed, HostSpeed, Speed
from models.bundle.cbor import dump_cbor, load_cbor
from models.errors import BundleError

__all__ = ["Link", "Role", "State"]

_OPEN_AGAIN = 0.2
"""Seconds between two SYNs."""

_SILENCE = 5.0
"""Seconds without a valid frame, then a PING each."""

_DOWN = 30.0
"""Seconds without a valid frame, or without anything new coming through: the session is over."""

_OLD = 5.0
"""Seconds for which a SYN of a session that has ended is taken for a late copy."""

_AHEAD = 0.04
"""Seconds that the port is kept busy in advance: more than a thread sleeps too long, and little
enough that what is sent again does not queue behind a whole window."""

_FASTER = 1.02
"""Serial clocks are off by up to 2%: a line must not run dry because it is faster than it says."""

_GOODBYES = 3
"""Copies of a RESET at the end, which nobody acknowledges."""

_MAX_REASON = 200


class Role(Enum):
    """Which end: the host begins sessions, the box answers."""

    HOST = "host"
    BOX = "box"


class State(Enum):
    """Where a session stands."""

    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


class Link:
    """One end of one session.

    Parameters
    ----------
    role
        Which end.
    now
        Seconds on the caller's clock, here and everywhere; any clock that does not go back.
    session
        The host's choice, 0 to 65535, at random; the box learns it.
    rate
        The highest baud that the host asks for; of no meaning for the box.
    bauds
        What the port can be set to; none where the line has no rate.
    terms
        Window and frame size; the smaller of both ends count.

    Attributes
    ----------
    state, reason
        Where the session stands, and why it has ended.
    """

    def __init__(
        self,
        role: Role,
        now: float,
        *,
        session: int = -1,
        rate: int = 0,
        bauds: Sequence[int] = (),
        terms: Terms | None = None,
    ) -> None:
        window = terms or Terms()
        self.role, self.state, self.reason = role, State.OPENING, ""
        self._session = session
        self._terms = Terms(window.window, window.frame, tuple(bauds))
        self._speed = Speed()
        if bauds:
            self._speed = HostSpeed(rate, bauds) if role is Role.HOST else BoxSpeed(bauds)
        self._decoder, self._inbox = Decoder(), Inbox()
        self._outbox = Outbox(session, self._terms.window, self._terms.frame)
        self._old: dict[int, float] = {}
        self._left: deque[Frame] = deque()  # frames of the session after this one
        self._urgent: list[bytes] = []
        self._pongs = 0
        self._opened_at = self._heard = self._pinged = now
        self._refused = -math.inf  # when a stranger was last told so
        self._free = now  # when the port will have sent all that it has been given

    @property
    def rate(self) -> int | None:
        """Baud that the port must have before what ``poll`` gives is written to it."""
        return self._speed.rate

    @property
    def settled(self) -> bool:
        """Whether the session is open at the rate it will have."""
        return self.state is State.OPEN and self._speed.settled

    @property
    def waiting(self) -> int:
        """Bytes of messages that have not gone out."""
        return self._outbox.waiting

    @property
    def flushed(self) -> bool:
        """Whether all that was sent has come."""
        return self._outbox.idle

    @property
    def ready(self) -> bool:
        """Whether ``take`` has a message."""
        return self._inbox.ready

    def send(self, message: bytes) -> None:
        """Queue one message, once the session is open; ``poll`` then gives what to write."""
        self._outbox.put(message)

    def take(self) -> bytes | None:
        """Next message that came whole; ``None`` if there is none. ``poll`` afterwards."""
        return self._inbox.take()

    def close(self, reason: str) -> None:
        """End the session; ``poll`` then gives the last bytes."""
        if self.state is State.CLOSED:
            return
        self._urgent.clear()
        if self._session >= 0:
            self._urgent += [self._reset(self._session, reason)] * _GOODBYES
        self._end(reason)

    def successor(self, now: float) -> Link:
        """Give the box's end of the next session, which has taken over what came of it already."""
        link = Link(self.role, now, bauds=self._terms.bauds, terms=self._terms)
        link._decoder = self._decoder
        link._old = {session: until for session, until in self._old.items() if until > now}
        while self._left:
            link._take_in(self._left.popleft(), now)
        return link

    def receive(self, data: bytes, now: float) -> None:
        """Take in what was read, in pieces of any size."""
        for frame in self._decoder.feed(data):
            self._take_in(frame, now)

    def _take_in(self, frame: Frame, now: float) -> None:
        if self.state is State.CLOSED:
            self._left.append(frame)
        elif frame.kind is Kind.SYN:
            if self.role is Role.BOX:
                self._asked(frame, now)
        elif frame.session != self._session:
            self._stranger(frame, now)
        elif self.state is State.OPENING:
            self._answered(frame, now)
        else:
            self._heard = now
            self._speed.heard(frame.kind, frame.payload, now)
            self._heed(frame, now)

    def _asked(self, frame: Frame, now: float) -> None:
        """A SYN came to the box: a new session, a copy, or a late one."""
        terms = unpack_terms(frame.payload)
        if self.state is State.OPEN and frame.session == self._session:
            self._urgent.append(_alone(Kind.SYN_ACK, self._session, pack_terms(self._terms)))
        elif now < self._old.get(frame.session, -math.inf):
            return
        elif terms is None:
            self._urgent.append(self._reset(frame.session, "the box speaks protocol 1"))
        elif self.state is State.OPEN:
            self._end("the host has begun another session")
            self._left.append(frame)
        else:
            self._session = frame.session
            self._open(terms, now)
            self._urgent.append(_alone(Kind.SYN_ACK, self._session, pack_terms(self._terms)))

    def _answered(self, frame: Frame, now: float) -> None:
        """Something of the host's own session came while it is opening."""
        if frame.kind is Kind.RESET:
            self._end(_told(frame.payload))
        elif frame.kind is Kind.SYN_ACK:
            terms = unpack_terms(frame.payload)
            if terms is None:
                self.close("the box speaks another protocol: update it or the host")
            else:
                self._open(terms, now)

    def _open(self, theirs: Terms, now: float) -> None:
        window = min(theirs.window, self._terms.window)
        frame = min(theirs.frame, self._terms.frame)
        self._outbox = Outbox(self._session, window, frame)
        self.state, self._heard, self._pinged = State.OPEN, now, now
        self._speed.begin(self._session, theirs.bauds, now)

    def _stranger(self, frame: Frame, now: float) -> None:
        """Tell a host that the box has no such session, as after a restart."""
        if self.role is Role.HOST or frame.kind is Kind.RESET or now < self._refused + _OPEN_AGAIN:
            return
        self._refused = now
        self._urgent.append(self._reset(frame.session, "the box has no such session"))

    def _heed(self, frame: Frame, now: float) -> None:
        if frame.kind is Kind.DATA:
            if not self._inbox.data(frame.seq, frame.payload, now):
                self.close("a message grew too long")
        elif frame.kind is Kind.ACK:
            ack = unpack_ack(frame.payload)
            if ack is not None:
                self._outbox.acknowledge(*ack, now, self._byte_time())
        elif frame.kind is Kind.PING:
            self._pongs += 1
        elif frame.kind is Kind.RESET:
            self._end(_told(frame.payload))

    def poll(self, now: float) -> bytes:
        """Give what to write now; call it after all else, and at ``next_timeout``."""
        if self.state is State.OPEN:
            self._check(now)
        out, self._urgent = self._urgent, []
        if self.state is State.OPENING and self.role is Role.HOST and now >= self._opened_at:
            self._opened_at = now + _OPEN_AGAIN
            out.append(_alone(Kind.SYN, self._session, pack_terms(self._terms)))
        elif self.state is State.OPEN:
            out += self._speed.poll(now)
            if now >= self._inbox.ack_at:
                self._pongs = max(self._pongs, 1)
            while self._pongs:
                self._pongs -= 1
                out.append(encode(Kind.ACK, self._session, 0, pack_ack(*self._inbox.ack())))
            if now >= max(self._heard, self._pinged) + _SILENCE:
                self._pinged = now
                out.append(encode(Kind.PING, self._session))
        byte_time = self._byte_time()
        self._free = max(self._free, now) + sum(map(len, out)) * byte_time
        if self.settled:
            if now >= self._outbox.expiry:
                self._outbox.expire(now, byte_time)
            while self._free < now + _AHEAD and self._outbox.sendable:
                frame = self._outbox.next_frame(now, byte_time)
                self._free += len(frame) * byte_time
                out.append(frame)
        return b"".join(out)

    def next_timeout(self, now: float) -> float:
        """When to call ``poll`` again, at the latest; ``math.inf`` for never."""
        if self._urgent:
            return now
        if self.state is State.OPENING:
            return self._opened_at if self.role is Role.HOST else math.inf
        if self.state is State.CLOSED:
            return math.inf
        times = [
            self._inbox.ack_at,
            self._speed.next_timeout(),
            max(self._heard, self._pinged) + _SILENCE,
            min(self._heard, self._outbox.stuck_since()) + _DOWN,
        ]
        if self._pongs:
            times.append(now)
        if self._speed.settled:
            times.append(self._outbox.expiry)
            if self._outbox.sendable:
                times.append(self._free - _AHEAD / 2)
        return max(now, min(times))

    def _check(self, now: float) -> None:
        if now >= self._heard + _DOWN:
            self.close(f"nothing came from the other end for {_DOWN:g} s")
        elif now >= self._outbox.stuck_since() + _DOWN:
            self.close(f"the other end took nothing for {_DOWN:g} s")

    def _byte_time(self) -> float:
        rate = self._speed.rate
        return 10 / (rate * _FASTER) if rate else 0.0  # 8N1: ten bits for each byte

    def _end(self, reason: str) -> None:
        self.state, self.reason = State.CLOSED, reason
        self._old[self._session] = self._heard + _OLD

    @staticmethod
    def _reset(session: int, reason: str) -> bytes:
        return _alone(Kind.RESET, session, dump_cbor(reason[:_MAX_REASON]))


def _alone(kind: Kind, session: int, payload: bytes) -> bytes:
    """A frame after which nothing may come for long, or before which there was noise."""
    return b"\0" + encode(kind, session, 0, payload)


def _told(payload: bytes) -> str:
    """The reason in a RESET, fit to be shown."""
    try:
        reason = load_cbor(payload)
    except BundleError:
        reason = ""
    text = str(reason)[:_MAX_REASON] if isinstance(reason, str) else ""
    return "".join(each if each.isprintable() else " " for each in text) or "no reason was given"
