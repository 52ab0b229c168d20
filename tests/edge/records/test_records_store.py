"""Rows: what is kept is what was judged, and a file that does not fit is refused."""

import hashlib
import json
import shutil
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_lab import (
    SETTING,
    START,
    Faults,
    ids,
    part_verdict,
    record,
    table,
    write_rows,
)
from verdict_lab import OK, WRONG_LOT

from edge.io.base import Signalled
from edge.judge import Job, Judgement
from edge.records.database import MIGRATIONS, open_reader, open_writer
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.records.row import frame_hash, from_ms, settings_of, to_ms
from edge.records.store import Store
from edge.station import BundleName
from edge.verdict import Outcome
from models.errors import InputError, StorageError
from models.ppocr.geometry import box_quad
from models.results import Defect, Findings, TextLine

FOUND = Outcome(
    Judgement(False, WRONG_LOT.judgement.reasons, {"lot.lot": "L26I1A"}),
    {
        "label": Findings((TextLine("批号 L26I1A", 0.98765, box_quad(1, 2, 30, 12), (0.9,)),)),
        "lid": Findings((), (Defect("scratch", 0.61234, np.array([1.04, 2, 3, 4], np.float32)),)),
        "cap": None,
    },
    {"capture": 0.001, "infer": 0.05},
)


def test_a_record_says_what_the_verdict_said_and_more(tmp_path: Path) -> None:
    verdict = part_verdict(7, FOUND)
    record(tmp_path, [verdict])
    with Records(tmp_path) as records:
        kept = records.part(verdict.id)
        assert kept is not None
        document = records.settings(kept["settings"])
    said = verdict.as_record()
    assert kept["read"]["label"][0].pop("quad") == [[1, 2], [30, 2], [30, 12], [1, 12]]
    assert [reason.pop("values") for reason in kept["reasons"]] == [
        {"read": "L26I1A", "expected": "L2611A"}
    ]
    assert {key: kept[key] for key in said} == said
    assert (kept["seq"], kept["station"], kept["bundle"]) == (1, "pack-line-1", None)
    image = np.full((48, 64, 3), 7, np.uint8)
    assert kept["frame_hash"] == hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
    assert document is not None
    assert next(r for r in document["rules"] if r["name"] == "lot")["min_score"] == 0.6


def test_a_hash_is_of_the_pixels_whatever_their_layout() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, :6] = image
    assert frame_hash(wide[:, :6]) == frame_hash(image)
    changed = image.copy()
    changed[3, 5, 2] ^= 1
    assert frame_hash(changed) != frame_hash(image)


def test_settings_are_kept_once_and_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = SETTING.station
    secret = station.cameras[0].model_copy(update={"source": "rtsp://user:secret@host/x"})
    other = station.rules[0].model_copy(update={"min_score": 0.7})
    changed = SETTING.__class__(
        "run", station.model_copy(update={"cameras": (secret,), "rules": (other,)}), {}
    )
    plain = settings_of(SETTING)
    assert settings_of(SETTING.with_job(Job(lot="other"))) == plain
    assert settings_of(changed) != plain
    assert "secret" not in settings_of(changed).document
    monkeypatch.setattr(SETTING.__class__, "bundle", BundleName("pcb", "1.2.0", "ab" * 32))
    assert settings_of(SETTING).digest != plain.digest
    verdicts = [part_verdict(n, lot=f"L{n}") for n in range(1, 6)]
    record(tmp_path, verdicts)
    with Records(tmp_path) as records:
        kept = records.part(verdicts[4].id)
    assert kept is not None
    assert kept["bundle"] == {"name": "pcb", "version": "1.2.0", "manifest": "ab" * 32}
    base = open_reader(tmp_path / "records.db")
    assert base.execute("SELECT count(*) FROM settings").fetchone()[0] == 1
    base.close()


def test_a_clock_that_is_set_back_a_day_loses_and_reorders_nothing(tmp_path: Path) -> None:
    times = [START, START + timedelta(hours=1), START - timedelta(days=1), START]
    verdicts = [part_verdict(n, time_of=at) for n, at in enumerate(times, 1)]
    record(tmp_path, verdicts)
    assert ids(tmp_path) == [verdict.id for verdict in verdicts]
    early = Query(until=START)
    assert ids(tmp_path, early) == [verdicts[2].id]


def test_a_verdict_given_twice_is_one_row(tmp_path: Path) -> None:
    verdict = part_verdict(1)
    record(tmp_path, [verdict])
    record(tmp_path, [verdict, part_verdict(2)])
    assert ids(tmp_path) == [verdict.id, part_verdict(2).id]


