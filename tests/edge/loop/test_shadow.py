"""A second bundle looks on: what it compares, and that nothing of what befalls it is felt."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from loop_lab import Collected, LabCamera, LabModel, station

from edge.loop import Line, shadow_process
from edge.loop import line as line_module
from edge.loop.comparisons import Comparisons
from edge.loop.shadow import Shadow
from edge.loop.shadow_process import OFF
from edge.station import ActiveBundle, BundleName, ShadowTable, Station
from models.errors import BundleError

SECONDS = 120.0
"""A process of low priority on a busy machine."""

INTERVAL_S = 0.01

FOREVER = 10**6

STAND_IN = Path(__file__).with_name("shadow_stand_in.py")


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def calm_station(folder: Path) -> Station:
    """One that is in time on a busy machine."""
    return station(folder, deadline_ms=60_000, queue=64)


class Rig:
    """A line with a shadow that does the deed; the camera waits until the shadow is ready."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, deed: str, **table: int) -> None:
        patch.setattr(shadow_process, "CHILD", (sys.executable, str(STAND_IN), deed))
        patch.setattr(
            shadow_process, "POLICY", os.SCHED_OTHER
        )  # else a busy machine never gets to it
        patch.setattr(line_module, "FINISH_S", SECONDS)
        LabCamera(0)
        self.station = calm_station(folder)
        self.store = folder / "shadow.db"
        self.opened = 0
        self.shadow = Shadow(self.candidate, self.store, ShadowTable.model_validate(table))

    def candidate(self) -> Station:
        self.opened += 1
        name = BundleName("print", f"2.{self.opened}", "ab" * 32)
        return self.station.with_active(ActiveBundle(name, Path(), {}, ()))

    def run(
        self, count: int, text: Callable[[int], str] = lambda n: "GOOD", wait: bool = True
    ) -> list[dict[str, Any]]:
        """Judge parts; one at a time, each given to the shadow when that is free, if ``wait``."""
        out = Collected()
        LabCamera(count, INTERVAL_S)
        line = Line(self.station, {"m": LabModel(text)}, [_Patient(self.shadow, wait), out])
        line.run()
        return [_told(verdict.as_record()) for verdict in out.verdicts]


