"""Locked until known parts have been told apart, whatever happens in between."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from bench_lab import BAD, BROKEN, GOOD, challenged, running, until
from challenge_lab import Time
from loop_lab import Collected, LabCamera, LabModel

from edge.challenge.desk import WrongMomentError
from edge.challenge.lock import Locked
from edge.judge import Job
from edge.loop import Line
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.setting import Setting
from edge.station import RecordsTable
from edge.verdict import Verdict


def codes(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def test_nothing_passes_until_it_is_passed(tmp_path: Path) -> None:
    with running(challenged(tmp_path), tmp_path) as bench:
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        good, bad = bench.run(GOOD, BAD)
        assert (good.golden, good.ok) == ("good one", True)
        assert (bad.golden, codes(bad)) == ("bad one", ["mismatch"])
        bench.unlocked()
        assert bench.place(GOOD).ok
        assert codes(bench.place(BAD)) == ["mismatch"]
        (ended,) = bench.ended
        assert (ended.ending, ended.by) == ("passed", "Wang Li")
        assert [(s.golden.name, s.verdict, s.right, s.part) for s in ended.shown] == [
            ("good one", "OK", True, good.id), ("bad one", "NG", True, bad.id)]  # fmt: skip
    assert bench.line.summary() | {"latency_ms": 0, "cameras": 0} == {
        "golden": 2, "parts": 3, "ok": 1, "ng": 2, "late": 0, "latency_ms": 0, "cameras": 0,
        "reasons": {"challenge_due": 1, "text:mismatch": 1}}  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "right"),
    [
        ((BAD, BAD), [False, True]),
        ((GOOD, GOOD), [True, False]),
        ((GOOD, BROKEN), [True, False]),  # rejected, but not for what it shows
        ((BROKEN, BAD), [False, True]),
    ],
)
def test_what_goes_wrong_stays_locked_and_may_be_tried_again(
    tmp_path: Path, parts: tuple[int, ...], right: list[bool]
) -> None:
    with running(challenged(tmp_path), tmp_path) as bench:
        seen = bench.run(*parts)
        assert [verdict.golden for verdict in seen] == ["good one", "bad one"]
        assert bench.ended[0].ending == "wrong"
        assert [shown.right for shown in bench.ended[0].shown] == right
        assert bench.desk.snapshot()["last"]["ending"] == "wrong"
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        bench.run(GOOD, BAD)
        bench.unlocked()
        assert bench.place(GOOD).ok


def test_a_late_golden_part_is_no_proof(tmp_path: Path) -> None:
    model = LabModel(lambda n: "BAD", seconds=0.5)
    with running(challenged(tmp_path, deadline_ms=100), tmp_path, model=model) as bench:
        bench.desk.start("Wang Li")
        assert codes(bench.place(BAD)) == ["late"]
        bench.at_step(2)
        late = bench.place(BAD)
        assert (late.golden, codes(late)) == ("bad one", ["late"])
        until(lambda: not bench.desk.snapshot()["running"])
        assert [shown.right for shown in bench.ended[0].shown] == [False, False]


def test_of_many_parts_at_once_one_is_golden(tmp_path: Path) -> None:
    """A free-running camera: all that was triggered under one setting, and only one counts."""
    station = challenged(tmp_path, queue=64, deadline_ms=20_000)
    with running(station, tmp_path, model=LabModel(seconds=0.01)) as bench:
        bench.desk.start("Wang Li")
        for _ in range(50):
            bench.camera.placed.put(GOOD)
        until(lambda: len(bench.out.verdicts) == 50)
        golden = [verdict for verdict in bench.out.verdicts if verdict.golden]
        assert {verdict.golden for verdict in golden} <= {"good one", "bad one"}
        assert len(golden) == len({verdict.golden for verdict in golden})
        others = [verdict for verdict in bench.out.verdicts if not verdict.golden]
        assert {codes(verdict)[0] for verdict in others} == {"challenge_due"}


def test_a_part_on_its_way_when_it_starts_is_none_of_it(tmp_path: Path) -> None:
    model = LabModel(seconds=20)
    with running(challenged(tmp_path, deadline_ms=30_000), tmp_path, model=model) as bench:
        bench.camera.placed.put(GOOD)
        until(lambda: bool(model.seen))
        bench.desk.start("Wang Li")
        model.release.set()
        until(lambda: bool(bench.out.verdicts))
        assert codes(bench.out.verdicts[0]) == ["challenge_due"]
        assert bench.place(GOOD).golden == "good one"


def test_a_part_on_its_way_when_it_is_broken_off_is_none_of_it(tmp_path: Path) -> None:
    model = LabModel(seconds=20)
    with running(challenged(tmp_path, deadline_ms=30_000), tmp_path, model=model) as bench:
        bench.desk.start("Wang Li")
        bench.camera.placed.put(GOOD)
        until(lambda: bool(model.seen))
        bench.desk.abort()
        model.release.set()
        until(lambda: bool(bench.out.verdicts))
        assert codes(bench.out.verdicts[0]) == ["challenge_due"]
        assert bench.ended[0].ending == "aborted"
        assert bench.desk.locked


def test_it_asks_before_each_part_where_cameras_run_freely(tmp_path: Path) -> None:
    with running(challenged(tmp_path, more="confirm = true"), tmp_path) as bench:
        bench.desk.start("Wang Li")
        assert bench.desk.snapshot()["confirm"]
        assert codes(bench.place(BAD)) == ["challenge_due"], "the belt, before the part lies there"
        bench.desk.placed()
        assert bench.place(GOOD).golden == "good one"
        bench.at_step(2)
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        bench.desk.placed()
        with pytest.raises(WrongMomentError):
            bench.desk.placed()
        assert bench.place(BAD).golden == "bad one"
        bench.unlocked()


def test_one_at_a_time(tmp_path: Path) -> None:
    with running(challenged(tmp_path), tmp_path) as bench:
        with pytest.raises(WrongMomentError, match="no challenge is under way"):
            bench.desk.abort()
        with pytest.raises(WrongMomentError, match="no golden part is waited for"):
            bench.desk.placed()
        bench.desk.start("Wang Li")
        with pytest.raises(WrongMomentError, match="Wang Li is at it already"):
            bench.desk.start("Li Na")


def test_one_that_nobody_goes_on_with_is_broken_off(tmp_path: Path) -> None:
    station = challenged(tmp_path)
    assert station.challenge is not None
    quick = station.challenge.model_copy(update={"timeout_s": 0.3})
    with running(station.model_copy(update={"challenge": quick}), tmp_path) as bench:
        bench.desk.start("Wang Li")
        bench.place(GOOD)
        until(lambda: bool(bench.ended))
        assert bench.ended[0].ending == "timeout"
        assert len(bench.ended[0].shown) == 1
        assert codes(bench.place(GOOD)) == ["challenge_due"]


def test_the_next_shift_locks_it_again(tmp_path: Path) -> None:
    clocks = Time()
    with running(challenged(tmp_path, "shift"), tmp_path, clocks=clocks) as bench:
        bench.run(GOOD, BAD)
        bench.unlocked()
        clocks.up += 8 * 3600  # the wall clock stands still, or was set back
        until(lambda: bench.line.setting.lock is not None)
        assert codes(bench.place(GOOD)) == ["challenge_due"]
    assert not (tmp_path / "c.json").exists()


def test_one_without_need_may_be_broken_off_but_not_go_wrong(tmp_path: Path) -> None:
    with running(challenged(tmp_path, "shift"), tmp_path) as bench:
        bench.run(GOOD, BAD)
        bench.unlocked()
        bench.desk.start("Li Na")
        assert codes(bench.place(BAD)) == ["mismatch"]
        bench.at_step(2)
        bench.desk.abort()
        bench.unlocked()
        assert bench.place(GOOD).ok
        bench.run(BAD, BAD)
        assert bench.desk.locked
    assert not (tmp_path / "c.json").exists(), "nor does a restart unlock it"


def test_a_restart_in_the_shift_finds_it_passed(tmp_path: Path) -> None:
    station, clocks = challenged(tmp_path, "shift"), Time()
    with running(station, tmp_path, clocks=clocks) as bench:
        bench.run(GOOD, BAD)
        bench.unlocked()
    with running(station, tmp_path, clocks=clocks) as bench:
        assert bench.place(GOOD).ok
    clocks.wall -= timedelta(days=1)
    clocks.boot = "b2"
    with running(station, tmp_path, clocks=clocks) as bench:
        assert codes(bench.place(GOOD)) == ["challenge_due"]


def test_a_station_that_is_stopped_in_between_is_due(tmp_path: Path) -> None:
    with running(challenged(tmp_path), tmp_path) as bench:
        bench.desk.start("Wang Li")
        bench.place(GOOD)
        bench.at_step(2)
    assert [each.ending for each in bench.ended] == ["stopped"]


def test_job_and_models_change_under_the_lock(tmp_path: Path) -> None:
    station = challenged(tmp_path)
    with running(station, tmp_path) as bench:
        bench.line.change_job(Job(product="Tea"))
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        old = bench.line.change_models(station, {"m": LabModel()})
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        bench.run(GOOD, GOOD)  # this model reads GOOD everywhere
        assert bench.desk.locked
        bench.line.restore(replace(old, lock=None))
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        bench.run(GOOD, BAD)
        bench.unlocked()
        bench.line.restore(old)  # was locked when it was replaced
        assert bench.place(GOOD).ok


def test_without_whoever_keeps_it_a_station_with_a_challenge_is_locked(tmp_path: Path) -> None:
    station = challenged(tmp_path)
    LabCamera(3)
    out = Collected()
    Line(station, {"m": LabModel()}, [out]).run()
    assert [codes(verdict) for verdict in out.verdicts] == [["challenge_due"]] * 3


def test_golden_parts_count_to_the_limit(tmp_path: Path) -> None:
    station = challenged(tmp_path).model_copy(update={"challenge": None})
    LabCamera(50, interval=0.01)
    out = Collected()
    line = Line(station, {"m": LabModel()}, [out], limit=5)
    line.hold(Locked("top", "good one"))
    line.run()
    assert [verdict.golden for verdict in out.verdicts] == ["good one", None, None, None, None]


def test_a_desk_that_fails_locks(tmp_path: Path) -> None:
    clocks = Time()
    with running(challenged(tmp_path, "shift"), tmp_path, clocks=clocks) as bench:
        bench.run(GOOD, BAD)
        bench.unlocked()
        clocks.wall = None  # type: ignore[assignment]
        until(lambda: isinstance(bench.line.setting.lock, Locked))
        assert codes(bench.place(GOOD)) == ["challenge_due"]
        clocks.wall = Time().wall


def test_all_of_it_is_in_the_records(tmp_path: Path) -> None:
    records = RecordsOutput(RecordsTable.model_validate({"path": str(tmp_path / "r")}))
    station, clocks = challenged(tmp_path), Time()
    told = records.challenged
    with running(station, tmp_path, records, record=told, clocks=clocks) as bench:
        locked = bench.place(GOOD)
        bench.run(GOOD, GOOD)
        clocks.wall += timedelta(minutes=1)
        good, bad = bench.run(GOOD, BAD)
        bench.unlocked()
        bench.place(GOOD)
    with Records(tmp_path / "r") as found:
        kept = {record["id"]: record for record in found.find(Query(), 100)}
        assert kept[good.id]["golden"] == "good one"
        assert kept[bad.id]["golden"] == "bad one"
        assert kept[good.id]["evidence"] is not None, "golden parts leave a picture, good ones too"
        assert kept[locked.id]["evidence_gone"] == "not_wanted"
        assert [r["code"] for r in kept[locked.id]["reasons"]] == ["challenge_due"]
        assert sum("golden" in record for record in kept.values()) == 4
        assert len(kept) == 6
        first, second = found.challenges(10)[::-1]
        assert (first["ending"], second["ending"]) == ("wrong", "passed")
        assert second["by"] == "Wang Li"
        assert [shown["part"] for shown in second["shown"]] == [good.id, bad.id]
        assert [shown["right"] for shown in first["shown"]] == [True, False]


def test_a_setting_is_not_locked_by_itself(tmp_path: Path) -> None:
    assert Setting.of("run", challenged(tmp_path), {"m": LabModel()}).lock is None
