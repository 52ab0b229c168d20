"""A camera with a trigger: each trigger is a part, with the picture that is its own, or NG."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from belt_lab import Belt
from loop_lab import Collected, LabCamera, LabModel, station
from plc_lab import tcp_plc, wait_for

from edge.camera.base import EndOfStream, Frame
from edge.camera.capture import State
from edge.io.lines import FakeEdges, FakeLines
from edge.loop import Line
from edge.verdict import Verdict
from models.errors import CameraError

FOREVER = 1_000_000
SOFTWARE = 'trigger = { kind = "software" }'
GPIO = 'trigger = { kind = "gpio", line = 17 }'


class Following(Collected):
    """Remembers the triggers as well, and what had a verdict by then."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[str, float, int]] = []
        self.told: list[tuple[State, str]] = [("starting", "")]

    def triggered(self, camera: str, captured: float) -> None:
        self.parts.append((camera, captured, len(self.verdicts)))

    def camera(self, camera: str, state: State, reason: str) -> None:
        self.told.append((state, reason))


@contextmanager
def running(line: Line) -> Iterator[None]:
    thread = threading.Thread(target=line.run)
    thread.start()
    try:
        wait_for(lambda: line.started and line.summary()["cameras"]["top"]["frames"] > 0)
        yield
    finally:
        line.stop()
        thread.join(20)
    assert not thread.is_alive()


def own_picture(verdict: Verdict, delay: float = 0.0) -> None:
    assert verdict.part.frame is not None
    wait = verdict.part.frame.captured - verdict.part.captured
    assert delay <= wait, "no picture from before the part was there"
    assert verdict.part.truth == verdict.part.frame.number


def test_each_trigger_is_a_part_with_its_own_picture(tmp_path: Path) -> None:
    LabCamera(FOREVER, interval=0.01, fps=100)
    out, model = Following(), LabModel()
    tables = station(tmp_path, 5000, camera=SOFTWARE.replace("}", ", picture_ms = 4000 }"))
    line = Line(tables, {"m": model}, [out])
    assert line.trigger("top") is None, "nothing runs yet"
    times: list[datetime | None] = []
    with running(line):
        for _ in range(20):
            times.append(line.trigger("top"))
            number = line.summary()["cameras"]["top"]["frames"]
            wait_for(lambda: line.summary()["cameras"]["top"]["frames"] > number + 1)  # noqa: B023
        wait_for(lambda: len(out.verdicts) == 20)
        time.sleep(0.05)
    assert len(out.verdicts) == 20, "pictures alone are no parts"
    assert [v.part.time for v in out.verdicts] == times
    assert [v.number for v in out.verdicts] == list(range(1, 21))
    assert all(v.ok for v in out.verdicts)
    for verdict in out.verdicts:
        own_picture(verdict)
    frames = [v.part.truth for v in out.verdicts]
    assert len(set(frames)) == 20 == len(model.seen)
    assert [(camera, at) for camera, at, _ in out.parts] == [
        ("top", v.part.captured) for v in out.verdicts
    ]
    assert all(before <= number for number, (_, _, before) in enumerate(out.parts))


def test_the_picture_is_taken_after_the_delay(tmp_path: Path) -> None:
    LabCamera(FOREVER, interval=0.01, fps=100)
    out = Collected()
    trigger = 'trigger = { kind = "software", delay_ms = 150, picture_ms = 4000 }'
    line = Line(station(tmp_path, 6000, camera=trigger), {"m": LabModel()}, [out])
    with running(line):
        line.trigger("top")
        wait_for(lambda: len(out.verdicts) == 1)
    own_picture(out.verdicts[0], delay=0.15)
    assert out.verdicts[0].latency > 0.15
    assert out.verdicts[0].outcome.stages["capture"] > 0.15