class _Patient:
    """The shadow as an output which, unlike the real one, may wait for its turn."""

    name, pictures = "shadow", True

    def __init__(self, inner: Shadow, wait: bool) -> None:
        self._inner, self._wait = inner, wait

    def verdict(self, verdict: Any) -> None:
        self._inner.verdict(verdict)
        if self._wait:
            until(self._settled)

    def _settled(self) -> bool:
        said = self._inner.summary()
        counts = said["counts"]
        return said["phase"] in {"off", "done"} or (
            counts is not None and self._inner._seen - self._inner._told == 0
        )

    def camera(self, camera: str, state: Any, reason: str) -> None:
        self._inner.camera(camera, state, reason)

    def close(self) -> None:
        self._inner.close()


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record does not hang on the clock or the run."""
    own = {"id", "time", "latency_ms", "stages_ms"}
    return {key: value for key, value in record.items() if key not in own}


def alone(folder: Path, count: int, text: Callable[[int], str] = lambda n: "GOOD") -> Any:
    out = Collected()
    LabCamera(count, INTERVAL_S)
    Line(calm_station(folder), {"m": LabModel(text)}, [out]).run()
    return [_told(verdict.as_record()) for verdict in out.verdicts]


def counts(rig: Rig) -> dict[str, Any]:
    (pair,) = Comparisons(rig.store).pairs()
    return pair


def test_it_compares_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, monkeypatch, "seven")
    text = {5: "WRONG"}
    rig.run(12, lambda n: text.get(n, "GOOD"))
    pair = counts(rig)
    got = {key: pair[key] for key in ("seen", "same_ok", "same_ng", "rejects", "passes")}
    assert got == {"seen": 12, "same_ok": 10, "same_ng": 0, "rejects": 1, "passes": 1}
    assert (pair["station"], pair["candidate"]) == ("test", "print 2.1")
    said = rig.shadow.summary()["counts"]
    assert said["compared"] == 12
    assert said["passes_95"][0] < 1 / 12 < said["passes_95"][1]
    kept = {each["difference"]: each for each in Comparisons(rig.store).differences(pair["id"], 9)}
    assert kept["rejects"]["part"].endswith("-top-8")
    assert kept["rejects"]["candidate"]["reasons"][0]["code"] == "mismatch"
    assert kept["passes"]["active"]["read"]["print"][0]["text"] == "WRONG"
    assert kept["passes"]["picture"].startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        ("abort", "crashed"),
        ("exit", "crashed"),
        ("fail", "failed"),
        ("memory", "failed"),
        ("stillborn", "crashed"),
    ],
)
def test_what_befalls_it_is_felt_by_nobody(
    deed: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, monkeypatch, deed)
    given = rig.run(20)
    assert given == alone(tmp_path, 20)
    said = rig.shadow.summary()
    if deed != "stillborn":
        assert said["counts"]["seen"] == 20
        assert said["counts"]["compared"] == (6 if code == "failed" else 3)
    begin = OFF[code][0].split("{")[0]
    assert said["phase"] == "off"
    assert said["en"].startswith(begin)
    assert said["zh"]
    assert "SIGABRT" in said["en"] or deed not in {"abort", "stillborn"}


def test_a_hang_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, monkeypatch, "hang")
    rig.run(3)
    monkeypatch.setattr(shadow_process, "ANSWER_S", 0.3)
    again = Rig(tmp_path, monkeypatch, "hang")
    given = again.run(20)
    assert given == alone(tmp_path, 20)
    assert again.shadow.summary()["en"] == "no answer within 0.3 s"


def test_a_slow_one_misses_parts_and_holds_up_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, monkeypatch, "slow")
    start = time.monotonic()
    given = rig.run(200, wait=False)
    assert time.monotonic() - start < 30
    assert given == alone(tmp_path, 200)
    assert len(given) == 200


def test_closing_ends_it_at_once_whatever_it_is_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, monkeypatch, "hang")
    rig.run(3)
    for deed in ("hang", "stillborn", ""):
        rig = Rig(tmp_path, monkeypatch, deed)
        LabCamera(6)
        out = Collected()
        line = Line(rig.station, {"m": LabModel()}, [rig.shadow, out])
        thread = threading.Thread(target=line.run)
        thread.start()
        until(lambda: len(out.verdicts) == 6)  # noqa: B023 - run at once
        line.stop()
        start = time.monotonic()
        thread.join(SECONDS)
        assert time.monotonic() - start < 5
    until(lambda: not _stand_ins())


def _stand_ins() -> list[int]:
    """Processes of this module; what is left of one that has ended does not count."""
    mine = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = path.read_bytes()
        except OSError:
            continue
        if os.fsencode(STAND_IN) in said:
            mine.append(int(path.parent.name))
    return mine


def test_a_share_and_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, monkeypatch, "", share=2, max_parts=3)
    rig.run(1, wait=False)  # the first of two is not looked at
    rig = Rig(tmp_path, monkeypatch, "", max_parts=3)
    rig.run(10)
    assert rig.shadow.summary()["phase"] == "done"
    assert counts(rig)["same_ok"] == 3


def test_a_candidate_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, monkeypatch, "")

    def none() -> Station:
        raise BundleError("box: holds no second bundle: flash one")

    rig.shadow._open = none
    assert rig.run(5) == alone(tmp_path, 5)
    said = rig.shadow.summary()
    assert said["en"] == "it cannot be used: box: holds no second bundle: flash one"
    assert said["counts"] is None


def test_it_begins_anew_beside_other_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, monkeypatch, "all")
    LabCamera(FOREVER, INTERVAL_S)
    line = Line(rig.station, {"m": LabModel()}, [rig.shadow])
    thread = threading.Thread(target=line.run)
    thread.start()
    until(lambda: (rig.shadow.summary()["counts"] or {}).get("rejects", 0) > 0)
    line.change_models(rig.station, {"m": LabModel()})
    until(lambda: rig.shadow.summary()["candidate"] == "print 2.2")
    line.stop()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_a_line_that_is_short_of_time_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, monkeypatch, "")
    rig.station = station(tmp_path, deadline_ms=400, queue=64)
    out = Collected()
    LabCamera(6, 0.5)
    Line(rig.station, {"m": LabModel(seconds=0.3)}, [rig.shadow, out]).run()
    assert len(out.verdicts) == 6
    assert rig.shadow.summary()["phase"] == "waiting"
    assert rig.opened == 0


def test_it_gets_what_the_line_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, monkeypatch, "hang")
    monkeypatch.setattr(shadow_process, "POLICY", os.SCHED_IDLE)
    LabCamera(FOREVER, INTERVAL_S)
    line = Line(rig.station, {"m": LabModel()}, [rig.shadow])
    thread = threading.Thread(target=line.run)
    thread.start()
    until(lambda: bool(_stand_ins()))
    (pid,) = _stand_ins()
    until(lambda: os.sched_getscheduler(pid) == os.SCHED_IDLE)
    until(lambda: Path(f"/proc/{pid}/oom_score_adj").read_text() == "1000\n")
    assert os.getsid(pid) == os.getsid(0), "else priorities would not be compared"
    line.stop()
    thread.join(SECONDS)
    until(lambda: not _stand_ins())


def test_what_nobody_has_looked_at_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, monkeypatch, "")
    out = Collected()
    LabCamera(3, INTERVAL_S, bad=(1,))
    Line(rig.station, {"m": LabModel()}, [out]).run()
    good, bad, _ = out.verdicts
    for verdict in (bad, replace(good, golden="spotless"), good.without_picture()):
        rig.shadow.verdict(verdict)
    assert (rig.shadow._seen, rig.opened) == (0, 0)
    rig.shadow.verdict(good)
    assert rig.shadow._seen == 1
    rig.shadow.close()
