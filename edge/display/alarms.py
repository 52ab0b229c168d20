"""Faults of the machine: raised, gone, seen by somebody.

The four states of an alarm are those of ISA-18.2 (ANSI/ISA-18.2-2016, 5.2.2): a fault that is gone
stays until somebody has acknowledged it, so that none comes and goes unseen.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

__all__ = ["CARES", "Alarm", "Alarms", "Kind"]

Kind = Literal["camera", "inspection", "output", "records", "station", "box", "upkeep", "drift"]
"""What has failed; pages have a word for each."""

CARES: frozenset[Kind] = frozenset({"drift", "upkeep"})
"""What has not failed yet: somebody should see to it."""

MOST = 64
"""Alarms that are kept: cameras, outputs and the few others are fewer. More is a slip of whoever
raises them, and must not fill the memory."""


@dataclass(frozen=True)
class Alarm:
    """One fault.

    Attributes
    ----------
    kind, name
        What has failed, and which one of them; together they name the alarm.
    en, zh
        Why, in one line.
    since
        When it was raised, wall clock.
    count
        How often, since it was last acknowledged.
    active
        Whether it lasts.
    acknowledged
        Whether somebody has seen it.
    """

    kind: Kind
    name: str
    en: str
    zh: str
    since: datetime
    count: int = 1
    active: bool = True
    acknowledged: bool = False

    @property
    def id(self) -> str:
        """``kind:name``."""
        return f"{self.kind}:{self.name}"


class Alarms:
    """All alarms of a station; safe from several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._alarms: dict[str, Alarm] = {}
        self._raised: Counter[tuple[Kind, str]] = Counter()

    def tell(self, kind: Kind, name: str, en: str | None, zh: str | None = None) -> None:
        """Raise a fault, or with ``en`` ``None`` say that it is gone."""
        with self._lock:
            key = f"{kind}:{name}"
            known = self._alarms.get(key)
            if en is not None:
                self._raise(key, known, Alarm(kind, name, en, zh or en, self._clock()))
            elif known is not None and known.acknowledged:
                del self._alarms[key]
            elif known is not None:
                self._alarms[key] = replace(known, active=False)

    def acknowledge(self, ids: Sequence[str] | None = None) -> list[str]:
        """Somebody has seen these, or all; gives the ids of those that were news."""
        with self._lock:
            seen = [
                alarm
                for key, alarm in self._alarms.items()
                if not alarm.acknowledged and (ids is None or key in ids)
            ]
            for alarm in seen:
                if alarm.active:
                    self._alarms[alarm.id] = replace(alarm, acknowledged=True)
                else:
                    del self._alarms[alarm.id]
            return [alarm.id for alarm in seen]

    @property
    def all(self) -> list[Alarm]:
        """Those that last, then those that are gone; the newest first."""
        with self._lock:
            newest = list(reversed(self._alarms.values()))
        return sorted(newest, key=lambda alarm: not alarm.active)

    @property
    def raised(self) -> dict[tuple[Kind, str], int]:
        """How often each fault has come since the start, acknowledged or not."""
        with self._lock:
            return dict(self._raised)

    def _raise(self, key: str, known: Alarm | None, alarm: Alarm) -> None:
        if known is not None and known.active:  # the same trouble in other words
            self._alarms[key] = replace(known, en=alarm.en, zh=alarm.zh)
            return
        if len(self._raised) < MOST or (alarm.kind, alarm.name) in self._raised:
            self._raised[alarm.kind, alarm.name] += 1
        if known is not None:
            self._alarms[key] = replace(alarm, count=known.count + 1)
            return
        if len(self._alarms) >= MOST:
            gone = (key for key, each in self._alarms.items() if not each.active)
            del self._alarms[next(gone, next(iter(self._alarms)))]
        self._alarms[key] = alarm
