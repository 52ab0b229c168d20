"""A whole station at work, measured from the trigger of a part until every output has its verdict.

What an output then takes to tell a machine is told beside it, by output: a gate that waits until
the part has come to it is not slow.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.camera.capture import State
from edge.io.base import Output, Signalled
from edge.station import Station
from edge.verdict import Verdict
from models.errors import CameraError

__all__ = ["Signals", "run_line"]

FLUSH_S = 0.2
"""How much of what was measured is lost if the station dies."""

REMEMBERED = 1000
"""Parts whose signal may still come: no gate is so far off."""

Tell = Callable[[Mapping[str, Any]], None]
Query = tuple[int, int, dict[str, int]]


class Signals:
    """An output that notes when each part has come to the outputs, and when each told of it."""

    name = "bench"
    pictures = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: list[Query] = []
        self._captured: OrderedDict[str, float] = OrderedDict()
        self._told: list[tuple[float, Signalled]] = []
        self.lost = ""
        self.parts = 0

    def verdict(self, verdict: Verdict) -> None:
        """Note when it came here."""
        now, start = time.monotonic(), verdict.part.captured
        stages = {name: int(s * 1e9) for name, s in verdict.outcome.stages.items()}
        stages["publish"] = int((verdict.publish + now - start - verdict.latency) * 1e9)
        with self._lock:
            self.parts += 1
            self._queries.append((int(start * 1e9), int((now - start) * 1e9), stages))
            self._captured[verdict.id] = start
            if len(self._captured) > REMEMBERED:
                self._captured.popitem(last=False)

    def told(self, signalled: Signalled) -> None:
        """Note when an output told a machine, or failed to."""
        with self._lock:
            self._told.append((time.monotonic(), signalled))

    def camera(self, camera: str, state: State, reason: str) -> None:
        """A camera that is lost ends the bench: parts that it misses have no latency."""
        if state == "lost":
            self.lost = f"camera {camera} was lost ({reason})"

    def close(self) -> None:
        """Nothing is kept open."""

    def take(self) -> tuple[list[Query], list[tuple[str, int | None]]]:
        """What came since the last time: parts, and signals with ns since the trigger.

        ``None`` where the signal failed.
        """
        with self._lock:
            queries, self._queries = self._queries, []
            signals: list[tuple[str, int | None]] = []
            waiting = []
            for at, signalled in self._told:
                start = self._captured.get(signalled.part)
                if signalled.error is not None:
                    signals.append((signalled.output, None))
                elif start is None:
                    waiting.append((at, signalled))  # it was quicker than this output
                else:
                    signals.append((signalled.output, int((at - start) * 1e9)))
            self._told = waiting[-REMEMBERED:]
        return queries, signals


def run_line(
    spec: Mapping[str, Any], commands: queue.SimpleQueue[dict[str, Any]], tell: Tell
) -> None:
    """Run the station ``spec["station"]`` once, as ``lineguard run`` does, with all its outputs.

    Raises
    ------
    LineguardError
        As ``lineguard run``; or a camera was lost while it ran.
    """
    from edge.io.wiring import open_outputs
    from edge.loop import Line, open_models
    from edge.station import load_station
    from tools.running import register_line

    begun = time.perf_counter()
    register_line()
    station = load_station(Path(spec["station"]))
    inspectors = open_models(station)
    signals = Signals()
    faults: list[str] = []

    def show(name: str, fault: str | None, *more: object) -> None:
        if fault is not None:
            faults.append(f"{name}: {fault}")

    outputs: list[Output] = [*open_outputs(station, show, signals.told), signals]
    line = Line(station, inspectors, outputs)
    tell({"ready": _facts(station), "open_s": time.perf_counter() - begun, "overhead_ns": 0.0})
    _run(line, signals, commands.get(), tell)
    summary = line.summary()
    tell(
        {
            "line": {name: summary[name] for name in ("parts", "ng", "late", "reasons", "cameras")},
            "faults": sorted(set(faults)),
        }
    )
    if signals.lost:
        raise CameraError(f"{signals.lost}: see that it is plugged in and sends pictures")


def _run(line: Any, signals: Signals, asked: Mapping[str, Any], tell: Tell) -> None:
    failed: list[Exception] = []

    def work() -> None:
        try:
            line.run()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="station")
    thread.start()
    first: float | None = None  # a camera may take its time to open
    while thread.is_alive() and not signals.lost:
        thread.join(FLUSH_S)
        _flush(signals, tell)
        if first is None and signals.parts:
            first = time.monotonic()
        if first is None:
            continue
        lasted = time.monotonic() - first >= asked["seconds"]
        if lasted and signals.parts >= asked["queries"]:
            break
    line.stop()
    thread.join()
    _flush(signals, tell)
    if failed:
        raise failed[0]


def _flush(signals: Signals, tell: Tell) -> None:
    queries, told = signals.take()
    if queries or told:
        tell({"queries": queries, "signals": told})


def _facts(station: Station) -> dict[str, Any]:
    from models.zoo import resolve
    from tools.measure.subjects import files_facts

    used = [
        resolve(str(path))
        for table in station.models.values()
        for key in ("det", "rec", "cls")
        if (path := getattr(table, key, None))
    ]
    threads = max((table.threads for table in station.models.values()), default=1)
    facts = {
        "kind": "line",
        "name": station.station.name,
        "cameras": {each.name: each.source.partition("?")[0] for each in station.cameras},
        "deadline_ms": station.station.deadline_ms,
    }
    if station.active is not None:
        bundle = station.active.name
        facts["bundle"] = {
            "name": bundle.name,
            "version": bundle.version,
            "manifest": bundle.manifest,
        }
    return facts | files_facts(used, threads)
