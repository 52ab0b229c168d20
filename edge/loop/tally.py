"""What a run came to: counts and latencies, in bounded memory."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

import numpy as np

from edge.verdict import Verdict

__all__ = ["Tally", "percentiles"]

KEPT = 10_000
"""Newest latencies that percentiles are taken from: a p99.9 still rests on ten parts."""


def percentiles(seconds: list[float]) -> dict[str, float]:
    """p50, p90, p99 and the maximum, in milliseconds; empty if there is nothing."""
    if not seconds:
        return {}
    ms = np.array(seconds) * 1000
    found = {f"p{q}": round(float(np.percentile(ms, q)), 2) for q in (50, 90, 99)}
    return found | {"max": round(float(ms.max()), 2)}


class Tally:
    """Counts verdicts; safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latencies: deque[float] = deque(maxlen=KEPT)
        self._reasons: Counter[str] = Counter()
        self.parts = self.ok = self.ng = self.late = self.golden = 0

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        with self._lock:
            if verdict.golden is not None:
                self.golden += 1
                return
            self.parts += 1
            self.ok += verdict.ok
            self.ng += not verdict.ok
            self.late += verdict.late
            self._latencies.append(verdict.latency)
            self._reasons.update(f"{r.rule}:{r.code}".lstrip(":") for r in verdict.reasons)

    def summary(self) -> dict[str, Any]:
        """``parts``, ``ok``, ``ng``, ``late``, ``reasons`` by how often, ``latency_ms``.

        ``golden`` if golden parts were shown; they count in nothing else.
        """
        with self._lock:
            golden = {"golden": self.golden} if self.golden else {}
            return golden | {
                "parts": self.parts,
                "ok": self.ok,
                "ng": self.ng,
                "late": self.late,
                "reasons": dict(self._reasons.most_common()),
                "latency_ms": percentiles(list(self._latencies)),
            }
