"""Golden parts, challenges and warnings in the records, and the commands that show them."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from challenge_lab import golden_table
from records_lab import START, part_verdict, table
from verdict_lab import WRONG_LOT

from edge.challenge.result import Challenged, Shown
from edge.records.database import MIGRATIONS
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records


def leave(folder: Path) -> Challenged:
    """Two golden parts, their challenge, and a warning that came and went."""
    output = RecordsOutput(table(folder))
    golden = golden_table().parts
    good = replace(part_verdict(1), golden="good one")
    bad = replace(part_verdict(2, WRONG_LOT), golden="bad one")
    for verdict in (good, bad, part_verdict(3)):
        output.verdict(verdict)
    shown = (Shown.of(golden[0], good), Shown.of(golden[1], bad))
    told = Challenged("c1", START, START + timedelta(minutes=1), "Wang Li; --", "passed", shown)
    output.challenged(told)
    output.challenged(told)  # a commit that failed may have reached the disk
    output.warned(START, "top label", "brightness 90, was 100", "亮度 90，学习时为 100")
    output.warned(START + timedelta(hours=1), "top label", None, None)
    output.close()
    return told


def test_they_are_found_again(tmp_path: Path) -> None:
    told = leave(tmp_path)
    with Records(tmp_path) as records:
        parts = records.find(Query(), 10)[::-1]
        assert [part.get("golden") for part in parts] == ["good one", "bad one", None]
        assert [part["evidence"] is not None for part in parts] == [True, True, False]
        (challenge,) = records.challenges(10)
        assert (challenge["by"], challenge["ending"]) == ("Wang Li; --", "passed")
        assert challenge["time"] == START.isoformat(timespec="milliseconds")
        assert challenge["shown"] == [each.as_record() for each in told.shown]
        assert [each["right"] for each in challenge["shown"]] == [True, True]
        assert [(each["name"], each["zh"]) for each in records.warnings(10)] == [
            ("top label", None), ("top label", "亮度 90，学习时为 100")]  # fmt: skip


def test_records_of_yesterday_take_them(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "records.db")
    for statement in MIGRATIONS[0]:
        base.execute(statement)
    base.execute(f"PRAGMA application_id = {0x4C475243}")
    base.execute("PRAGMA user_version = 1")
    base.execute("INSERT INTO settings (digest, station, document) VALUES ('d', 's', '{}')")
    base.execute(
        "INSERT INTO parts (id, at, settings, camera, number, product, verdict, reasons, fields, "
        "read, defects, latency_ms, stages_ms, evidence_gone) VALUES ('old', 0, 1, 'top', 1, '', "
        "'OK', '[]', '{}', '{}', '{}', 1.0, '{}', 'not_wanted')"
    )
    base.commit()
    base.close()
    leave(tmp_path)
    with Records(tmp_path) as records:
        old = records.part("old")
        assert old is not None
        assert "golden" not in old
        assert len(records.find(Query(), 10)) == 4
