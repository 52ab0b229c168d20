"""From what was measured to the figures that may be stated of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tools.measure.document import Figure, Samples, Scenario
from tools.measure.machine import Second
from tools.measure.stats import (
    early_stopping,
    jitter_interval,
    percentile_intervals,
    queries_needed,
    throughput_interval,
)
from tools.measure.steady import drift, find_steady

__all__ = ["PERCENTILES", "Raw", "analyse", "cautions", "named_percentiles"]

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}

MLPERF_S = 600.0
"""Least length of a run by MLPerf Inference's rules."""

LOADED, DRIFTED, COSTLY, SLOWED = 0.05, 0.05, 0.5, 0.9
"""From where something is said of: the share that other processes took, the change from the first
to the last minute, the percentage that measuring takes, and the share of the highest clock."""

Floats = NDArray[np.float64]


@dataclass
class Raw:
    """What was told while measuring.

    Attributes
    ----------
    queries
        When each began and how long it took, ns, and ns by stage.
    signals
        Output -> ns from trigger to signal; ``None`` for one that failed.
    """

    queries: list[tuple[int, int, Mapping[str, int]]] = field(default_factory=list)
    signals: dict[str, list[int | None]] = field(default_factory=dict)


def named_percentiles(took: Floats) -> tuple[dict[str, Figure], dict[str, str]]:
    """Percentiles that so many latencies let be stated, in ms, and why the others are not.

    ``took`` is ``(N,) float64`` ms in the order of time.
    """
    missing = {
        name: f"takes {queries_needed(p):,} steady queries, there are {len(took):,}"
        for name, p in PERCENTILES.items()
        if len(took) < queries_needed(p)
    }
    stated = {name: p for name, p in PERCENTILES.items() if name not in missing}
    if not stated:
        return {}, missing
    ordered = np.sort(took)
    figures = {}
    intervals = percentile_intervals(took, list(stated.values()))
    for (name, p), interval in zip(stated.items(), intervals, strict=True):
        early = early_stopping(ordered, p)
        figures[name] = Figure.of(interval, "ms", None if early is None else early.value)
    figures["max"] = Figure.once(float(ordered[-1]), "ms", intervals[0].half)
    return figures, missing


def analyse(
    raw: Raw, scenario: Scenario
) -> tuple[dict[str, Figure], dict[str, str], Samples, list[str]]:
    """Figures, those that are missing and why, samples, and notes.

    At least one query.
    """
    starts = np.array([each[0] for each in raw.queries], np.float64) / 1e9
    order = np.argsort(starts, kind="stable")  # cameras of a station take turns
    starts = starts[order] - starts.min()
    took = np.array([each[1] for each in raw.queries], np.float64)[order] / 1e6
    notes = []
    found = find_steady(took[1:])  # the first is never steady
    begin = found.start + 1 if len(took) > 1 else 0
    if not found.found:
        notes.append("no steady state was found: figures are of all queries but the first")
    steady, at = took[begin:], starts[begin:]
    figures: dict[str, Figure] = {"first": Figure.once(float(took[0]), "ms")}
    stated, missing = named_percentiles(steady)
    figures |= stated
    if len(steady) >= queries_needed(0.5):
        if scenario.name == "Line":
            rate = (len(at) - 1) / max(float(at[-1] - at[0]), 1e-9)
            figures["rate"] = Figure.once(rate, "/s", rate / 1000)
        else:
            interval = throughput_interval(at, steady / 1e3, scenario.samples)
            figures["throughput"] = Figure.of(interval, "/s")
        figures["jitter"] = Figure.of(jitter_interval(steady), "ms")
        drifted = drift(at, steady / 1e3)
        if drifted is not None:
            figures["drift"] = Figure.of(drifted[0])
            if drifted[0].low > 1 + DRIFTED or drifted[0].high < 1 - DRIFTED:
                change = (drifted[0].value - 1) * 100
                notes.append(
                    f"the last {drifted[1]:.0f} s took {change:+.0f}% of the first: it drifts"
                )
        figures |= _stages([raw.queries[i][2] for i in order[begin:]])
    for output, signals in raw.signals.items():
        told = np.array([each for each in signals if each is not None], np.float64) / 1e6
        per = named_percentiles(told)[0]
        figures |= {f"signal.{output}.{name}": each for name, each in per.items()}
        if len(told) < len(signals):
            notes.append(f"{output}: {len(signals) - len(told)} of {len(signals)} signals failed")
    samples = Samples(
        start_us=tuple((starts * 1e6).round().astype(int).tolist()),
        took_ns=tuple((took * 1e6).round().astype(int).tolist()),
        steady=begin,
    )
    return figures, missing, samples, notes


def _stages(queries: Sequence[Mapping[str, int]]) -> dict[str, Figure]:
    names = dict.fromkeys(name for query in queries for name in query)
    figures = {}
    for name in names:
        ms = np.array([query.get(name, 0) for query in queries], np.float64) / 1e6
        figures[f"stage.{name}"] = Figure.of(percentile_intervals(ms, [0.5])[0], "ms")
    return figures


def cautions(
    figures: Mapping[str, Figure],
    scenario: Scenario,
    seconds: Sequence[Second],
    machine: Mapping[str, object],
) -> list[str]:
    """What a reader must know of the machine before he believes the figures."""
    notes = []
    if seconds:
        others = float(np.mean([each.others for each in seconds]))
        if others > LOADED:
            most = max(each.others for each in seconds)
            notes.append(
                f"others took {others:.0%} of the processors (up to {most:.0%} in a second): "
                "figures are of a loaded machine"
            )
        clocks = [each.mhz for each in seconds if each.mhz is not None]
        highest = machine.get("max_mhz")
        if clocks and isinstance(highest, float) and np.mean(clocks) < SLOWED * highest:
            notes.append(f"processors ran at {np.mean(clocks):.0f} of {highest:.0f} MHz")
    else:
        notes.append("too short to see what else the machine did")
    governor = machine.get("governor")
    if isinstance(governor, list) and governor != ["performance"]:
        notes.append(f"governor {', '.join(map(str, governor))}: the clock follows the load")
    if machine.get("emulator"):
        notes.append(
            f"{machine['emulator']} may emulate this processor, and then seconds are not those of "
            "a box: `lineguard bench instructions` counts what can be compared"
        )
    overhead = figures.get("overhead")
    if overhead is not None and overhead.value > COSTLY:
        notes.append(f"measuring takes {overhead.value:g}% of a query")
    if scenario.name != "Line" and scenario.seconds < MLPERF_S:
        notes.append(f"shorter than the {MLPERF_S:.0f} s of MLPerf's rules")
    return notes
