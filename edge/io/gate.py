"""Which part to blow off, and when: every part is followed from its trigger to the gate.

Pure: positions come in, events come out; no clock, no thread, no line. A position is in seconds or
in steps of the belt's encoder, and never goes back.

::

    trigger          verdict?                gate                        end
    at ──────────────────────────────────► at + delay ───────────► at + delay + width
                 OK: it passes               NG, or no verdict: open for that long
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Gate", "GateEvent"]

MISSED = 256
"""Parts that went by without a verdict and are remembered, so that a late one can be told."""


@dataclass(frozen=True)
class GateEvent:
    """What happened to a part at the gate.

    Attributes
    ----------
    kind
        ``passed``: OK and let through. ``rejected``: NG, and the gate opened for it. ``unjudged``:
        it had no verdict, and the gate opened for it. ``slipped``: it had to be rejected and was
        not: the gate was looked after too late. ``late``: the verdict of a part that had gone by:
        it was ``unjudged`` before, or nobody had announced it; one that is NG then follows as
        ``rejected`` or ``slipped``.
    part
        Its name; empty for a part that nobody has named yet.
    by
        How far beyond its place at the gate that part was when this happened.
    """

    kind: Literal["passed", "rejected", "unjudged", "slipped", "late"]
    part: str
    by: float

    @property
    def fault(self) -> bool:
        """Whether something is wrong with the station, and not with the part alone."""
        return self.kind in ("unjudged", "slipped", "late")


@dataclass
class _Part:
    at: float
    key: Hashable
    name: str = ""
    reject: bool | None = None


class Gate:
    """Follows the parts of one camera to one gate.

    Parameters
    ----------
    delay
        From trigger to gate.
    width
        How long the gate stays open for a part.
    """

    def __init__(self, delay: float, width: float) -> None:
        self._delay, self._width = delay, width
        self._parts: list[_Part] = []
        """On the way, the nearest to the gate first."""
        self._missed: deque[Hashable] = deque(maxlen=MISSED)
        self._now = float("-inf")
        self._open_until = float("-inf")

    def triggered(self, key: Hashable, at: float) -> None:
        """A part was seen at ``at``; from here on it is rejected unless a verdict says OK."""
        bisect.insort(self._parts, _Part(at, key), key=lambda part: part.at)

    def decided(self, key: Hashable, at: float, name: str, reject: bool) -> list[GateEvent]:
        """A verdict has come, for a part that was triggered at ``at``, announced or not."""
        for part in self._parts:
            if part.key == key:
                part.name, part.reject = name, reject
                return []
        due = at + self._delay
        if key in self._missed:
            self._missed.remove(key)
            return [GateEvent("late", name, self._now - due)]
        if due <= self._now:
            late = GateEvent("late", name, self._now - due)
            if not reject:
                return [late]
            if self._now < due + self._width:  # not quite gone by: hit it while it can be hit
                self._open_until = max(self._open_until, due + self._width)
                return [late, GateEvent("rejected", name, self._now - due)]
            return [late, GateEvent("slipped", name, self._now - due)]
        new = _Part(at, key, name, reject)
        bisect.insort(self._parts, new, key=lambda part: part.at)
        return []

    def hit(self, name: str, position: float) -> GateEvent:
        """Open at once for a part that is at the gate already."""
        self._now = max(self._now, position)
        self._open_until = max(self._open_until, self._now + self._width)
        return GateEvent("rejected", name, 0.0)

    def advance(self, position: float) -> list[GateEvent]:
        """The belt has come to ``position``: open for whoever is at the gate."""
        self._now = max(self._now, position)
        events = []
        while self._parts and self._parts[0].at + self._delay <= self._now:
            events.append(self._arrive(self._parts.pop(0)))
        return events

    @property
    def to_reject(self) -> list[str]:
        """Names of the parts on the way that would be rejected as things stand."""
        return [part.name for part in self._parts if part.reject is not False]

    @property
    def open(self) -> bool:
        """Whether the gate is to be open at the last position."""
        return self._now < self._open_until

    @property
    def next_due(self) -> float | None:
        """The next position at which something is to be done; ``None`` if nothing is on the way."""
        due = [self._parts[0].at + self._delay] if self._parts else []
        if self.open:
            due.append(self._open_until)
        return min(due, default=None)

    def _arrive(self, part: _Part) -> GateEvent:
        due = part.at + self._delay
        by = self._now - due
        if part.reject is False:
            return GateEvent("passed", part.name, by)
        if part.reject is None:
            self._missed.append(part.key)
        if by >= self._width:
            return GateEvent("slipped", part.name, by)
        self._open_until = max(self._open_until, due + self._width)
        return GateEvent("unjudged" if part.reject is None else "rejected", part.name, by)
