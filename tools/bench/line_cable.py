"""A serial cable between two terminals of this machine, at the baud that they are set to.

``python -m tools.bench.line_cable`` is its other half: a process of its own that carries bytes.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import math
import os
import select
import subprocess
import sys
import termios
import time
import tty
from collections import deque

import numpy as np

__all__ = ["Cable", "carry"]

TICK_S = 0.001
"""How often bytes are carried on: what a UART's FIFO holds at 115200."""

AHEAD_S = 0.002
"""How far ahead of the line bytes are taken from a terminal, which keeps the others."""

IDLE_S = 0.05

BAUDS = {
    getattr(termios, name): int(name[1:])
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdigit()
}


class Cable:
    """Two terminals, joined; as a context.

    A byte takes ten bits of time, whoever is late. Bits flip with their own dice in each direction,
    so that they are wrong at the same places of every stream of the same seed. Where the two ends
    are set to different bauds, noise arrives.

    Parameters
    ----------
    flip
        Chance that a bit arrives wrong.
    latency
        Seconds, each way, from the last bit of a byte to its arrival.
    seed
        Of the flips.

    Attributes
    ----------
    host, box
        Paths of the two terminals.
    """

    def __init__(self, *, flip: float = 0.0, latency: float = 0.0, seed: int = 0) -> None:
        masters, self._slaves = zip(*(os.openpty() for _ in range(2)), strict=True)
        for slave in self._slaves:  # kept open, so that nothing is lost before both ends are there
            tty.setraw(slave)
        self.host, self.box = (os.ttyname(slave) for slave in self._slaves)
        numbers = [*masters, flip, latency, seed]
        self._carrier = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, numbers)], pass_fds=masters
        )
        for master in masters:
            os.close(master)

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *_: object) -> None:
        self._carrier.terminate()
        self._carrier.wait()
        for slave in self._slaves:
            os.close(slave)


class _Way:
    """One direction: bytes that are on their way, and when the line is free for the next."""

    def __init__(self, source: int, sink: int, flip: float, latency: float, seed: int) -> None:
        self._source, self._sink, self._flip, self._latency = source, sink, flip, latency
        self._dice = np.random.default_rng(seed)
        self._sound = self._gap()  # bits until the next that flips
        self._free = 0.0
        self._waiting = 0  # bytes that the terminal was seen to hold, and still does
        self._coming: deque[tuple[float, bytes, int]] = deque()

    def move(self, now: float) -> bool:
        """Let arrive what is due, and take what the line has time for; whether there is more."""
        while self._coming and self._coming[0][0] <= now and self._deliver():
            pass
        count = array.array("i", [0])
        fcntl.ioctl(self._source, termios.FIONREAD, count)
        rate = _rate(self._source)
        while count[0] and self._free < now + AHEAD_S:
            late = self._waiting and self._free < now  # this process was, not who wrote them
            begin = self._free if late else max(self._free, now)
            piece = max(1, int(min(TICK_S, now + AHEAD_S - begin) * rate / 10))
            try:
                data = os.read(self._source, min(piece, self._waiting) if late else piece)
            except BlockingIOError:  # whoever opened the terminal has thrown it away meanwhile
                count[0] = 0
                break
            count[0] -= len(data)
            self._waiting = max(0, self._waiting - len(data))
            self._free = begin + len(data) * 10 / rate
            self._coming.append((self._free + self._latency, self._harmed(data), rate))
        self._waiting = count[0]
        return bool(self._coming or self._waiting)

    def _deliver(self) -> bool:
        at, data, rate = self._coming.popleft()
        if rate != _rate(self._sink):
            data = os.urandom(len(data))
        try:
            done = os.write(self._sink, data)
        except BlockingIOError:
            done = 0
        if done < len(data):  # who reads is slower than the line; a UART would lose them
            self._coming.appendleft((at, data[done:], rate))
        return done == len(data)

    def _gap(self) -> float:
        return float(self._dice.geometric(self._flip)) - 1 if self._flip else math.inf

    def _harmed(self, data: bytes) -> bytes:
        harmed = bytearray(data)
        while self._sound < 8 * len(data):
            bit = int(self._sound)
            harmed[bit >> 3] ^= 1 << (bit & 7)
            self._sound += 1 + self._gap()
        self._sound -= 8 * len(data)
        return bytes(harmed)


def _rate(terminal: int) -> int:
    return BAUDS[termios.tcgetattr(terminal)[5]]


def carry(one: int, two: int, flip: float, latency: float, seed: int) -> None:
    """Carry bytes between the other ends of two terminals, until the process is ended."""
    with contextlib.suppress(PermissionError):  # hardware does not wait for a processor
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    poll = select.poll()
    for descriptor in (one, two):
        os.set_blocking(descriptor, False)
        poll.register(descriptor, select.POLLIN)
    ways = [
        _Way(one, two, flip, latency, seed),
        _Way(two, one, flip, latency, seed + 1),
    ]
    while True:
        busy = [way.move(time.monotonic()) for way in ways]
        if any(busy):
            time.sleep(TICK_S)
        else:
            poll.poll(1000 * IDLE_S)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        carry(*map(int, sys.argv[1:3]), *map(float, sys.argv[3:5]), int(sys.argv[5]))  # type: ignore[call-arg]
