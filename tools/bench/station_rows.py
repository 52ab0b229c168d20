"""A database as a station leaves it after a million parts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge.loop import Line
from edge.records.row import Row, row_of, settings_of
from edge.records.store import Batch, Store
from edge.verdict import Verdict
from tools.bench.station_lab import Kept, StandIn, station_of

__all__ = ["fill"]

TOGETHER = 10_000
"""Rows of a transaction."""

PATTERNS = 20
"""Parts that are really judged, one of them NG; all others are written like one of these."""

LOT = 1000
"""Parts of a lot."""


class _Whole(Kept):
    def __init__(self) -> None:
        super().__init__()
        self.verdicts: list[Verdict] = []

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)


def fill(folder: Path, count: int) -> Iterator[int]:
    """Write ``count`` rows, ``run-c1-0`` and on, in lots of 1000; gives how many there are so far.

    They differ in id, time, number and lot, which is what queries look for.
    """
    kept = _Whole()
    with tempfile.TemporaryDirectory() as name:
        station = station_of(Path(name), 1, 0.0, parts=PATTERNS)
        Line(station, {"print": StandIn(0.0, PATTERNS)}, [kept]).run()
    settings = settings_of(kept.verdicts[0].part.setting)
    patterns = [row_of(verdict, settings, "00" * 16) for verdict in kept.verdicts]
    store = Store(folder / "records.db")
    for start in range(0, count, TOGETHER):
        rows = []
        for number in range(start, min(start + TOGETHER, count)):
            like = patterns[number % PATTERNS]
            columns = {**like.columns, "number": number, "lot": f"L{number // LOT}"}
            rows.append(Row(f"run-c1-{number}", like.at + number * 100, settings, columns))
        store.write(Batch(rows))
        yield start + len(rows)
    store.close()
