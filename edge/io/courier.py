"""Between an output and its peer: a bounded queue, and a link that is mended when it breaks.

::

    output ──send──► waiting ──deliver──► link ──► PLC, MCU, broker, server
                        │                  ▲
                        └── stays first ───┘  until the peer has it: in order, at least once

An output that talks to a machine hands its messages to a courier and never waits. What the peer
has not acknowledged stays first in the queue, over any number of broken links, and is sent again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from edge.deadline import Deadline
from edge.io.base import Signalled
from edge.io.hooks import Hooks, LinkState
from models.errors import DeviceError

__all__ = ["Courier", "Link", "Message", "Receipt"]

_log = logging.getLogger(__name__)

BACKLOG = 4096
"""Messages that may wait for a peer: at 10 parts a second seven minutes, in 10 MB at most. What
must outlast longer breaks is forwarded from the records, which are on the disk."""

RETRY_FIRST_S, RETRY_MAX_S = 0.1, 5.0
"""Seconds between tries of a broken link: they double from the first, for a cable that was pulled
and put back, to the last, which an operator who looks at the display does not find long."""

DRAIN_S = 20.0
"""Seconds for what waits when a run came to its own end; the loop's own patience is 30."""


class Message(Protocol):
    """What a courier carries."""

    @property
    def part(self) -> str:
        """Id of the verdict."""

    @property
    def said(self) -> str:
        """What the peer is told, in a few words."""


T = TypeVar("T", bound=Message)
T_contra = TypeVar("T_contra", bound=Message, contravariant=True)


@dataclass(frozen=True)
class Receipt:
    """What came of trying to deliver a message over a link that stands.

    Attributes
    ----------
    at
        When it was sent, wall clock, seconds since 1970.
    acknowledged
        When the peer said that it has it; ``None`` where it did not, or has no way to.
    error
        What is wrong; ``None`` if nothing is.
    again
        Whether it stays first in the queue and is delivered again, at once since the peer had its
        time, or ``later``, with growing pauses.
    """

    at: float
    acknowledged: float | None = None
    error: str | None = None
    again: Literal["no", "at once", "later"] = "no"


class Link(Protocol[T_contra]):
    """One peer. All calls come from the courier's thread.

    Attributes
    ----------
    beat_s
        Seconds between two beats; ``math.inf`` for none.
    """

    beat_s: float

    def open(self) -> None:
        """Reach the peer; returns once it has answered. ``DeviceError`` if it does not."""

    def deliver(self, message: T_contra) -> Receipt:
        """Tell it; waits for its acknowledgement, not for ever. ``DeviceError``: link broken."""

    def beat(self) -> None:
        """Show that the station lives, and how it is. ``DeviceError``: link broken."""

    def close(self, broken: bool) -> None:
        """Let go; if the link is not broken, leave the peer in the safe state. Never raises."""


