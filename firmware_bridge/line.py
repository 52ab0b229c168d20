"""A line in simulated time between two links: rate, latency, and every fault a wire can have."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter
from dataclasses import dataclass, field

from firmware_bridge.link import Link, Role, State

__all__ = ["Faults", "Line"]

_ROOM = 4096
"""Bytes that a tty keeps before a writer has to wait."""

_JITTER = 0.1
"""Seconds by which a delayed chunk comes late at most: later ones overtake it."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong; all of it follows from ``seed``.

    Attributes
    ----------
    flip
        Chance that a bit arrives wrong.
    drop, duplicate, delay, truncate
        Chance, for each piece that is written, that some of it is lost, that it comes twice, that
        it comes after later ones, that its end is lost.
    disconnect
        Seconds after which nothing passes any more, and both ends are told.
    struck
        How often each has gone wrong so far, by its name; of flips, the bits.
    """

    flip: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    truncate: float = 0.0
    disconnect: float = math.inf
    seed: int = 0
    struck: Counter[str] = field(default_factory=Counter, compare=False, repr=False)


class Line:
    """Carries bytes between two links, event by event.

    Parameters
    ----------
    host, box
        The ends. The box's is replaced by its successor when its session ends.
    latency
        Seconds from the last bit sent to its being read, each way, as with USB adapters.
    fastest
        Baud beyond which nothing arrives whole.
    faults
        None unless told otherwise.
    now
        Where the clock begins.

    Attributes
    ----------
    now
        Seconds.
    written
        Bytes that host and box have written.
    """

    def __init__(
        self,
        host: Link,
        box: Link,
        *,
        latency: float = 0.0,
        fastest: float = math.inf,
        faults: Faults | None = None,
        now: float = 0.0,
    ) -> None:
        self.ends = [host, box]
        self.now = now
        self.written = [0, 0]
        self._latency, self._fastest = latency, fastest
        self._faults = faults or Faults()
        self._random = random.Random(self._faults.seed)  # noqa: S311 - repeatable, not secret
        self._free = [now, now]  # when each direction's last bit is sent
        self._coming: list[tuple[float, int, int, bytes, int | None]] = []
        self._order = itertools.count()
        self._cut = now + self._faults.disconnect

    def next_event(self) -> float:
        """When something happens next; ``math.inf`` for never."""
        times = [self._due(side) for side in (0, 1)]
        if self._coming:
            times.append(self._coming[0][0])
        if self.now < self._cut:
            times.append(self._cut)
        return min(times)

    def _due(self, side: int) -> float:
        due = self.ends[side].next_timeout(self.now)
        rate = self.ends[side].rate
        return due if rate is None else max(due, self._free[side] - _ROOM * 10 / rate)

    def advance(self, until: float) -> None:
        """Let time pass to ``until``, or to the next event if that comes first; then let it happen.

        Parameters
        ----------
        until
            Seconds on this line's clock.
        """
        self.now = max(self.now, min(until, self.next_event()))
        if self.now >= self._cut:
            self._coming.clear()
            if self.ends[0].state is not State.CLOSED:
                self._faults.struck["disconnect"] += 1
            for link in self.ends:
                link.close("the line was cut")
                link.poll(self.now)
            return
        while self._coming and self._coming[0][0] <= self.now:
            _, _, side, data, rate = heapq.heappop(self._coming)
            if rate != self.ends[side].rate:
                data = self._random.randbytes(len(data))  # what a UART makes of another speed
            self.ends[side].receive(data, self.now)
        for side in (0, 1):
            self._write(side)
        box = self.ends[1]
        if box.state is State.CLOSED and box.role is Role.BOX:
            self.ends[1] = box.successor(self.now)
            self._write(1)

    def _write(self, side: int) -> None:
        if self._due(side) > self.now:
            return
        link = self.ends[side]
        data = link.poll(self.now)
        if not data:
            return
        self.written[side] += len(data)
        rate = link.rate
        begin = max(self.now, self._free[side])
        self._free[side] = begin + (len(data) * 10 / rate if rate else 0.0)
        if rate is not None and rate > self._fastest:
            data = self._random.randbytes(len(data))
        for piece, late in self._harm(data):
            at = self._free[side] + self._latency + late
            heapq.heappush(self._coming, (at, next(self._order), 1 - side, piece, rate))

    def _harm(self, data: bytes) -> list[tuple[bytes, float]]:
        """What arrives of ``data``, and how many seconds late."""
        faults, dice, struck = self._faults, self._random, self._faults.struck
        late = 0.0
        if faults.flip:
            data = self._flip(data)
        if faults.drop and dice.random() < faults.drop:
            begin = dice.randrange(len(data))
            data = data[:begin] + data[begin + 1 + dice.randrange(len(data) - begin) :]
            struck["drop"] += 1
        if faults.truncate and dice.random() < faults.truncate:
            data = data[: dice.randrange(len(data) + 1)]
            struck["truncate"] += 1
        if faults.delay and dice.random() < faults.delay:
            late = dice.random() * _JITTER
            struck["delay"] += 1
        if faults.duplicate and dice.random() < faults.duplicate:
            struck["duplicate"] += 1
            return [(data, late), (data, dice.random() * _JITTER)]
        return [(data, late)]

    def _flip(self, data: bytes) -> bytes:
        """Flip bits, stepping from one error to the next rather than from bit to bit."""
        harmed, bits = bytearray(data), 8 * len(data)
        scale = math.log1p(-self._faults.flip) if self._faults.flip < 1 else -math.inf
        bit = -1
        while True:
            step = math.log(1 - self._random.random()) / scale  # endless if errors are very rare
            bit += 1 + int(min(step, bits))
            if bit >= bits:
                return bytes(harmed)
            harmed[bit >> 3] ^= 1 << (bit & 7)
            self._faults.struck["flip"] += 1
