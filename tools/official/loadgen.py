"""Our percentiles and early stopping against MLPerf's LoadGen, by hand.

LoadGen measures for itself, so it is given something to measure: queries that wait for a moment. It
writes down each latency and what it makes of them all; ours must make the same of the same
latencies. It is not in our lock files::

    python -m venv official
    official/bin/python -m pip install mlcommons-loadgen==6.0.17 numpy
    official/bin/python -m tools.official.loadgen --out tests/data/loadgen.json

Exit code 1 if a figure differs by a nanosecond.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.atomic import write_atomic
from tools.measure.stats import early_stopping, percentile, queries_needed

__all__ = ["main", "ours", "theirs"]

QUERIES = {"SingleStream": (63, 64, 700, 1500), "MultiStream": (661, 662, 900)}
"""Around the fewest that early stopping takes, and some more."""

PER_QUERY = 8
"""Samples of a query of MultiStream."""

_EARLY = re.compile(r"Early stopping (\d+\.\d+)th percentile estimate: (\d+)")
_LEAST = re.compile(r"Processed at least (\d+) queries")
_FIGURE = re.compile(r"^(\d+\.\d+) percentile latency \(ns\) +: (\d+)", re.MULTILINE)
_NEEDED = re.compile(r"Need to process at least (\d+)")
_SAMPLE = re.compile(r'"query_seq":(\d+),.*"complete_ns":(\d+)')


def ours(latencies: list[int], asked: dict[str, Any]) -> dict[str, Any]:
    """What we make of latencies in ns, in the form of what LoadGen said of them."""
    ordered = np.sort(np.array(latencies, np.float64))
    early = {p: early_stopping(ordered, float(p)) for p in asked["early"]}
    return {
        "percentiles": {p: int(percentile(ordered, float(p))) for p in asked["percentiles"]},
        "early": {p: None if each is None else int(each.value) for p, each in early.items()},
        "needed": {p: queries_needed(float(p)) for p in asked["needed"]},
    }


def theirs(scenario: str, count: int) -> tuple[list[int], dict[str, Any]]:
    """Have LoadGen measure ``count`` queries: each latency in ns, and what it says of them."""
    import mlperf_loadgen as lg  # type: ignore[import-not-found, unused-ignore]

    rng = random.Random(count)  # noqa: S311 - how long queries take is no secret

    def issue(samples: list[Any]) -> None:
        time.sleep(0.0005 * rng.lognormvariate(0, 0.5))
        lg.QuerySamplesComplete([lg.QuerySampleResponse(each.id, 0, 0) for each in samples])

    settings = lg.TestSettings()
    settings.scenario = getattr(lg.TestScenario, scenario)
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_query_count = settings.max_query_count = count
    settings.min_duration_ms = 0
    settings.multi_stream_samples_per_query = PER_QUERY
    system = lg.ConstructSUT(issue, lambda: None)
    library = lg.ConstructQSL(64, 64, lambda samples: None, lambda samples: None)
    with tempfile.TemporaryDirectory() as folder:
        logs = lg.LogSettings()
        logs.log_output = lg.LogOutputSettings()
        logs.log_output.outdir = folder
        logs.enable_trace = True
        lg.StartTestWithLogSettings(system, library, settings, logs)
        summary = Path(folder, "mlperf_log_summary.txt").read_text()
        trace = Path(folder, "mlperf_log_trace.json").read_text()
    lg.DestroyQSL(library)
    lg.DestroySUT(system)
    last: dict[int, int] = {}
    for query, took in _SAMPLE.findall(trace):  # a query is answered when all its samples are
        last[int(query)] = max(last.get(int(query), 0), int(took))
    return list(last.values()), _read(scenario, summary)


def _read(scenario: str, summary: str) -> dict[str, Any]:
    stated = "0.9" if scenario == "SingleStream" else "0.99"
    early = {f"{float(p) / 100:g}": int(ns) for p, ns in _EARLY.findall(summary)}
    (fewest,) = _NEEDED.findall(summary) + _LEAST.findall(summary)
    percentiles = {f"{float(p) / 100:g}": int(ns) for p, ns in _FIGURE.findall(summary)}
    return {
        "percentiles": percentiles,
        "early": {stated: None, **early},
        "needed": {stated: int(fewest)},
    }


def main() -> int:
    """Compare, and write down the latencies and LoadGen's figures; gives the exit code."""
    parser = argparse.ArgumentParser(description="Compare our percentiles with LoadGen's.")
    parser.add_argument("--out", type=Path, required=True, help="JSON of both")
    out = parser.parse_args().out
    runs, same = [], True
    for scenario, counts in QUERIES.items():
        for count in counts:
            latencies, said = theirs(scenario, count)
            fits = len(latencies) == count and ours(latencies, said) == said
            same = same and fits
            print(f"{scenario} {count}: {'the same' if fits else 'DIFFERS'}: {said}")
            runs.append({"scenario": scenario, "latencies_ns": latencies, "loadgen": said})
    write_atomic(out, (json.dumps(runs) + "\n").encode())
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
