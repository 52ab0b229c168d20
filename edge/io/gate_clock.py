"""Opens a gate when it is due: the thread between :class:`edge.io.gate.Gate` and a line."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from edge.io.gate import Gate, GateEvent

__all__ = ["GateClock"]

ENCODER_POLL_S = 0.002
"""Seconds between two looks at an encoder while a part is on its way: 1 mm at 0.5 m/s."""

KEPT = 1000
"""Newest latenesses that are kept: a p99 rests on ten of them."""


class GateClock:
    """Fires a gate at its time.

    Parameters
    ----------
    name
        Of the thread.
    gate
        Whose delay and width are in seconds, or in the units of ``position``.
    set_open
        Opens and closes the gate.
    on_event
        Told what happened to each part; must not wait.
    on_error
        Told, once, that the gate cannot be moved; the clock stops.
    position
        Where the belt is. ``time.monotonic`` is slept on exactly, anything else is polled.
    """

    def __init__(
        self,
        name: str,
        gate: Gate,
        set_open: Callable[[bool], None],
        on_event: Callable[[GateEvent], None],
        on_error: Callable[[Exception], None],
        position: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gate, self._set_open = gate, set_open
        self._on_event, self._on_error, self._position = on_event, on_error, position
        self.lateness: deque[float] = deque(maxlen=KEPT)
        """How far beyond its place each rejected part was when the gate opened."""
        self._events: deque[GateEvent] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def triggered(self, key: Hashable, at: float) -> None:
        """A part has come; see :meth:`edge.io.gate.Gate.triggered`."""
        with self._changed:
            self._gate.triggered(key, at)
            self._changed.notify()

    def decided(self, key: Hashable, at: float, part: str, reject: bool) -> None:
        """Its verdict has come; see :meth:`edge.io.gate.Gate.decided`."""
        with self._changed:
            self._events += self._gate.decided(key, at, part, reject)
            self._changed.notify()

    def hit(self, part: str) -> None:
        """Open at once; see :meth:`edge.io.gate.Gate.hit`."""
        with self._changed:
            self._events.append(self._gate.hit(part, self._position()))
            self._changed.notify()

    def stop(self) -> list[str]:
        """Stop; the gate stays as it is at this moment. The parts that it will not reject now."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        return self._gate.to_reject

    def _run(self) -> None:
        shown: bool | None = None
        stopped = False
        while not stopped:
            with self._changed:
                stopped = self._stopped  # what came before the stop is done all the same
                events = [*self._events, *self._gate.advance(self._position())]
                self._events.clear()
                is_open = self._gate.open
            try:
                if is_open != shown:  # before anything is told: this is what is in a hurry
                    self._set_open(is_open)
                    shown = is_open
            except Exception as error:
                self._on_error(error)
                return
            for event in events:
                if event.kind == "rejected":
                    self.lateness.append(event.by)
                self._on_event(event)
            self._sleep()

    def _sleep(self) -> None:
        with self._changed:
            if self._stopped or self._events:
                return
            due = self._gate.next_due
            if due is None:
                self._changed.wait()
            elif self._position is not time.monotonic:
                self._changed.wait(ENCODER_POLL_S)
            else:
                self._changed.wait(max(0.0, min(due - time.monotonic(), threading.TIMEOUT_MAX)))