class StepCamera(LabCamera):
    """Takes its first picture, and then one for each :meth:`step`."""

    def __init__(self) -> None:
        super().__init__(FOREVER)
        self._steps = threading.Semaphore(1)

    def step(self) -> None:
        self._steps.release()

    def read(self) -> Frame:
        self._steps.acquire()
        return super().read()


PATIENT = "stall_s = 60.0\n"


def test_two_parts_never_share_a_picture(tmp_path: Path) -> None:
    camera, out = StepCamera(), Collected()
    tables = station(tmp_path, 20_000, camera=PATIENT + SOFTWARE)
    with running(line := Line(tables, {"m": LabModel()}, [out])):
        for _ in range(3):
            line.trigger("top")
        camera.step()
        wait_for(lambda: len(out.verdicts) == 3)
        camera.step()  # so that it can be stopped
    assert [v.ok for v in out.verdicts] == [True, False, False]
    assert out.codes == {"too_close": 2}
    assert len({v.part.captured for v in out.verdicts}) == 3, "a gate tells them by their moment"


def test_no_picture_in_time_is_ng_long_before_the_deadline(tmp_path: Path) -> None:
    LabCamera(FOREVER, interval=1.5)
    out = Collected()
    trigger = 'trigger = { kind = "software", delay_ms = 20, picture_ms = 50 }'
    line = Line(station(tmp_path, 30_000, camera=trigger), {"m": LabModel()}, [out])
    with running(line):
        line.trigger("top")
        wait_for(lambda: len(out.verdicts) == 1)
    assert out.verdicts[0].latency < 10
    assert not out.verdicts[0].late
    said = "camera “top” took no picture within 70 ms of the trigger"
    assert [r.text() for r in out.verdicts[0].reasons] == [said]


class BreakingCamera(LabCamera):
    """Gives three pictures, then breaks until it is mended."""

    mended = threading.Event()
    opened = 0

    def open(self) -> None:
        if self.opened and not self.mended.is_set():
            raise CameraError("lab:0: unplugged")
        type(self).opened += 1

    def read(self) -> Frame:
        if self.opened == 1 and self._number == 2:
            raise CameraError("lab:0: unplugged")
        return super().read()


def test_a_part_before_a_lost_camera_is_ng_at_once(tmp_path: Path) -> None:
    BreakingCamera(FOREVER, interval=0.01, fps=100)
    out = Following()
    line = Line(station(tmp_path, 30_000, camera=SOFTWARE), {"m": LabModel()}, [out])
    with running(line):
        wait_for(lambda: out.told[-1][0] == "lost")
        line.trigger("top")
        wait_for(lambda: len(out.verdicts) == 1)
        BreakingCamera.mended.set()
        wait_for(lambda: out.told[-1][0] == "running")
        line.trigger("top")
        wait_for(lambda: len(out.verdicts) == 2)
    assert [r.code for r in out.verdicts[0].reasons] == ["no_frame"]
    assert out.verdicts[0].latency < 10
    assert out.verdicts[1].ok or out.verdicts[1].reasons[0].code == "no_picture"


def test_a_picture_that_cannot_be_decoded_is_that_of_its_part(tmp_path: Path) -> None:
    LabCamera(FOREVER, interval=0.05, bad=tuple(range(2, 10_000)))
    out = Collected()
    line = Line(station(tmp_path, 5000, camera=SOFTWARE), {"m": LabModel()}, [out])
    with running(line):
        wait_for(lambda: line.summary()["cameras"]["top"]["bad_frames"] > 1)
        line.trigger("top")
        wait_for(lambda: len(out.verdicts) == 1)
    assert out.codes == {"bad_frame": 1}


class UnevenCamera(LabCamera):
    """Takes pictures whenever it likes, and cannot decode some."""

    def read(self) -> Frame:
        time.sleep(random.Random(self._number).choice([0.0, 0.002, 0.02, 0.05]))
        return super().read()


