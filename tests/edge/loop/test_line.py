import threading
import time
from pathlib import Path

import pytest
from loop_lab import Collected, LabCamera, LabModel, station

from edge.camera.base import Frame
from edge.io.base import Signalled
from edge.io.jsonl import JsonlOutput
from edge.loop import Line
from edge.verdict import Verdict
from models.errors import DeviceError, EngineError, StorageError


def run(line: Line) -> None:
    thread = threading.Thread(target=line.run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_every_part_gets_one_verdict_in_order(tmp_path: Path) -> None:
    LabCamera(100, interval=0.001)
    out = Collected()
    model = LabModel(lambda n: "BAD" if n % 10 == 3 else "GOOD")
    Line(station(tmp_path, queue=64), {"m": model}, [out]).run()
    assert [v.number for v in out.verdicts] == list(range(1, 101))
    assert [v.part.truth for v in out.verdicts] == list(range(100))
    assert [v.ok for v in out.verdicts] == [n % 10 != 3 for n in range(100)]
    assert out.verdicts[3].reasons[0].text() == "text: read “BAD”, expected “GOOD”"
    assert out.closed
    assert out.states[-1] == "ended"


def test_stages_are_recorded_and_add_up(tmp_path: Path) -> None:
    LabCamera(3, interval=0.05)
    out = Collected()
    Line(station(tmp_path), {"m": LabModel(seconds=0.02)}, [out]).run()
    for verdict in out.verdicts:
        stages = verdict.as_record()["stages_ms"]
        assert {"capture", "wait", "infer", "judge", "publish"} <= stages.keys()
        assert sum(stages.values()) <= verdict.latency * 1000 + 1
        assert verdict.latency >= 0.02


def test_slow_inference_is_late_and_recovers(tmp_path: Path) -> None:
    LabCamera(4, interval=0.1)
    out = Collected()
    model = LabModel(seconds=0.5)
    line = Line(station(tmp_path, deadline_ms=150), {"m": model}, [out])
    threading.Timer(0.4, model.release.set).start()
    line.run()
    assert len(out.verdicts) == 4
    assert out.verdicts[0].late
    assert out.verdicts[0].latency < 0.4
    assert out.verdicts[3].ok, "once the model answers again, so do the verdicts"


def test_hung_inference_does_not_stop_verdicts_or_the_station(tmp_path: Path) -> None:
    LabCamera(5, interval=0.02)
    out = Collected()
    line = Line(station(tmp_path, deadline_ms=50, queue=2), {"m": LabModel(seconds=3600)}, [out])
    start = time.monotonic()
    run(line)
    assert time.monotonic() - start < 5
    assert len(out.verdicts) == 5
    assert not any(v.ok for v in out.verdicts)
    assert set(out.codes) <= {"late", "overrun"}


def test_more_parts_than_may_wait_are_rejected_not_lost(tmp_path: Path) -> None:
    LabCamera(40)
    out = Collected()
    model = LabModel(seconds=0.1)
    Line(station(tmp_path, queue=4, deadline_ms=5000), {"m": model}, [out]).run()
    assert len(out.verdicts) == 40
    assert out.codes["overrun"] == 40 - len(model.seen) > 20
    assert sum(v.ok for v in out.verdicts) == len(model.seen)


def test_freshest_looks_at_the_newest_and_counts_the_rest(tmp_path: Path) -> None:
    LabCamera(60, interval=0.005, fps=200)
    out = Collected()
    model = LabModel(seconds=0.03)
    line = Line(station(tmp_path, policy="freshest"), {"m": model}, [out])
    line.run()
    shown = [v.part.truth for v in out.verdicts]
    assert shown == sorted(set(shown), key=lambda n: int(str(n)))
    assert all(v.ok for v in out.verdicts)
    assert len(shown) < 30
    assert line.summary()["cameras"]["top"]["dropped"] >= 30
    waits = [v.outcome.stages["capture"] + v.outcome.stages["wait"] for v in out.verdicts]
    assert max(waits) < 0.02, "never much older than one frame interval of 5 ms"


def test_an_undecodable_picture_is_a_rejected_part(tmp_path: Path) -> None:
    LabCamera(3, bad=(1,))
    out = Collected()
    Line(station(tmp_path), {"m": LabModel()}, [out]).run()
    assert [v.ok for v in out.verdicts] == [True, False, True]
    assert [r.code for r in out.verdicts[1].reasons] == ["bad_frame"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (EngineError("det.onnx: broke"), "print: cannot be evaluated: det.onnx: broke"),
        (RuntimeError("whatever"), "the model failed on region “print”"),
    ],
)
def test_a_failing_model_rejects_the_part_and_goes_on(
    tmp_path: Path, error: Exception, said: str
) -> None:
    def text(number: int) -> str:
        if number == 1:
            raise error
        return "GOOD"

    LabCamera(3)
    out = Collected()
    Line(station(tmp_path), {"m": LabModel(text)}, [out]).run()
    assert [v.ok for v in out.verdicts] == [True, False, True]
    assert [reason.text() for reason in out.verdicts[1].reasons] == [said]


def test_limit_is_exact(tmp_path: Path) -> None:
    LabCamera(10_000, interval=0.0005)
    out = Collected()
    line = Line(station(tmp_path, queue=64), {"m": LabModel()}, [out], limit=37)
    line.run()
    assert len(out.verdicts) == 37
    assert line.summary()["parts"] == 37