def test_signals_are_kept_with_their_part_and_corrected(tmp_path: Path) -> None:
    output = RecordsOutput(table(tmp_path))
    verdict = part_verdict(1, WRONG_LOT)
    at = START.timestamp()
    output.signalled(Signalled(verdict.id, "plc", "NG", at, None, "no answer"))
    output.verdict(verdict)
    output.signalled(Signalled(verdict.id, "plc", "NG", at, at + 1.5))
    output.signalled(Signalled(verdict.id, "gpio", "NG", at + 0.001))
    output.close()
    with Records(tmp_path) as records:
        first, second = records.signals(verdict.id)
        assert records.signals("other") == []
    assert first == {
        "output": "plc",
        "said": "NG",
        "time": "2026-11-22T08:00:00.000+00:00",
        "acknowledged": "2026-11-22T08:00:01.500+00:00",
        "error": None,
    }
    assert (second["output"], second["acknowledged"]) == ("gpio", None)


def test_queries_combine_and_the_newest_come_first(tmp_path: Path) -> None:
    verdicts = [
        part_verdict(
            n,
            OK if n % 3 else WRONG_LOT,
            lot=f"L{n % 2}",
            time_of=START + timedelta(hours=n),
        )
        for n in range(1, 13)
    ]
    record(tmp_path, verdicts)
    two, five = START + timedelta(hours=2), START + timedelta(hours=5)
    for query, parts in (
        (Query(), list(range(12, 0, -1))),
        (Query(verdict="NG"), [12, 9, 6, 3]),
        (Query(lot="L1", verdict="NG"), [9, 3]),
        (Query(since=two, until=five), [4, 3, 2]),
        (Query(since=two, until=five, verdict="OK", lot="L0"), [4, 2]),
        (Query(reason="mismatch"), [12, 9, 6, 3]),
        (Query(reason="lot:mismatch", until=five), [3]),
        (Query(reason="other:mismatch"), []),
        (Query(reason="late"), []),
        (Query(part=verdicts[4].id), [5]),
        (Query(part=verdicts[4].id, verdict="NG"), []),
    ):
        with Records(tmp_path / "records.db") as records:
            assert [each["part"] for each in records.find(query, 100)] == parts
            assert [each["part"] for each in records.find(query, 2)] == parts[:2]
            numbers = records.sequence(query)
            assert [each["part"] for each in records.read(numbers)] == parts[::-1]


ANY_TEXT = st.text(st.characters(), max_size=30)


@given(lot=ANY_TEXT, other=ANY_TEXT, code=ANY_TEXT)
@settings(max_examples=30, deadline=None)
def test_any_lot_is_found_again_and_is_never_sql(
    tmp_path_factory: pytest.TempPathFactory, lot: str, other: str, code: str
) -> None:
    folder = tmp_path_factory.mktemp("lots")
    write_rows(folder, [part_verdict(1, lot=None), part_verdict(2, lot="'; DROP TABLE parts; --")])
    base = sqlite3.connect(folder / "records.db")
    base.execute("UPDATE parts SET lot = ? WHERE number = 1", (lot,))
    base.commit()
    base.close()
    with Records(folder) as records:
        found = records.find(Query(lot=lot), 10)
        assert [each["lot"] for each in found if each["part"] == 1] == [lot]
        assert len(records.find(Query(lot=other, reason=code, part=other), 10)) == 0
        assert records.newest() == 2
    shutil.rmtree(folder)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc)))
def test_times_lose_nothing_above_a_millisecond(time: datetime) -> None:
    assert timedelta() <= time - from_ms(to_ms(time)) < timedelta(milliseconds=1)


def test_half_characters_and_numbers_gone_mad_do_not_keep_a_part_out(tmp_path: Path) -> None:
    mad = Outcome(
        OK.judgement,
        {"label": Findings((TextLine("\ud800x", float("nan"), box_quad(0, 0, 1, 1)),))},
        {"infer": float("inf")},
    )
    verdict = part_verdict(1, mad)
    record(tmp_path, [verdict])
    with Records(tmp_path) as records:
        kept = records.part(verdict.id)
    assert kept is not None
    assert kept["read"]["label"][0]["text"] == "?x"
    assert kept["read"]["label"][0]["score"] is None
    assert kept["stages_ms"]["infer"] is None
    assert "NaN" not in json.dumps(kept)


def test_what_a_transaction_wrote_is_on_the_disk_when_it_ends(tmp_path: Path) -> None:
    base = open_writer(tmp_path / "records.db")
    assert base.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert base.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    base.close()


def test_two_stations_do_not_share_records(tmp_path: Path) -> None:
    first = Store(tmp_path / "records.db")
    with pytest.raises(StorageError, match="another station writes to it"):
        Store(tmp_path / "records.db")
    first.close()
    Store(tmp_path / "records.db").close()


