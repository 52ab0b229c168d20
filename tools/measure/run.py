"""Measuring one subject, from opening it to its document."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from models.errors import LineguardError
from tools.measure.analyse import Raw, analyse, cautions
from tools.measure.document import Document, Figure, Moment, Scenario
from tools.measure.machine import Monitor, Second, machine_facts, peak_memory
from tools.measure.session import Interrupted, Worker

__all__ = ["growth", "measure", "moments", "stamp"]

INTERRUPTED = "interrupted"

Progress = Callable[[float, int], None]


def _silent(seconds: float, queries: int) -> None:
    """Nobody watches."""


def stamp() -> dict[str, str]:
    """Which lineguard measured, and when; the one place where a bench looks at the wall clock."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"lineguard": metadata.version("lineguard"), "started": now}


def moments(seconds: Sequence[Second], since: float) -> tuple[Moment, ...]:
    """What the machine did, by seconds since the run began, to the digits that sensors have."""
    return tuple(
        Moment(
            at_s=round(each.at - since, 1),
            others=round(each.others, 3),
            mhz=each.mhz and round(each.mhz),
            celsius=each.celsius and round(each.celsius, 1),
            rss_mb=each.rss_mb,
        )
        for each in seconds
    )


def growth(seconds: Sequence[Second]) -> Figure | None:
    """By how much memory grew from the first to the last second; ``None`` of fewer than three."""
    known = [each.rss_mb for each in seconds if each.rss_mb is not None]
    if len(known) < 3:
        return None
    grown = known[-1] - known[0]
    return Figure(value=grown, low=grown, high=grown, unit="MB")


def measure(
    spec: Mapping[str, Any],
    scenario: Scenario,
    stopping: Callable[[], bool],
    progress: Progress = _silent,
) -> Document:
    """Measure one subject in a child process.

    Parameters
    ----------
    spec
        What: see :func:`tools.measure.subjects.open_subject`, or a station.
    scenario
        How, and for how long.
    stopping
        Asked again and again: whether to stop, with what there is.
    progress
        Told seconds and queries as they pass.

    Returns
    -------
    What is known. If the subject died, hung or was interrupted on the way, ``complete`` is false
    and ``fault`` says why.

    Raises
    ------
    LineguardError
        It cannot be opened, or failed before its first query.
    Interrupted
        ``stopping`` before its first query.
    """
    said = stamp()
    raw, fault = Raw(), ""
    line: dict[str, Any] = {}
    faults: list[str] = []
    figures: dict[str, Figure] = {}
    worker = Worker(spec, stopping)
    try:
        ready = worker.ready()
        begun = time.monotonic()
        with Monitor(lambda: (worker.pid,)) as monitor:
            try:
                told = worker.run(scenario.seconds, scenario.queries, scenario.samples)
                for message in told:
                    raw.queries += message.get("queries", ())
                    for output, took in message.get("signals", ()):
                        raw.signals.setdefault(output, []).append(took)
                    line = message.get("line", line)
                    faults += message.get("faults", ())
                    progress(time.monotonic() - begun, len(raw.queries))
            except Interrupted:
                if not raw.queries:
                    raise
                fault = INTERRUPTED
            except LineguardError as error:
                if not raw.queries:
                    raise
                fault = str(error)
            peak = peak_memory(worker.pid)
        lasted = time.monotonic() - begun
    finally:
        worker.close()
    if not raw.queries:
        raise LineguardError(f"{ready['ready']['name']}: no part came: see what triggers it")
    if not fault and lasted < scenario.seconds:
        fault = f"the cameras ended after {lasted:.0f} of {scenario.seconds:g} s"
    more, missing, samples, notes = analyse(raw, scenario)
    figures = {"open": Figure.once(ready["open_s"] * 1000, "ms"), **more}
    if "p50" in figures and ready["overhead_ns"]:
        share = ready["overhead_ns"] / 1e6 / figures["p50"].value * 100
        figures["overhead"] = Figure.once(share, "%")
    if peak is not None:
        figures["memory.peak"] = Figure(value=peak, low=peak, high=peak, unit="MB")
    if (grown := growth(monitor.seconds)) is not None:
        figures["memory.growth"] = grown
    machine = machine_facts()
    notes += cautions(figures, scenario, monitor.seconds, machine)
    notes += ([monitor.throttled] if monitor.throttled else []) + faults
    return Document(
        kind="run",
        **said,
        scenario=scenario,
        complete=not fault,
        fault=fault,
        what=ready["ready"],
        machine=machine,
        figures=figures,
        missing=missing,
        notes=tuple(notes),
        line=line,
        samples=samples,
        series=moments(monitor.seconds, begun),
    )
