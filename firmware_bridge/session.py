"""A channel over a link, whoever drives the link."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from firmware_bridge.channel import TIMEOUT
from firmware_bridge.inbox import MAX_MESSAGE
from firmware_bridge.link import Link, State
from models.bundle.cbor import dump_cbor, load_cbor
from models.errors import BundleError, TransferError

__all__ = ["FULL", "Driver", "Session"]

FULL = 65536
"""Bytes waiting to go out, beyond which ``send`` blocks: a window more is no faster."""

_FAREWELL = 2.0
"""Seconds that ``close`` waits for what was sent to arrive."""


class Driver(Protocol):
    """What moves bytes between a link and the other end, and knows the time."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held around every use of the link, and while ``kick`` and ``wait`` are called."""

    def clock(self) -> float:
        """Seconds."""

    def kick(self) -> None:
        """The link has something to write."""

    def wait(self, link: Link, until: float) -> None:
        """Return when something about ``link`` may have changed, or at ``until``."""

    def gone(self, link: Link) -> None:
        """The session over ``link`` has been closed here and is not used any more."""


class Session:
    """One open session: a ``Channel``.

    Parameters
    ----------
    name
        The address, for messages.
    link
        Open.
    driver
        Of the link.
    """

    def __init__(self, name: str, link: Link, driver: Driver) -> None:
        self.name, self._link, self._driver = name, link, driver

    @property
    def rate(self) -> int | None:
        """Baud of the line now; ``None`` where the line has none."""
        return self._link.rate

    def clock(self) -> float:
        """Seconds on the line's own clock."""
        return self._driver.clock()

    def send(self, message: Mapping[str, Any]) -> None:
        """Queue one message; see ``Channel.send``."""
        data = dump_cbor(message)
        if len(data) > MAX_MESSAGE:
            raise TransferError(f"{self.name}: a message of {len(data)} bytes: send it in parts")
        with self._driver.lock:
            while self._link.state is State.OPEN and self._link.waiting > FULL:
                self._driver.wait(self._link, math.inf)
            if self._link.state is not State.OPEN:
                raise self._ended()
            self._link.send(data)
            self._driver.kick()

    def receive(self, deadline: float) -> dict[str, Any]:
        """Next message; see ``Channel.receive``."""
        with self._driver.lock:
            until = self._driver.clock() + deadline
            while (data := self._link.take()) is None:
                if self._link.state is not State.OPEN:
                    raise self._ended()
                if self._driver.clock() >= until:
                    raise TransferError(
                        f"{self.name}: no message in {round(deadline, 2):g} s: "
                        "is the other end busy?",
                        TIMEOUT,
                    )
                self._driver.wait(self._link, until)
            self._driver.kick()
        try:
            message = load_cbor(data)
        except BundleError:
            message = None
        if not isinstance(message, dict):
            self._hang_up("a message was no CBOR map")
            raise TransferError(
                f"{self.name}: a message is no CBOR map: host and box differ in version: update one"
            )
        return message

    def close(self) -> None:
        """End the session; see ``Channel.close``."""
        with self._driver.lock:
            until = self._driver.clock() + _FAREWELL
            while self._link.state is State.OPEN and not self._link.flushed:
                if self._driver.clock() >= until:
                    break
                self._driver.wait(self._link, until)
        self._hang_up("it was closed")

    def _hang_up(self, reason: str) -> None:
        with self._driver.lock:
            self._link.close(reason)
            self._driver.kick()
        self._driver.gone(self._link)

    def _ended(self) -> TransferError:
        return TransferError(
            f"{self.name}: the session has ended: {self._link.reason}: "
            "see to the line and begin again; what has arrived is kept"
        )
