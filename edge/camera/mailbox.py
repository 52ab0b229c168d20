"""The one place between a camera and who looks at its pictures: bounded, and explicit in what goes.

*every*: a part that was triggered is never forgotten. A full box refuses the newcomer, so that the
line can judge it NG at once.

*freshest*: what is seen is now. A full box gives up its oldest, and what has grown too old is not
handed out.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from typing import Generic, Literal, Protocol, TypeVar

from edge.deadline import Deadline

__all__ = ["Mailbox", "Policy", "Stamped"]

Policy = Literal["every", "freshest"]


class Stamped(Protocol):
    """Anything that knows when it was captured; an :class:`edge.camera.base.Frame`, for one."""

    @property
    def captured(self) -> float:
        """``time.monotonic()`` seconds."""


T = TypeVar("T", bound=Stamped)


class Mailbox(Generic[T]):
    """A bounded queue from one thread to another.

    Parameters
    ----------
    policy
        ``every`` or ``freshest``.
    capacity
        Places, at least 1; 1 is what *freshest* wants.
    max_age
        Seconds, for *freshest*: an older item is dropped instead of taken. One frame interval; may
        be set later, since a camera knows its rate only once it is open.
    """

    def __init__(self, policy: Policy, capacity: int = 1, max_age: float = math.inf) -> None:
        if capacity < 1:
            raise ValueError(f"capacity {capacity}: must be at least 1")
        self._policy = policy
        self._capacity = capacity
        self.max_age = max_age
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._dropped = 0
        self._closed = False

    def put(self, item: T) -> T | None:
        """Put an item in; never waits.

        Returns
        -------
        What had to go for it: *freshest*, the oldest; *every*, ``item`` itself, which the caller
        then owes a verdict. ``None`` if there was room. A closed box refuses everything.
        """
        with self._changed:
            refused: T | None = None
            if self._closed or (len(self._items) >= self._capacity and self._policy == "every"):
                refused = item
            else:
                if len(self._items) >= self._capacity:
                    refused = self._items.popleft()
                self._items.append(item)
                self._changed.notify()
            self._dropped += refused is not None
            return refused

    def take(self, timeout: float) -> T | None:
        """Wait for the next item; ``None`` after ``timeout`` seconds, or once closed and empty."""
        deadline = Deadline.after(timeout)
        with self._changed:
            while True:
                while self._items:
                    item = self._items.popleft()
                    if self._policy == "every" or time.monotonic() - item.captured <= self.max_age:
                        return item
                    self._dropped += 1
                if self._closed or deadline.expired:
                    return None
                self._changed.wait(deadline.remaining())

    def close(self) -> None:
        """Refuse what comes from now on, and wake whoever waits; what is inside can be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    @property
    def dropped(self) -> int:
        """How many items were put in, or offered, and not taken."""
        return self._dropped

    def __len__(self) -> int:
        return len(self._items)
