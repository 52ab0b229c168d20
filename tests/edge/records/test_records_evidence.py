"""Pictures: which are kept, within which bounds, and that rows outlive them."""

import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records_lab import (
    START,
    Faults,
    ids,
    mixed,
    part_verdict,
    record,
    table,
    until,
    whole_picture,
    without_frame,
)
from verdict_lab import OK, WRONG_LOT

import edge.records.output
import edge.records.writer
from edge.records.evidence import Evidence, Policy, evidence_name
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.verdict import Verdict
from models.errors import InputError, StorageError


def gone(folder: Path) -> list[str | None]:
    with Records(folder) as records:
        return [each["evidence_gone"] for each in records.find(Query(), 500)[::-1]]


def test_every_ng_part_and_one_ok_part_in_so_many_leave_a_picture(tmp_path: Path) -> None:
    verdicts = mixed(9)
    record(tmp_path, verdicts, ok_every=3)
    with Records(tmp_path) as records:
        kept = records.find(Query(), 20)
        pictures = {each["part"]: records.picture(each) for each in kept if each["evidence"]}
    assert sorted(pictures) == [1, 3, 5, 6, 9]  # of the OK parts 1 2 4 5 7 8 the first and fourth
    for number, path in pictures.items():
        assert path is not None
        assert path.relative_to(tmp_path).parts[:2] == ("evidence", "2026-11-22")
        image = cv2.imread(str(path))
        assert image is not None
        assert abs(int(image.mean()) - number) <= 1
    assert gone(tmp_path)[1] == "not_wanted"


@pytest.mark.parametrize(("every", "kept"), [(0, ""), (1, "12345"), (2, "135"), (7, "1")])
def test_the_policy_counts_each_camera_for_itself(every: int, kept: str) -> None:
    policy = Policy("ng", every)
    for camera in ("top", "side"):
        wanted = [n for n in range(1, 6) if policy.wants(part_verdict(n, camera=camera))]
        assert "".join(map(str, wanted)) == kept
    assert not Policy("none", 0).wants(part_verdict(1, WRONG_LOT))


def test_quality_is_the_size_of_the_file(tmp_path: Path) -> None:
    sizes = []
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    for quality in (50, 100):
        verdict = part_verdict(1, WRONG_LOT)
        assert verdict.part.frame is not None
        verdict.part.frame.image[:] = noise
        record(tmp_path / str(quality), [verdict], quality=quality)
        sizes.append(next((tmp_path / str(quality)).rglob("*.jpg")).stat().st_size)
    assert sizes[1] > 2 * sizes[0]


def test_parts_without_a_picture_say_so(tmp_path: Path) -> None:
    record(tmp_path, [without_frame(part_verdict(1, WRONG_LOT))])
    assert gone(tmp_path) == ["no_picture"]


def test_a_box_that_is_too_busy_keeps_rows_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.records.output, "BEHIND_S", -1.0)
    record(tmp_path, mixed(4))
    assert gone(tmp_path) == ["busy"] * 4
    monkeypatch.undo()
    monkeypatch.setattr(edge.records.writer, "MAX_PICTURE_BYTES", 100)
    record(tmp_path / "2", [part_verdict(1, WRONG_LOT)])
    assert gone(tmp_path / "2") == ["busy"]


def test_the_oldest_pictures_make_room_and_their_rows_stay(tmp_path: Path) -> None:
    """By sequence: the clock of the last third was set back a day."""
    output = RecordsOutput(table(tmp_path))
    evidence = output._writer._evidence
    for number in range(1, 31):
        at = START - timedelta(days=1) if number > 20 else START
        output.verdict(part_verdict(number, WRONG_LOT, time_of=at))
        if number == 1:
            until(lambda: evidence.used > 0)
            evidence._max_bytes = int(evidence.used * 10.5)
    output.close()
    assert gone(tmp_path) == ["removed"] * 20 + [None] * 10
    assert len(ids(tmp_path)) == 30
    with Records(tmp_path) as records:
        named = {records.picture(each) for each in records.find(Query(), 10)}
    assert named == set((tmp_path / "evidence").rglob("*.jpg"))
    assert not (tmp_path / "evidence" / "2026-11-22").exists()
    again = RecordsOutput(table(tmp_path))
    assert again._writer._evidence.used == sum(path.stat().st_size for path in named if path)
    again.close()


def test_a_full_disk_costs_pictures_first(tmp_path: Path) -> None:
    faults = Faults()
    output = RecordsOutput(table(tmp_path), faults)
    evidence = output._writer._evidence
    for number in range(1, 6):
        output.verdict(part_verdict(number, WRONG_LOT))
    until(lambda: len(list((tmp_path / "evidence").rglob("*.jpg"))) == 5)
    reserve, evidence.reserve = evidence.reserve, 2**62  # the disk has not that much left
    for number in range(6, 9):
        verdict = part_verdict(number, WRONG_LOT)
        output.verdict(verdict)
        assert output.recorded(verdict.id, 30)
    until(lambda: output._writer._picture_bytes == 0)
    assert faults.now["evidence"] is not None
    assert not list((tmp_path / "evidence").rglob("*.jpg"))
    evidence.reserve = reserve
    output.verdict(part_verdict(9, WRONG_LOT))
    output.close()
    assert gone(tmp_path) == ["removed"] * 5 + ["no_room"] * 3 + [None]
    (_, said), (_, over) = faults.told  # once each
    assert said is not None
    assert said.endswith("no room for pictures: free some space on the disk, or raise max_mb")
    assert over is None