def test_stop_is_clean_within_a_second(tmp_path: Path) -> None:
    LabCamera(10_000, interval=0.01)
    out = Collected()
    line = Line(station(tmp_path, deadline_ms=60_000), {"m": LabModel(seconds=0.2)}, [out])
    thread = threading.Thread(target=line.run)
    thread.start()
    time.sleep(0.5)
    start = time.monotonic()
    line.stop()
    thread.join(5)
    assert time.monotonic() - start < 1
    assert out.closed
    opened = line.summary()["cameras"]["top"]["frames"]
    assert 0 < len(out.verdicts) <= opened
    assert out.codes["stopped"] > 0


class FullDisk(Collected):
    def verdict(self, verdict: Verdict) -> None:
        if verdict.number == 5:
            raise StorageError("records: disk full")
        super().verdict(verdict)


def test_a_failing_output_stops_the_station_with_its_error(tmp_path: Path) -> None:
    LabCamera(10_000, interval=0.005)
    good, full = Collected(), FullDisk()
    line = Line(station(tmp_path), {"m": LabModel()}, [good, full])
    with pytest.raises(StorageError, match="disk full"):
        line.run()
    assert len(full.verdicts) == 4
    assert len(good.verdicts) >= 5


class Stuck(Collected):
    def verdict(self, verdict: Verdict) -> None:
        time.sleep(0.5)


def raises_device_error(line: Line) -> None:
    with pytest.raises(DeviceError):
        line.run()


def test_a_slow_output_does_not_hold_up_the_others(tmp_path: Path) -> None:
    LabCamera(50, interval=0.002)
    good = Collected()
    line = Line(station(tmp_path, queue=64), {"m": LabModel()}, [Stuck(), good])
    thread = threading.Thread(target=raises_device_error, args=(line,))
    thread.start()
    time.sleep(0.6)
    assert len(good.verdicts) == 50
    assert max(v.latency for v in good.verdicts) < 0.4
    line.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_really_full_device(tmp_path: Path) -> None:
    LabCamera(10)
    out = JsonlOutput.open(Path("/dev/full"))
    with pytest.raises(StorageError, match=r"/dev/full: .* \(No space left"):
        Line(station(tmp_path), {"m": LabModel()}, [out]).run()


def test_two_stations_do_not_share_a_file(tmp_path: Path) -> None:
    first = JsonlOutput.open(tmp_path / "verdicts.jsonl")
    with pytest.raises(StorageError, match=r"verdicts\.jsonl: another station writes to it"):
        JsonlOutput.open(tmp_path / "verdicts.jsonl")
    first.close()
    JsonlOutput.open(tmp_path / "verdicts.jsonl").close()


def test_records_are_whole_lines_and_appended(tmp_path: Path) -> None:
    import json

    path = tmp_path / "out" / "verdicts.jsonl"
    for _ in range(2):
        LabCamera(5)
        Line(station(tmp_path), {"m": LabModel()}, [JsonlOutput.open(path)]).run()
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["part"] for row in rows] == [1, 2, 3, 4, 5] * 2
    assert {row["verdict"] for row in rows} == {"OK"}
    assert rows[0]["read"] == {"print": [{"text": "GOOD", "score": 0.99}]}


class HangingCamera(LabCamera):
    def read(self) -> Frame:
        if self._number == 2:
            time.sleep(3)
        return super().read()


def test_a_hanging_camera_does_not_cost_the_last_verdicts(tmp_path: Path) -> None:
    HangingCamera(100)
    out = Collected()
    line = Line(station(tmp_path), {"m": LabModel()}, [out])
    thread = threading.Thread(target=line.run)
    thread.start()
    time.sleep(0.3)
    start = time.monotonic()
    line.stop()
    thread.join(5)
    assert time.monotonic() - start < 1
    assert [v.ok for v in out.verdicts] == [True, True, True]
    assert out.closed


class Keeping(Collected):
    """Keeps what the others tell, as records do."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Signalled] = []

    def signalled(self, told: Signalled) -> None:
        assert not self.closed
        self.kept.append(told)


class LastWord(Collected):
    """Hears of its last part only while it closes, as one with a slow PLC does."""

    keeper: Keeping

    def close(self) -> None:
        time.sleep(0.1)
        self.keeper.signalled(Signalled(self.verdicts[-1].id, self.name, "OK", time.time()))
        super().close()


@pytest.mark.parametrize("order", [1, -1])
def test_what_outputs_tell_while_they_close_is_kept(tmp_path: Path, order: int) -> None:
    LabCamera(3)
    keeper, output = Keeping(), LastWord()
    output.keeper = keeper
    Line(station(tmp_path), {"m": LabModel()}, [keeper, output][::order]).run()
    assert [told.part for told in keeper.kept] == [output.verdicts[-1].id]
    assert keeper.closed
    assert len(keeper.verdicts) == 3


class NeverCloses(Collected):
    def close(self) -> None:
        time.sleep(20)


def test_an_output_that_hangs_does_not_cost_the_records(tmp_path: Path) -> None:
    LabCamera(10_000, interval=0.005)
    keeper = Keeping()
    line = Line(station(tmp_path), {"m": LabModel()}, [keeper, NeverCloses()])
    thread = threading.Thread(target=raises_device_error, args=(line,))
    thread.start()
    time.sleep(0.3)
    line.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert keeper.closed
