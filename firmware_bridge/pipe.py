"""A line in memory: two channels that talk through two real links, in real or simulated time."""

from __future__ import annotations

import math
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from firmware_bridge.line import Faults, Line
from firmware_bridge.link import Link, Role, State
from firmware_bridge.session import FULL, Session
from firmware_bridge.speed import BASE_RATE
from models.bundle.cbor import dump_cbor, load_cbor
from models.errors import TransferError

__all__ = ["channel_pair"]

Serve = Callable[[dict[str, Any]], dict[str, Any] | None]
"""What a box answers to a message, if anything."""

_OPEN = 30.0
"""Seconds to open a session; with faults it may take some tries."""

_PATIENCE = 60.0
"""Real seconds until simulated time passes all the same, for an end that has died."""


def channel_pair(
    *,
    rate: int | None = None,
    latency: float = 0.0,
    faults: Faults | None = None,
    virtual: bool = False,
    serve: Serve | None = None,
) -> tuple[Session, Session]:
    """Open a session between two ends of one line; give the host's channel and the box's.

    Parameters
    ----------
    rate
        Baud of the line; ``None`` for one that takes no time.
    latency
        Seconds, each way.
    faults
        What goes wrong; nothing unless told otherwise.
    virtual
        In simulated time: it passes only while both ends wait, as fast as the machine can, and
        ``Session.clock`` tells it. Each end then needs its own thread, or ``serve``.
    serve
        Answers for the box, in the thread of the host; the box's channel is then not for use.

    Raises
    ------
    TransferError
        The faults let no session begin.
    """
    faults = faults or Faults()
    start = 0.0 if virtual else time.monotonic()
    bauds = () if rate is None else (rate,)
    session = random.Random(faults.seed).randrange(1 << 16)  # noqa: S311 - repeatable, not secret
    host = Link(Role.HOST, start, session=session, rate=rate or 0, bauds=bauds)
    box = Link(Role.BOX, start, bauds=bauds)
    fastest = math.inf if rate is None else max(rate, BASE_RATE)
    line = Line(host, box, latency=latency, fastest=fastest, faults=faults, now=start)
    driver = (_Virtual if virtual else _Real)(line, host, box, serve)
    with driver.lock:
        while host.state is not State.CLOSED and not host.settled:
            if driver.clock() > start + _OPEN:
                raise TransferError("pipe: no session began: the line loses too much")
            driver.step()
    return Session("pipe", host, driver), Session("pipe", box, driver)


class _Pair(ABC):
    def __init__(self, line: Line, host: Link, box: Link, serve: Serve | None) -> None:
        self.lock = threading.Condition(threading.RLock())
        self._line, self._links, self._serve = line, (host, box), serve

    @abstractmethod
    def step(self) -> None:
        """Let the next thing happen."""

    def _happen(self, until: float) -> None:
        self._line.advance(until)
        box = self._links[1]
        while self._serve is not None and (data := box.take()) is not None:
            answer = self._serve(load_cbor(data))
            if answer is not None and box.state is State.OPEN:
                box.send(dump_cbor(answer))


class _Real(_Pair):
    def clock(self) -> float:
        return time.monotonic()

    def step(self) -> None:
        self._rest(math.inf)
        self._catch_up()

    def kick(self) -> None:
        self._catch_up()
        self.lock.notify_all()

    def gone(self, link: Link) -> None:
        pass  # the other end has been told

    def wait(self, link: Link, until: float) -> None:
        before = _look(link)
        self._catch_up()
        if _look(link) == before:
            self._rest(until)

    def _catch_up(self) -> None:
        before = [_look(link) for link in self._links]
        now = self.clock()
        while self._line.next_event() <= now:
            self._happen(now)
        if before != [_look(link) for link in self._links]:
            self.lock.notify_all()

    def _rest(self, until: float) -> None:
        left = min(until, self._line.next_event()) - self.clock()
        if left > 0:
            self.lock.wait(min(left, threading.TIMEOUT_MAX))


class _Virtual(_Pair):
    def __init__(self, line: Line, host: Link, box: Link, serve: Serve | None) -> None:
        super().__init__(line, host, box, serve)
        self._until: list[float | None] = [None, None]  # where an end waits, and how long
        self._gone = {1} if serve else set()

    def clock(self) -> float:
        return self._line.now

    def step(self) -> None:
        self._happen(math.inf)

    def kick(self) -> None:
        pass  # what is to be written goes out when time passes

    def gone(self, link: Link) -> None:
        with self.lock:
            self._gone.add(self._links.index(link))
            self._happen(self._line.now)  # nobody may be left to let time pass
            self._wake()

    def wait(self, link: Link, until: float) -> None:
        side = self._links.index(link)
        self._until[side] = until
        before = [_look(each) for each in self._links]
        while self._until[side] is not None:
            if self._busy(1 - side) and self.lock.wait(_PATIENCE):
                continue
            first = min(each for each in self._until if each is not None)
            self._happen(first)
            if self.clock() >= first or before != [_look(each) for each in self._links]:
                self._wake()

    def _busy(self, side: int) -> bool:
        """Whether an end is in use and does not wait: then time stands still."""
        used = side not in self._gone and self._links[side].state is State.OPEN
        return used and self._until[side] is None

    def _wake(self) -> None:
        self._until = [None, None]
        self.lock.notify_all()


def _look(link: Link) -> tuple[object, ...]:
    """All that anybody waits for."""
    return link.ready, link.state, link.waiting > FULL, link.flushed