def test_a_folder_that_takes_no_pictures_costs_no_rows(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("in the way")
    faults = Faults()
    output = RecordsOutput(table(tmp_path), faults)
    for verdict in mixed(6):
        output.verdict(verdict)
    output.close()
    assert gone(tmp_path) == ["not_wanted", "not_wanted", "failed"] * 2
    assert [what for what, _ in faults.told] == ["evidence"]


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "evidence", 10**6, 0)
    (tmp_path / "secret").write_text("x")
    for name in ("../secret", "/etc/hostname", "a/../../secret"):
        with pytest.raises(InputError, match="the records were altered"):
            evidence.path(name)
        evidence.remove(name, 0)
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "out").symlink_to(tmp_path)
    with pytest.raises(InputError):
        evidence.path("out/secret")
    assert (tmp_path / "secret").exists()


@given(st.text(max_size=20))
def test_an_id_is_a_plain_name_or_refused(part: str) -> None:
    try:
        name = evidence_name(part, START)
    except InputError:
        assert not part or not all(char.isalnum() or char in "_-" for char in part)
        return
    assert name == f"2026-11-22/{part}.jpg"
    assert "/" not in part
    assert not part.startswith(".")


def test_a_picture_on_its_way_when_the_power_went_is_kept_if_whole(tmp_path: Path) -> None:
    verdicts: list[Verdict] = [part_verdict(n, WRONG_LOT) for n in (1, 2)]
    record(tmp_path, verdicts)
    first, second = sorted((tmp_path / "evidence").rglob("*.jpg"))
    second.rename(second.with_name(f".{second.name}.x8"))
    base = sqlite3.connect(tmp_path / "records.db")
    base.execute("UPDATE parts SET evidence = NULL, evidence_bytes = 0, evidence_gone = 'writing'")
    base.commit()
    base.close()
    record(tmp_path, [])
    assert gone(tmp_path) == [None, "lost"]
    assert list((tmp_path / "evidence").rglob("*.*")) == [first]
    assert whole_picture(first)


def test_pictures_that_somebody_deleted_stop_nothing(tmp_path: Path) -> None:
    record(tmp_path, mixed(6))
    shutil.rmtree(tmp_path / "evidence")
    output = RecordsOutput(table(tmp_path), faults := Faults())
    output._writer._evidence._max_bytes = 1  # so that all must go
    for verdict in mixed(12)[6:]:
        output.verdict(verdict)
    output.close()
    assert gone(tmp_path)[2] == "removed"
    assert gone(tmp_path)[-1] == "no_room"
    assert set(faults.now) == {"evidence"}


def full(output: RecordsOutput, pages: int) -> None:
    """Give SQLite a disk of so many pages."""
    output._writer._store._base.execute(f"PRAGMA max_page_count = {pages}")


def test_rows_wait_for_a_full_disk_and_none_is_lost(tmp_path: Path) -> None:
    faults = Faults()
    output = RecordsOutput(table(tmp_path), faults)
    verdicts = mixed(400)
    full(output, 1)  # which is less than it has: not one page more
    for verdict in verdicts[:200]:
        output.verdict(verdict)
    until(lambda: faults.now.get("records") is not None)
    known = [each.id for each in verdicts[:200] if output.recorded(each.id, 0)]
    assert len(known) < 200
    full(output, 2**30)
    assert output.recorded(verdicts[199].id, 30)
    for verdict in verdicts[200:]:
        output.verdict(verdict)
    output.close()
    assert ids(tmp_path) == [verdict.id for verdict in verdicts]
    assert "no_room" in gone(tmp_path)
    rows = [fault for what, fault in faults.told if what == "records"]
    assert len(rows) == 2
    assert rows[0] is not None
    assert "verdicts cannot be recorded (database or disk is full): free some space" in rows[0]
    assert rows[1] is None


def test_a_disk_that_stays_full_stops_the_station(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.records.writer, "CLOSE_S", 0.2)
    monkeypatch.setattr(edge.records.writer, "RETRY_S", 0.05)
    output = RecordsOutput(table(tmp_path), Faults())
    output._writer._max_waiting = 300
    full(output, 1)
    verdicts = mixed(2000)
    given: list[str] = []

    def give_all() -> None:
        for verdict in verdicts:
            given.append(verdict.id)
            output.verdict(verdict)

    with pytest.raises(StorageError, match=r"full.*verdicts are not recorded"):
        give_all()
    assert len(given) >= 301
    with pytest.raises(StorageError, match=r"full.*verdicts are not recorded"):
        output.close()
    kept = ids(tmp_path)
    assert kept == given[: len(kept)]


def test_recorded_tells_the_truth_and_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    output = RecordsOutput(table(tmp_path))
    assert not output.recorded("nobody", 0.05)
    verdict = part_verdict(1, OK)
    output.verdict(verdict)
    assert output.recorded(verdict.id)
    base = sqlite3.connect(tmp_path / "records.db")
    assert base.execute("SELECT count(*) FROM parts").fetchone()[0] == 1
    base.close()
    output.close()
    assert output.newest(0, 5) == 1
    assert output.ended
