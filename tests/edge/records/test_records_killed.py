"""kill -9 at random moments: nothing that was told is lost, nothing is invented, all is whole."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from records_lab import ids, part_verdict, table, whole_picture

from edge.records.output import RecordsOutput
from edge.records.query import Query, Records

HERE = Path(__file__).parent
ROUNDS = 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_station_that_is_killed(tmp_path: Path, seed: int) -> None:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), str(HERE.parents[2])])
    done = subprocess.run(
        [sys.executable, HERE / "killed_station.py", tmp_path, str(seed), str(ROUNDS)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    words = [line.split() for line in done.stdout.splitlines()]
    given = [each[1] for each in words if each[0] == "given"]
    told = {each[1] for each in words if each[0] == "recorded"}
    assert len(told) > ROUNDS

    output = RecordsOutput(table(tmp_path))  # which looks after what was cut off
    last = part_verdict(1)
    output.verdict(last)
    output.close()

    kept = ids(tmp_path)
    assert kept.pop() == last.id
    assert told <= set(kept) <= set(given)
    assert len(set(kept)) == len(kept)
    order = {each: number for number, each in enumerate(given)}
    assert [order[each] for each in kept] == sorted(order[each] for each in kept)
    base = sqlite3.connect(tmp_path / "records.db")
    assert base.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    states = dict(base.execute("SELECT evidence_gone, count(*) FROM parts GROUP BY evidence_gone"))
    base.close()
    assert "writing" not in states
    with Records(tmp_path) as records:
        every = records.find(Query(), len(kept) + 1)  # each row can be read as a record
        pictures = {records.picture(each) for each in every} - {None}
    on_disk = {each for each in (tmp_path / "evidence").rglob("*") if each.is_file()}
    assert pictures == on_disk
    assert pictures
    assert all(each is not None and whole_picture(each) for each in pictures)
