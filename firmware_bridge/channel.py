"""What both ends talk through: whole messages, once and in order, or an error that says why not."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any, Protocol

from models.errors import TransferError

__all__ = ["TIMEOUT", "Channel", "request"]

TIMEOUT = "timeout"
"""Code of the TransferError for a message that did not come in time; the channel lives on."""


class Channel(Protocol):
    """One session with the other end. Safe for one thread that sends and one that receives."""

    @property
    def name(self) -> str:
        """The address, as messages call the line."""

    @property
    def rate(self) -> int | None:
        """Baud of the line now; ``None`` where the line has none."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Queue one message for the other end; blocks while a window of it waits already.

        Raises
        ------
        TransferError
            The session has ended, or the line gave way while this waited.
        """

    def receive(self, deadline: float) -> dict[str, Any]:
        """Next message, waiting at most ``deadline`` seconds; ``math.inf`` waits for the session.

        Raises
        ------
        TransferError
            The session has ended, or (code ``TIMEOUT``) none came in time.
        """

    def close(self) -> None:
        """End the session, whatever it does; what was sent is given a moment to arrive."""


_numbers = itertools.count(1)


def request(channel: Channel, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """Send ``message`` with a number of its own; give the answer that carries the same.

    Parameters
    ----------
    channel
        To the box.
    message
        As in ``docs/protocol.md``, section 3, without ``id``.
    timeout
        Seconds for the answer.

    Raises
    ------
    TransferError
        The box refuses (with its code), the session ended, or no answer came (code ``TIMEOUT``).
    """
    number = next(_numbers)
    end = time.monotonic() + timeout
    channel.send({**message, "id": number})
    while True:
        answer = channel.receive(max(0.0, end - time.monotonic()))
        if answer.get("id") != number:
            continue  # of a request that was given up
        if "error" in answer:
            raise TransferError(
                f"{channel.name}: {answer.get('text') or answer['error']}", str(answer["error"])
            )
        return answer
