"""A hundred thousand rows: parts are found, and a station starts, as if there were few."""

import time
from pathlib import Path

import pytest
from records_lab import SETTING, mixed, part_verdict, table

from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.records.row import Row, row_of, settings_of
from edge.records.store import Batch, Store

ROWS = 100_000


def fill(folder: Path, count: int) -> None:
    """Rows that differ in what queries look for, written as a station does."""
    settings = settings_of(SETTING)
    patterns = [row_of(each, settings, "00" * 16) for each in mixed(3)]
    store = Store(folder / "records.db")
    for start in range(0, count, 10_000):
        rows = []
        for number in range(start, min(start + 10_000, count)):
            like = patterns[number % 3]
            columns = {**like.columns, "number": number, "lot": f"L{number // 1000}"}
            rows.append(Row(f"run-top-{number}", like.at + number * 100, settings, columns))
        store.write(Batch(rows))
    store.close()


def best(work: object, times: int = 5) -> float:
    """The shortest of some runs, seconds: others want the cores too."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()  # type: ignore[operator]
        took.append(time.perf_counter() - start)
    return min(took)


@pytest.mark.slow
def test_many_rows_cost_nothing(tmp_path: Path) -> None:
    fill(tmp_path, ROWS)
    with Records(tmp_path) as records:
        assert records.newest() == ROWS
        assert best(lambda: records.part("run-top-77777")) < 0.01
        assert best(lambda: records.find(Query(lot="L77", verdict="NG"), 20)) < 0.05
        assert best(lambda: records.find(Query(verdict="NG"), 20)) < 0.5
        assert [each["part"] for each in records.find(Query(lot="L77"), 2)] == [77999, 77998]

    def start() -> None:
        output = RecordsOutput(table(tmp_path))
        output.close()

    assert best(start, 2) < 3
    output = RecordsOutput(table(tmp_path))
    verdict = part_verdict(1)
    output.verdict(verdict)
    assert output.recorded(verdict.id, 30)
    output.close()
