"""What is counted as it happens: verdicts, how long everything took, and what machines answered.

It costs the line nothing: an output counts, in its own thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from edge.io.base import Signalled
from edge.judge import TEMPLATES
from edge.verdict import Verdict

__all__ = ["BUCKETS", "Counts"]

T = TypeVar("T")

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0)
"""Seconds: stages of a fast model take 5 ms, and deadlines end near one second."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for

REMEMBERED = 4096
"""Parts whose signal may still come: as many as wait for a machine. Later ones are not timed."""


class Counts:
    """Counters and histograms; safe from several threads.

    Labels are cameras and outputs of the station file, and codes and stages of ours: what is
    printed on parts never becomes a series.

    Parameters
    ----------
    registry
        Where they are collected from.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verdicts = Counter(
            "lineguard_verdicts",
            "Parts; code is the first reason, empty for OK.",
            ["camera", "verdict", "code"],
            registry=registry,
        )
        self._latency = Histogram(
            "lineguard_latency_seconds",
            "Trigger to verdict.",
            ["camera"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._stages = Histogram(
            "lineguard_stage_seconds",
            "Each stage of an inspection.",
            ["camera", "stage"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._signals = Counter(
            "lineguard_signals",
            "What machines were told; result is sent, acknowledged or failed.",
            ["output", "result"],
            registry=registry,
        )
        self._signal = Histogram(
            "lineguard_signal_seconds",
            "Trigger to the sending of a signal that got through.",
            ["output"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._lock = threading.Lock()
        self._captured: dict[str, float] = {}
        self._early: dict[str, list[tuple[str, float]]] = {}
        """Signals of parts whose verdict has not come here yet: outputs do not wait for us."""

    def verdict(self, verdict: Verdict) -> None:
        """Count one; golden parts are none of the production."""
        if verdict.golden is not None:
            return
        camera, part = verdict.part.camera, verdict.id
        code = "" if verdict.ok or not verdict.reasons else verdict.reasons[0].code
        if code and code not in TEMPLATES:
            code = "other"
        self._verdicts.labels(camera, "OK" if verdict.ok else "NG", code).inc()
        self._latency.labels(camera).observe(verdict.latency)
        stages: Mapping[str, float] = {**verdict.outcome.stages, "publish": verdict.publish}
        for stage, seconds in stages.items():
            self._stages.labels(camera, stage).observe(seconds)
        captured = verdict.part.captured
        with self._lock:
            _keep(self._captured, part, captured)
            early = self._early.pop(part, [])
        for output, sent in early:
            self._signal.labels(output).observe(max(0.0, sent - captured))

    def signalled(self, told: Signalled) -> None:
        """Count what an output told a machine; any thread."""
        if told.error is not None:
            self._signals.labels(told.output, "failed").inc()
            return
        self._signals.labels(told.output, "acknowledged" if told.acknowledged else "sent").inc()
        # The wall clock is asked for the little since the sending alone: it may jump.
        sent = time.monotonic() - max(0.0, time.time() - told.at)
        with self._lock:
            captured = self._captured.get(told.part)
            if captured is None:
                early = [*self._early.get(told.part, []), (told.output, sent)]
                _keep(self._early, told.part, early)
        if captured is not None:
            self._signal.labels(told.output).observe(max(0.0, sent - captured))


def _keep(parts: dict[str, T], part: str, value: T) -> None:
    parts[part] = value
    while len(parts) > REMEMBERED:
        del parts[next(iter(parts))]
