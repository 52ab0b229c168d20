"""What the shift came to so far: counts, why parts were rejected, the yield by the minute.

A shift ends when its time has passed on the monotonic clock. The wall clock only says when that
will be, and is asked again when it has jumped: a clock that is set back loses no count, and begins
no shift a second time.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from edge.loop.tally import percentiles
from edge.verdict import Verdict

__all__ = ["MINUTES", "Shift"]

MINUTES = 480
"""Of the trend: one shift of eight hours."""

KEPT = 2000
"""Newest latencies that percentiles are taken from: minutes, so that they speak of now."""

JUMP_S = 60.0
"""Seconds that the wall clock may drift from the monotonic one before the end of the shift is
worked out anew: NTP slews less in a shift."""


class Shift:
    """Counts verdicts; safe from several threads.

    Parameters
    ----------
    starts
        When shifts begin, local time, ``HH:MM``; without any the shift is the whole run.
    clock
        The wall clock, with time zone.
    monotonic
        Seconds that never jump.
    """

    def __init__(
        self,
        starts: Sequence[str],
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._starts = sorted(tuple(map(int, start.split(":"))) for start in starts)
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.Lock()
        self._origin = monotonic()
        self._trend: deque[list[int]] = deque(maxlen=MINUTES)
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._begin()

    def add(self, verdict: Verdict) -> None:
        """Count one."""
        with self._lock:
            self._roll()
            self.ok += verdict.ok
            self.ng += not verdict.ok
            self.late += verdict.late
            self._latencies.append(verdict.latency)
            for reason in verdict.reasons:
                self._reasons[reason.rule, reason.code] += 1
            minute = self._minute()
            if not self._trend or self._trend[-1][0] != minute:
                self._trend.append([minute, 0, 0])
            self._trend[-1][1 if verdict.ok else 2] += 1

    def counts(self) -> dict[str, Any]:
        """``since``, ``parts``, ``ok``, ``ng``, ``late``, ``yield`` (0 to 1, or ``None``)."""
        with self._lock:
            self._roll()
            parts = self.ok + self.ng
            return {
                "since": self._since.isoformat(timespec="seconds"),
                "parts": parts,
                "ok": self.ok,
                "ng": self.ng,
                "late": self.late,
                "yield": round(self.ok / parts, 4) if parts else None,
            }

    def details(self) -> dict[str, Any]:
        """``reasons`` by how often, ``latency_ms``, and ``trend``.

        The trend is ``[minutes ago, OK, NG]`` for each minute in which a part came, over eight
        hours whatever the shift, and ``minutes`` says how long the station has run.
        """
        with self._lock:
            self._roll()
            now = self._minute()
            reasons, latencies = self._reasons.most_common(10), list(self._latencies)
            trend = [(now - minute, ok, ng) for minute, ok, ng in self._trend]
        return {
            "reasons": [{"rule": r, "code": code, "count": n} for (r, code), n in reasons],
            "latency_ms": percentiles(latencies),
            "minutes": now,
            "trend": [list(each) for each in trend if each[0] < MINUTES],
        }

    def _minute(self) -> int:
        return int((self._monotonic() - self._origin) // 60)

    def _begin(self) -> None:
        self.ok = self.ng = self.late = 0
        self._reasons: Counter[tuple[str, str]] = Counter()
        self._since = self._clock()
        self._plan()

    def _plan(self) -> None:
        """Work out when the shift ends, and note by which clocks."""
        now, self._planned = self._clock(), self._monotonic()
        self._planned_wall = now
        self._end = float("inf")
        if self._starts:
            local = now.astimezone()
            ends = (
                (local + timedelta(days=day)).replace(hour=h, minute=m, second=0, microsecond=0)
                for day in (0, 1)
                for h, m in self._starts
            )
            self._end = self._planned + min(
                (end - local).total_seconds() for end in ends if end > local
            )

    def _roll(self) -> None:
        passed = self._monotonic() - self._planned
        if self._planned + passed >= self._end:
            self._begin()
        elif abs((self._clock() - self._planned_wall).total_seconds() - passed) > JUMP_S:
            self._plan()