class Courier(Generic[T]):
    """Carries messages to one peer.

    Parameters
    ----------
    name
        Of the output.
    link
        To the peer; not open yet.
    hooks
        Whom to tell.
    """

    def __init__(self, name: str, link: Link[T], hooks: Hooks) -> None:
        self._name, self._link, self._hooks = name, link, hooks
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._closing: Deadline | None = None
        self._beat_now = False
        self._opened = False
        self._failed: T | None = None
        """The first message, once its failure has been told."""
        self._unanswered = False
        """Whether the peer is there, but not answering the first message."""
        self._tries = 0
        self._state: tuple[LinkState, str] | None = None
        self._next_beat = 0.0
        self._thread = threading.Thread(target=self._run, name=f"link of {name}", daemon=True)
        self._thread.start()

    def send(self, message: T) -> None:
        """Carry one more; never waits. The oldest that waits is given up if there are too many."""
        lost: T | None = None
        with self._changed:
            if len(self._waiting) >= BACKLOG:
                lost = self._waiting[1]  # the first may be on its way at this moment
                del self._waiting[1]
            self._waiting.append(message)
            self._changed.notify()
        if lost is not None:
            self._give_up(lost, f"given up: {BACKLOG} newer ones wait")

    def beat(self) -> None:
        """Beat as soon as possible: the state of the station has changed. Never waits."""
        with self._changed:
            self._beat_now = True
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many messages the peer has not acknowledged."""
        return len(self._waiting)

    def close(self) -> None:
        """Deliver what waits if the peer answers, give up the rest, and let go of the link."""
        with self._changed:
            self._closing = Deadline.after(DRAIN_S)
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while not self._over():
            try:
                if not self._opened:
                    self._open()
                self._work()
            except DeviceError as error:
                self._break(str(error))
            except Exception as error:  # a library's own: the link is as broken as by any other
                _log.exception("%s failed", self._name)
                self._break(f"{self._name}: failed ({error!r})")
        if self._opened:
            self._link.close(broken=False)
        for message in self._waiting:
            if message is not self._failed:
                self._give_up(message, "stopped before it could be told")

    def _over(self) -> bool:
        if self._closing is None:
            return False
        tried = self._state is not None
        hopeless = self._unanswered or (tried and not self._opened)
        return not self._waiting or hopeless or self._closing.expired

    def _open(self) -> None:
        self._link.open()
        self._opened = True
        self._next_beat = time.monotonic() + self._link.beat_s
        if not self._unanswered:
            self._tell("up", "")

    def _work(self) -> None:
        """Wait for the next thing to do and do it."""
        message = self._next()
        if message is not None:
            self._deliver(message)
        if self._beat_now or time.monotonic() >= self._next_beat:
            self._beat_now = False
            self._next_beat = time.monotonic() + self._link.beat_s
            self._link.beat()
            self._tries = 0

    def _next(self) -> T | None:
        with self._changed:
            wait = min(self._next_beat - time.monotonic(), threading.TIMEOUT_MAX)
            self._changed.wait_for(
                lambda: bool(self._waiting) or self._beat_now or self._closing is not None,
                max(0.0, wait),
            )
            return self._waiting[0] if self._waiting else None

    def _deliver(self, message: T) -> None:
        receipt = self._link.deliver(message)
        self._unanswered = receipt.again != "no"
        if self._unanswered:
            self._fail(message, receipt.at, receipt.error)
            self._tell("down", f"{self._name}: {receipt.error}")
            if receipt.again == "later":
                self._pause()
            return
        with self._changed:
            self._waiting.popleft()
        self._failed, self._tries = None, 0
        self._signalled(message, receipt.at, receipt.acknowledged, receipt.error)
        if receipt.error is None:
            self._tell("up", "")
        else:
            self._tell("down", f"{self._name}: {receipt.error}")

    def _break(self, reason: str) -> None:
        """A link that broke: say so, and wait a little."""
        if self._opened:
            self._opened = False
            self._link.close(broken=True)
            if self._waiting:
                self._fail(self._waiting[0], time.time(), reason)
        self._tell("down", reason)
        self._pause()

    def _pause(self) -> None:
        pause: float = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(self._tries, 16))
        # Boxes that lost one broker together must not all come back at the same moment.
        pause *= random.uniform(0.75, 1.25)  # noqa: S311 - nobody guesses it
        self._tries += 1
        with self._changed:
            self._changed.wait_for(lambda: self._closing is not None, pause)

    def _fail(self, message: T, at: float, error: str | None) -> None:
        """Tell the failure of the first message, once."""
        if self._failed is not message:
            self._failed = message
            self._signalled(message, at, None, error)

    def _give_up(self, message: T, error: str) -> None:
        self._signalled(message, time.time(), None, error)

    def _signalled(
        self, message: T, at: float, acknowledged: float | None, error: str | None
    ) -> None:
        said = Signalled(message.part, self._name, message.said, at, acknowledged, error)
        self._call(lambda: self._hooks.on_signal(said))

    def _tell(self, state: LinkState, reason: str) -> None:
        if self._state != (state, reason):
            self._state = state, reason
            self._call(lambda: self._hooks.on_state(self._name, state, reason))

    def _call(self, hook: Callable[[], None]) -> None:
        try:
            hook()
        except Exception:  # whoever listens must not break the line to the machine
            _log.exception("%s: what it tells was not taken", self._name)
