"""A whole station beyond inference: signals, a fast line, cameras, viewers, a full database."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edge.display.server import serve
from edge.display.state import DisplayState
from edge.loop import open_models
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.station import Display
from edge.station.records import RecordsTable
from tools.bench.loop import one_of_the_demo
from tools.bench.station_lab import Kept, StandIn, running, station_of
from tools.bench.station_plc import free_port, plc
from tools.bench.station_rows import fill
from tools.bench.station_viewers import viewers

__all__ = ["Progress", "station_figures"]

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
"""Goes through things, and shows how far it is under that name."""

INFER_S = 0.010
"""What the stand-in takes for a part."""

WARM = 20
"""Parts that are not counted: caches and connections are made during them."""

SIGNALLED, SIGNAL_RATE = 1000, 10.0

RATE = 30.0

MANY, SETTLED_S = 4, 60.0
"""Cameras beside one; seconds after which memory is watched."""

ROUNDS, ROUND_S = 3, 40.0
"""Of each side of a comparison, turn about."""

VIEWERS, VIEWED_RATE = 10, 8.0

ROWS = 1_000_000

PLC = '[[outputs]]\nkind = "modbus"\naddress = "{address}"\n'
RECORDS = '[records]\npath = "records"\n'


def station_figures(progress: Progress, minutes: float) -> dict[str, Any]:
    """All of them; ``minutes`` is how long the fast line runs."""
    return {
        "signals": _signals(progress),
        "rate": _rate(progress, minutes),
        "cameras": _cameras(progress),
        "viewers": _viewed(progress),
        "records": _records(progress),
    }


def _percentiles(seconds: Iterable[float]) -> dict[str, float]:
    ms = np.array(list(seconds)) * 1000
    p50, p99 = np.percentile(ms, [50, 99])
    return {"p50": round(p50, 2), "p99": round(p99, 2), "max": round(float(ms.max()), 2)}


def _signals(progress: Progress) -> dict[str, Any]:
    """Trigger until the PLC has the result, without the time of inference."""
    kept = Kept()
    with tempfile.TemporaryDirectory() as folder, plc() as machine:
        more = PLC.format(address=machine.address) + RECORDS
        station = station_of(Path(folder), 1, SIGNAL_RATE, parts=SIGNALLED + WARM, more=more)
        with running(station, {"print": StandIn(INFER_S)}, [kept]):
            for _ in progress(range(SIGNALLED), "signals"):
                time.sleep(1 / SIGNAL_RATE)
            _until(lambda: len(kept) == SIGNALLED + WARM)
            _until(lambda: len(machine.taken()) == SIGNALLED + WARM)
        arrived = {number: at for _, number, at in machine.taken()}
    signals = [
        arrived[number] - captured - infer
        for number, captured, infer in zip(kept.numbers, kept.captured, kept.infer, strict=True)
    ][WARM:]
    return {
        "parts": len(signals),
        "signal_ms": _percentiles(signals),
        "verdict_ms": _percentiles(_beyond(kept)),
    }


def _beyond(kept: Kept) -> list[float]:
    """From the trigger to the verdict without inference, seconds, of each part once warm."""
    return [a - b for a, b in zip(kept.latency, kept.infer, strict=True)][WARM:]


def _rate(progress: Progress, minutes: float) -> dict[str, Any]:
    """A fast line for a long time: what is lost, out of order, or piles up."""
    seconds, kept, process = minutes * 60, Kept(), psutil.Process()
    parts = round(seconds * RATE)
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder, plc() as machine:
        more = PLC.format(address=machine.address) + RECORDS
        station = station_of(Path(folder), 1, RATE, parts=parts, more=more)
        with running(station, {"print": StandIn(INFER_S)}, [kept]):
            for _ in progress(range(round(seconds)), "rate"):
                time.sleep(1)
                memory.append(process.memory_info().rss / 1e6)
            _until(lambda: len(kept) == parts)
            _until(lambda: len(machine.taken()) == parts)
        told = [number for _, number, _ in machine.taken()]
        with Records(Path(folder) / "records") as records:
            rows = records.newest()
    wanted = list(range(1, parts + 1))
    settled = memory[min(len(memory) - 1, round(SETTLED_S)) :]
    return {
        "parts": parts,
        "minutes": minutes,
        "in_order": list(kept.numbers) == wanted and told == wanted,
        "signals": len(told),
        "rows": rows,
        "rejected_by_machine": kept.rejected_by_machine,
        "beyond_ms": _percentiles(_beyond(kept)),
        "first_mb": round(settled[0], 1),
        "last_mb": round(settled[-1], 1),
        "max_mb": round(max(settled), 1),
        "growth_percent": round((settled[-1] / settled[0] - 1) * 100, 2),
    }


def _cameras(progress: Progress) -> dict[str, Any]:
    """Processor time of a part, with one camera and with several, turn about."""
    process = psutil.Process()
    cost: dict[int, list[float]] = {1: [], MANY: []}
    for _ in progress(range(ROUNDS), "cameras"):
        for count, costs in cost.items():
            kept = Kept()
            with tempfile.TemporaryDirectory() as folder:
                station = station_of(Path(folder), count, 8.0, more=RECORDS)
                with running(station, {"print": StandIn(INFER_S)}, [kept]):
                    time.sleep(2)
                    before, parts = sum(process.cpu_times()[:2]), len(kept)
                    time.sleep(ROUND_S / 2)
                    spent = sum(process.cpu_times()[:2]) - before
                    costs.append(spent / (len(kept) - parts))
    one, many = (statistics.median(cost[count]) * 1000 for count in (1, MANY))
    return {
        "cameras": MANY,
        "one_ms": round(one, 2),
        "many_ms": round(many, 2),
        "percent": round((many / one - 1) * 100, 1),
    }


def _viewed(progress: Progress) -> dict[str, Any]:
    """Inference of a real model with and without people who watch, turn about."""
    times: dict[int, list[float]] = {0: [], VIEWERS: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = Display(port=free_port(), token_file=str(folder / "token"))
        station = one_of_the_demo("marker", VIEWED_RATE).model_copy(update={"display": table})
        state, kept = DisplayState(station), Kept()
        with (
            running(station, open_models(station), [state, kept]) as line,
            serve(state, line, table) as serving,
        ):
            time.sleep(3)
            for _ in progress(range(ROUNDS), "viewers"):
                for count, found in times.items():
                    with viewers(serving.address, count):
                        time.sleep(1)
                        start = len(kept)
                        time.sleep(ROUND_S)
                        found += kept.infer[start:]
    none, some = (_percentiles(times[count]) for count in (0, VIEWERS))
    return {
        "viewers": VIEWERS,
        "parts": min(map(len, times.values())),
        "without_ms": none,
        "with_ms": some,
        "p99_percent": round((some["p99"] / none["p99"] - 1) * 100, 1),
    }


def _records(progress: Progress) -> dict[str, Any]:
    """A million rows: one part is found, a station starts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in progress(fill(folder, ROWS), "records"):
            pass
        with Records(folder) as records:
            one = _fastest(lambda: records.part("run-c1-777777"))
            lot = _fastest(lambda: records.find(Query(lot="L777", verdict="NG"), 20))
        starts = []
        for _ in range(5):
            begin = time.perf_counter()
            output = RecordsOutput(RecordsTable(path=str(folder)))
            starts.append(time.perf_counter() - begin)
            output.close()
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return {
        "rows": ROWS,
        "megabytes": round(size / 1e6),
        "part_ms": round(one * 1000, 2),
        "lot_ms": round(lot * 1000, 2),
        "start_ms": round(max(starts) * 1000),
    }


def _fastest(work: Callable[[], object]) -> float:
    """Seconds: the median of 51."""
    took = []
    for _ in range(51):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return statistics.median(took)


def _until(done: Callable[[], bool], patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while not done():
        if time.monotonic() > end:
            sys.exit("bench: parts are missing after 30 seconds: is something else running?")
        time.sleep(0.05)