@pytest.mark.parametrize("seed", range(3))
def test_any_triggers_any_pictures_one_verdict_each_in_order(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    UnevenCamera(FOREVER, fps=100, bad=tuple(dice.sample(range(500), 50)))
    out = Collected()
    model = LabModel(seconds=0.01)
    trigger = 'trigger = { kind = "software", delay_ms = 5, picture_ms = 30 }'
    line = Line(station(tmp_path, 60, queue=2, camera=trigger), {"m": model}, [out])
    times: list[datetime | None] = []
    with running(line):

        def pull(count: int) -> None:
            for _ in range(count):
                with turn:
                    times.append(line.trigger("top"))
                time.sleep(dice.choice([0.0, 0.001, 0.01, 0.04]))

        turn = threading.Lock()
        threads = [threading.Thread(target=pull, args=(60,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        line.stop()  # while some are undecided
    assert None not in times
    assert [v.part.time for v in out.verdicts] == times
    assert [v.number for v in out.verdicts] == list(range(1, 121))
    shown = [v.part.truth for v in out.verdicts if v.part.frame is not None]
    assert len(shown) == len(set(shown)), "no picture twice"
    for verdict in out.verdicts:
        if verdict.ok:
            own_picture(verdict, delay=0.005)
            assert verdict.latency - verdict.publish <= 0.06, "late is never OK"
    known = {"no_picture", "too_close", "bad_frame", "late", "overrun", "stopped"}
    assert set(out.codes) <= known


def test_a_light_barrier_that_is_lost_is_a_fault_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barriers = [FakeEdges(), FakeEdges()]
    waiting = list(barriers)
    monkeypatch.setattr("edge.io.lines.GpiodEdges", lambda *line: waiting.pop(0))
    LabCamera(FOREVER, interval=0.01, fps=100)
    out = Following()
    slow = GPIO.replace("}", ", picture_ms = 4000 }")
    line = Line(station(tmp_path, 5000, camera=slow), {"m": LabModel()}, [out])
    with running(line):
        barriers[0].edge()
        wait_for(lambda: len(out.verdicts) == 1)
        assert out.told[-1][0] == "running"
        barriers[0].unplug()
        wait_for(lambda: out.told[-1] == ("lost", "no such device"))
        wait_for(lambda: out.told[-1][0] == "running")
        barriers[1].edge()
        barriers[1].edge(time.monotonic() + 0.05)
        wait_for(lambda: len(out.verdicts) == 3)
    assert all(v.ok for v in out.verdicts)
    assert all(barrier.closed for barrier in barriers)


def test_a_plc_that_is_restarted_loses_no_part(tmp_path: Path) -> None:
    camera, out = StepCamera(), Following()
    with tcp_plc() as (plc, address):
        plc.set(20, 7)
        trigger = f'{PATIENT}trigger = {{ kind = "modbus", address = "{address}", holding = 20 }}'
        line = Line(station(tmp_path, 20_000, camera=trigger), {"m": LabModel()}, [out])
        with running(line):
            wait_for(lambda: plc.requests > 3)
            plc.set(20, 8)
            wait_for(lambda: len(out.parts) == 1)
            camera.step()
            wait_for(lambda: len(out.verdicts) == 1)
            plc.kill()
            wait_for(lambda: out.told[-1][0] == "lost")
            assert "trigger of top" in out.told[-1][1]
            plc.set(20, 10)
            plc.start()
            wait_for(lambda: len(out.parts) == 3)
            camera.step()
            wait_for(lambda: len(out.verdicts) == 3)
            camera.step()
            assert out.told[-1][0] == "running"
    assert out.codes == {"too_close": 1}, "they came at once: one picture is there for both"


def test_a_gate_rejects_what_hangs_from_its_trigger_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.io.gpio import GpioOutput
    from edge.io.hooks import Hooks
    from edge.station.outputs import GpioOutput as GpioTable

    LabCamera(FOREVER, interval=0.01, fps=100)
    table = GpioTable(kind="gpio", reject=17, gate_ms=400, pulse_ms=50, hold_reject=False)
    lines, out = FakeLines(), Collected()
    gate = GpioOutput(table, lines, None, ["top"], Hooks())

    arrived = threading.Event()

    def held_up(verdict: Verdict) -> None:
        arrived.wait(20)  # its thread does not get the processor on the whole way to the gate

    monkeypatch.setattr(gate, "verdict", held_up)
    line = Line(station(tmp_path, 300, camera=SOFTWARE), {"m": LabModel()}, [gate, out])
    with running(line):
        before = time.monotonic()
        line.trigger("top")
        wait_for(lambda: bool(lines.times("reject", True)))
        assert lines.times("reject", True)[0] - before >= 0.4
        arrived.set()
        wait_for(lambda: len(out.verdicts) == 1)


def test_one_source_triggers_two_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.deadline import Deadline
    from edge.loop.sources import Sources
    from edge.station import Camera
    from edge.station.triggers import GpioTrigger

    edges = FakeEdges()
    lines: list[object] = []

    def request(*line: object) -> FakeEdges:
        lines.append(line)
        return edges

    monkeypatch.setattr("edge.io.lines.GpiodEdges", request)
    cameras = [
        Camera(
            name=name,
            source="folder:x",
            trigger=GpioTrigger(kind="gpio", line=4, delay_ms=delay),
        )
        for name, delay in (("top", 0), ("side", 250))
    ]
    fired: list[tuple[str, float]] = []
    faults: list[tuple[str, str | None]] = []
    sources = Sources(cameras, lambda *told: fired.append(told), lambda *told: faults.append(told))
    sources.start()
    edges.edge(5.0)
    wait_for(lambda: fired == [("top", 5.0), ("side", 5.0)])
    edges.unplug()
    wait_for(lambda: len([reason for _, reason in faults if reason]) == 2)
    sources.stop(Deadline.after(20))
    assert lines[0] == ("/dev/gpiochip0", 4, "rising", "none", 0.0)


def stopped(line: Line) -> float:
    start = time.monotonic()
    line.stop()
    return start


def test_a_source_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    class Hanging(FakeEdges):
        def wait(self, seconds: float) -> list[float]:
            release.wait(20)
            return []

    monkeypatch.setattr("edge.io.lines.GpiodEdges", lambda *line: Hanging())
    LabCamera(FOREVER, interval=0.01, fps=100)
    line = Line(station(tmp_path, camera=GPIO), {"m": LabModel()}, [Collected()])
    with running(line):
        time.sleep(0.1)
        start = stopped(line)
    assert time.monotonic() - start < 5
    release.set()


class BeltCamera:
    """A camera above a belt."""

    def __init__(self, belt: Belt) -> None:
        self.name, self.fps = "lab:0", belt.fps
        self._pictures = belt.pictures()
        LabCamera.current = self  # type: ignore[assignment]

    def open(self) -> None:
        self._start = time.monotonic()
        self._number = -1

    def read(self) -> Frame:
        self._number += 1
        at, image = next(self._pictures, (0.0, None))
        if image is None:
            raise EndOfStream("the belt is empty")
        time.sleep(0.001)
        return Frame(image, self._start + at, self._number, truth=at)

    def close(self) -> None:
        pass


def test_parts_are_seen_in_the_picture(tmp_path: Path) -> None:
    belt = Belt(count=6, seed=11)
    BeltCamera(belt)
    out = Collected()
    trigger = 'trigger = { kind = "vision", moves = "right" }'
    tables = station(tmp_path, 30_000, queue=64, camera=trigger)
    Line(tables, {"m": LabModel()}, [out]).run()
    shown = [v.part.truth for v in out.verdicts if isinstance(v.part.truth, float)]
    late = [at - middle for at, middle in zip(shown, belt.middles(), strict=True)]
    assert all(-0.03 < each < 0.07 for each in late), "in the picture that fired"
    assert [v.part.frame.captured for v in out.verdicts if v.part.frame] == [
        v.part.captured for v in out.verdicts
    ]