def test_files_that_are_no_records_are_refused_with_a_mend(tmp_path: Path) -> None:
    other = tmp_path / "other" / "records.db"
    other.parent.mkdir()
    base = sqlite3.connect(other)
    base.execute("CREATE TABLE t (x)")
    base.commit()
    base.close()
    newer = tmp_path / "newer" / "records.db"
    base = open_writer(newer)
    base.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    base.close()
    noise = tmp_path / "noise" / "records.db"
    noise.parent.mkdir()
    noise.write_bytes(b"no database" * 1000)
    for path, words in (
        (other, "is a database of another program: choose another path"),
        (newer, "a newer lineguard wrote it"),
        (noise, "cannot be used .file is not a database.: move it away"),
    ):
        before = path.read_bytes()
        with pytest.raises(StorageError, match=words):
            RecordsOutput(table(path.parent))
        with pytest.raises(InputError, match=words):
            Records(path.parent)
        assert path.read_bytes() == before
    with pytest.raises(InputError, match="no records there: run the station"):
        Records(tmp_path / "nothing")
    with pytest.raises(StorageError, match="cannot be opened"):
        RecordsOutput(table(noise))  # a file where the folder should be


def test_records_of_a_stopped_station_are_read_in_a_folder_that_nobody_may_write(
    tmp_path: Path,
) -> None:
    record(tmp_path, [part_verdict(1)])
    tmp_path.chmod(0o555)
    try:
        assert ids(tmp_path) == [part_verdict(1).id]
    finally:
        tmp_path.chmod(0o755)


def test_a_damaged_page_stops_the_station_with_a_mend(tmp_path: Path) -> None:
    write_rows(tmp_path, [part_verdict(n) for n in range(1, 500)])
    path = tmp_path / "records.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    for _ in range(2):  # and the lock was let go
        with pytest.raises(StorageError, match=r"cannot be used \(.*malformed\): move it away"):
            RecordsOutput(table(tmp_path))


def test_the_file_being_removed_is_noticed(tmp_path: Path) -> None:
    output = RecordsOutput(table(tmp_path), Faults())
    first = part_verdict(1)
    output.verdict(first)
    assert output.recorded(first.id, 30)
    shutil.rmtree(tmp_path)
    second = part_verdict(2)
    output.verdict(second)
    assert not output.recorded(second.id, 30)
    with pytest.raises(StorageError, match="was removed or replaced"):
        output.verdict(part_verdict(3))
    with pytest.raises(StorageError, match="was removed or replaced"):
        output.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(part="x"), "sqlite_autoindex_parts_1 (id=?)"),
        (Query(lot="x"), "COVERING INDEX parts_lot (lot=?)"),
        (Query(lot="x", verdict="NG"), "COVERING INDEX parts_lot (lot=? AND verdict=?)"),
        (Query(lot="x", verdict="NG", since=START), "parts_lot (lot=? AND verdict=? AND at>?)"),
        (Query(verdict="NG"), "COVERING INDEX parts_verdict (verdict=?)"),
        (Query(verdict="NG", until=START), "COVERING INDEX parts_at (at<?)"),
        (Query(since=START, until=START), "COVERING INDEX parts_at (at>? AND at<?)"),
        (Query(reason="lot:mismatch"), "INDEX parts_verdict (verdict=?)"),
        (Query(reason="lot:mismatch", since=START), "INDEX parts_at (at>?)"),
    ],
)
def test_a_query_goes_by_an_index(tmp_path: Path, query: Query, index: str) -> None:
    write_rows(tmp_path, [part_verdict(n) for n in range(1, 50)])
    sql, bound = query.sql()
    base = open_reader(tmp_path / "records.db")
    asked = f"EXPLAIN QUERY PLAN {sql} ORDER BY seq DESC LIMIT 5"
    plan = " ".join(row["detail"] for row in base.execute(asked, bound))
    assert index in plan
    assert "SCAN parts" not in plan
    base.close()


def test_what_the_station_asks_of_itself_goes_by_an_index(tmp_path: Path) -> None:
    write_rows(tmp_path, [part_verdict(n) for n in range(1, 50)])
    base = open_reader(tmp_path / "records.db")
    for sql, index in (
        ("SELECT sum(evidence_bytes) FROM parts WHERE evidence IS NOT NULL", "parts_kept"),
        (
            "SELECT id, at, evidence FROM parts WHERE evidence IS NOT NULL ORDER BY seq",
            "parts_kept",
        ),
        ("SELECT id, at FROM parts WHERE evidence_gone = 'writing'", "parts_writing"),
        ("SELECT max(seq) FROM parts", "SEARCH parts"),
    ):
        plan = " ".join(row["detail"] for row in base.execute(f"EXPLAIN QUERY PLAN {sql}"))
        assert index in plan, plan
    base.close()
