"""Drives links over a wire: one thread that reads, one that writes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

from firmware_bridge.link import Link, State
from firmware_bridge.session import Session
from firmware_bridge.wires import Wire

__all__ = ["Port"]

_JOIN = 10.0
"""Seconds for the threads to end: more than a wire ever takes."""


class Port:
    """A wire with a link on it, from now on until ``stop`` or until the wire fails.

    Parameters
    ----------
    name
        The address, for messages.
    wire
        Open; closed with the port.
    link
        At its beginning.
    opened
        Called from a thread of the port with each session that begins.
    lasting
        Whether a link that has ended is followed by its successor; else the port ends with it.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        link: Link,
        *,
        opened: Callable[[Session], None] | None = None,
        lasting: bool = False,
    ) -> None:
        self.lock = threading.Condition()
        self.error: OSError | None = None
        self._name, self._wire, self._link = name, wire, link
        self._opened, self._lasting = opened, lasting
        self.announced = False
        """Whether a session has begun on it."""
        self._stopping = False
        self._reader = threading.Thread(target=self._read, name=f"{name} read", daemon=True)
        self._writer = threading.Thread(target=self._write, name=f"{name} write", daemon=True)
        self._reader.start()
        self._writer.start()

    def clock(self) -> float:
        """Seconds."""
        return time.monotonic()

    def kick(self) -> None:
        """Wake the writer, and whoever waits."""
        self.lock.notify_all()

    def wait(self, link: Link, until: float) -> None:
        """Return when something has moved, or at ``until``."""
        self.lock.wait(min(max(0.0, until - self.clock()), threading.TIMEOUT_MAX))

    def gone(self, link: Link) -> None:
        """A session was closed: so is a port that was opened for it."""
        if not self._lasting:
            self.stop()

    def stop(self) -> None:
        """End the session, give the wire back, and return when that is done."""
        with self.lock:
            self._link.close("it was closed")
            self._stopping = True
            self.lock.notify_all()
        self._writer.join(_JOIN)

    @property
    def alive(self) -> bool:
        """Whether the wire has neither failed nor been given back."""
        return self._writer.is_alive()

    def _read(self) -> None:
        try:
            while not self._stopping:
                data = self._wire.read()
                if data:
                    with self.lock:
                        self._link.receive(data, self.clock())
                        self._announce()
                        self.lock.notify_all()
        except OSError as error:
            self._fail(error)

    def _write(self) -> None:
        try:
            while self.error is None and self._write_once():
                pass
        except OSError as error:
            self._fail(error)
        self._stopping = True
        with contextlib.suppress(OSError):
            self._wire.wake()
        self._reader.join(_JOIN)
        self._wire.close()

    def _write_once(self) -> bool:
        """Write what is due, or wait until something is; ``False`` at the end."""
        with self.lock:
            now = self.clock()
            data = self._link.poll(now)
            rate, closed = self._link.rate, self._link.state is State.CLOSED
            if data or closed:
                self.lock.notify_all()
            if closed and self._lasting:
                self._link, self.announced = self._link.successor(now), False
                self._announce()
            elif not data and rate == self._wire.rate:
                if self._stopping or closed:
                    return False
                self.wait(self._link, self._link.next_timeout(now))
        if rate is not None and rate != self._wire.rate:
            self._wire.set_rate(rate)
        if data:
            self._wire.write(data)
        return True

    def _announce(self) -> None:
        if self._opened and not self.announced and self._link.state is State.OPEN:
            self.announced = True
            self._opened(Session(self._name, self._link, self))

    def _fail(self, error: OSError) -> None:
        with self.lock:
            if self._stopping:
                return  # the wire was taken away on purpose
            self.error = error
            text = " ".join(str(error.strerror or error).split())
            self._link.close(f"the port has failed ({text})")
            self.lock.notify_all()
