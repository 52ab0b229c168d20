"""Exactly one verdict for each part, in the order of the triggers, by its deadline."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass

from edge.deadline import Deadline
from edge.verdict import Outcome, Part, Verdict, rejected

__all__ = ["Lapse", "Sequencer"]


@dataclass(frozen=True)
class Lapse:
    """What a part comes to whose picture does not come."""

    at: Deadline
    outcome: Outcome


@dataclass
class _Slot:
    part: Part
    lapse: Lapse | None = None
    outcome: Outcome | None = None
    decided: float = 0.0

    @property
    def due(self) -> Deadline:
        """When it is decided if nobody does."""
        return self.part.deadline if self.lapse is None else self.lapse.at


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

    def open(self, part: Part, lapse: Lapse | None = None) -> bool:
        """Owe ``part`` a verdict; ``False`` once closed: then none is owed.

        One that comes before its picture says what it comes to if none is shown.
        """
        with self._changed:
            if self._closed:
                return False
            slot = _Slot(part, lapse)
            self._slots.append(slot)
            self._by_part[id(part)] = slot
            self._changed.notify()
            return True

    def show(self, part: Part, pictured: Part) -> bool:
        """The picture of ``part`` has come; from now on ``pictured`` is that part.

        ``False`` if it is decided already.
        """
        with self._changed:
            slot = self._by_part.get(id(part))
            if slot is None or slot.outcome is not None:
                return False
            del self._by_part[id(part)]
            self._by_part[id(pictured)] = slot
            slot.part, slot.lapse = pictured, None
            self._changed.notify()
            return True

    def decide(self, part: Part, outcome: Outcome) -> bool:
        """Say what became of a part; the first word counts, in time. Whether this was it."""
        with self._changed:
            slot = self._by_part.get(id(part))
            if slot is None or slot.outcome is not None or slot.due.expired:
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
                if slot.outcome is None and slot.due.expired:
                    late = rejected("late", deadline_ms=self._deadline_ms)
                    slot.outcome = late if slot.lapse is None else slot.lapse.outcome
                    slot.decided = time.monotonic()
                if slot.outcome is not None:
                    return self._release(slot, slot.outcome)
                self._changed.wait(slot.due.remaining())

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

    @property
    def overdue(self) -> float:
        """Seconds since the oldest verdict was due; 0 as long as they are given in time."""
        with self._changed:
            due = self._slots[0].part.deadline.at if self._slots else math.inf
        return max(0.0, time.monotonic() - due)

    def _release(self, slot: _Slot, outcome: Outcome) -> Verdict:
        self._slots.popleft()
        del self._by_part[id(slot.part)]
        self._count += 1
        now = time.monotonic()
        return Verdict(
            self._count, slot.part, outcome, now - slot.part.captured, now - slot.decided
        )
