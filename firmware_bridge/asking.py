"""A conversation with a box that outlives its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from firmware_bridge.channel import Channel, request
from firmware_bridge.patience import BROKEN
from models.errors import TransferError

__all__ = ["Asking"]

ANSWER = 30.0
"""Seconds for an answer that costs the box nothing."""

DISK = 4e6
"""Bytes per second that the slowest box reads from its card and hashes."""

QUEUED = 2 * 65_536
"""Bytes that may be on their way, and arrive before a request that follows them."""

SLOW = 4
"""How many times longer a bad line may take than its baud says."""


class Asking:
    """Asks a box, over a session that is opened when it is needed.

    Parameters
    ----------
    connect
        Opens one.

    Attributes
    ----------
    met
        Whether there ever was one.
    """

    def __init__(self, connect: Callable[[], Channel]) -> None:
        self._connect = connect
        self._channel: Channel | None = None
        self.met = False

    @property
    def channel(self) -> Channel:
        """The session; a new one if there is none.

        Raises
        ------
        TransferError
            There cannot be one now.
        """
        if self._channel is None:
            self._channel = self._connect()
            self.met = True
        return self._channel

    @property
    def connected(self) -> bool:
        """Whether there is a session."""
        return self._channel is not None

    def ask(self, message: Mapping[str, Any], *, work: int = 0, size: int = 0) -> dict[str, Any]:
        """Ask; see ``channel.request``.

        Parameters
        ----------
        work
            Bytes that the box reads from its disk before it answers.
        size
            Bytes of the message, if it is a long one.
        """
        rate = self.channel.rate
        line = (QUEUED + size) * 10 * SLOW / rate if rate else 0.0
        try:
            return request(self.channel, message, ANSWER + work / DISK + line)
        except TransferError as error:
            self.failed(error)
            raise

    def send(self, message: Mapping[str, Any]) -> None:
        """Send what is not answered; see ``Channel.send``."""
        try:
            self.channel.send(message)
        except TransferError as error:
            self.failed(error)
            raise

    def failed(self, error: TransferError) -> None:
        """Give up the session if it is of no use any more."""
        if error.code in BROKEN:
            self.close()

    def close(self) -> None:
        """End the session, if there is one; the next question opens another."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
