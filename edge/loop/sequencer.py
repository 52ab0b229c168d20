"""Exactly one verdict for each part, in the order of the triggers, by its deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from edge.verdict import Outcome, Part, Verdict, rejected

__all__ = ["Sequencer"]


@dataclass
class _Slot:
    part: Part
    outcome: Outcome | None = None
    decided: float = 0.0


class Sequencer:
    """The parts of one camera that wait for their verdict.

    Three threads meet here and none waits for another: capture opens a part, inference decides
    it, publishing takes the verdicts. A part that is not decided by its deadline is decided here,
    as late; what inference says of it afterwards is dropped.

    Parameters
    ----------
    deadline_ms
        For the words of the reason alone; each part brings its own deadline.
    """

    def __init__(self, deadline_ms: int) -> None:
        self._deadline_ms = deadline_ms
        self._slots: deque[_Slot] = deque()
        self._by_part: dict[int, _Slot] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._count = 0

    def open(self, part: Part) -> bool:
        """Owe ``part`` a verdict; ``False`` once closed: then none is owed."""
        with self._changed:
            if self._closed:
                return False
            slot = _Slot(part)
            self._slots.append(slot)
            self._by_part[id(part)] = slot
            self._changed.notify()
            return True

    def decide(self, part: Part, outcome: Outcome) -> bool:
        """Say what became of a part; the first word counts. Whether this was it."""
        with self._changed:
            slot = self._by_part.get(id(part))
            if slot is None or slot.outcome is not None:
                return False
            slot.outcome, slot.decided = outcome, time.monotonic()
            self._changed.notify()
            return True

    def next(self) -> Verdict | None:
        """Wait for the next verdict; ``None`` once closed and all are given."""
        with self._changed:
            while True:
                if not self._slots:
                    if self._closed:
                        return None
                    self._changed.wait()
                    continue
                slot = self._slots[0]
                if slot.outcome is None and slot.part.deadline.expired:
                    slot.outcome = rejected("late", deadline_ms=self._deadline_ms)
                    slot.decided = time.monotonic()
                if slot.outcome is not None:
                    return self._release(slot, slot.outcome)
                self._changed.wait(slot.part.deadline.remaining())

    def close(self, reject_pending: bool) -> None:
        """Owe nothing new. What is undecided keeps its deadline, or is NG ``stopped`` at once."""
        with self._changed:
            self._closed = True
            for slot in self._slots:
                if reject_pending and slot.outcome is None:
                    slot.outcome, slot.decided = rejected("stopped"), time.monotonic()
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether no verdict is owed at this moment."""
        return not self._slots

    def _release(self, slot: _Slot, outcome: Outcome) -> Verdict:
        self._slots.popleft()
        del self._by_part[id(slot.part)]
        self._count += 1
        now = time.monotonic()
        return Verdict(
            self._count, slot.part, outcome, now - slot.part.captured, now - slot.decided
        )
