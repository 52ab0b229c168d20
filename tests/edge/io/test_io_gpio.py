"""Lines of the box: what they do at a verdict, a fault, a stop."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import gpiod
import pytest
from gpiod.line import Direction, Edge, Value
from plc_lab import Told, wait_for
from verdict_lab import OK, WRONG_LOT, lab_verdict

from edge.io.gpio import GpioOutput, open_gpio
from edge.io.lines import FakeEdges, FakeLines, GpiodEdges, GpiodLines
from edge.station.outputs import GpioOutput as GpioTable
from edge.verdict import Verdict
from models.errors import DeviceError

ALL = {"reject": 1, "ok": 2, "fault": 3, "heartbeat": 4, "heartbeat_ms": 50, "pulse_ms": 40}


def station(told: Told, **keys: Any) -> tuple[GpioOutput, FakeLines]:
    lines = FakeLines()
    table = GpioTable(kind="gpio", **{**ALL, **keys})
    output = GpioOutput(table, lines, keys.pop("edges", None), ["top"], told.hooks)
    return output, lines


def running(told: Told, **keys: Any) -> tuple[GpioOutput, FakeLines]:
    output, lines = station(told, **keys)
    output.camera("top", "running", "")
    return output, lines


def captured(verdict: Verdict, at: float) -> Verdict:
    return replace(verdict, part=replace(verdict.part, captured=at))


def test_ok_and_ng_pulse_their_lines() -> None:
    told = Told()
    output, lines = running(told)
    output.verdict(lab_verdict(1, OK))
    wait_for(lambda: bool(lines.times("ok", True)))
    assert lines.state("reject") is False
    output.verdict(lab_verdict(2, WRONG_LOT))
    wait_for(lambda: lines.times("reject", True)[-1:] > lines.times("ok", True))
    wait_for(lambda: not lines.state("reject") and not lines.state("ok"))
    output.close()
    signals = sorted((each.part, each.said, each.error) for each in told.signals)
    assert signals == [
        (lab_verdict(1).id, "ok", None), (lab_verdict(2).id, "reject", None)]  # fmt: skip


def test_the_heartbeat_changes_as_long_as_the_station_lives() -> None:
    output, lines = running(Told())
    wait_for(lambda: len(lines.times("heartbeat", True)) > 2)
    output.close()
    count = len(lines.changes)
    time.sleep(0.12)
    assert len(lines.changes) == count


def test_parts_that_no_camera_sees_are_rejected() -> None:
    output, lines = station(Told())
    wait_for(lambda: lines.state("reject") is True)
    assert lines.state("fault") is True  # nothing was seen yet
    output.camera("top", "running", "")
    assert (lines.state("reject"), lines.state("fault")) == (False, False)
    output.camera("top", "lost", "unplugged")
    assert (lines.state("reject"), lines.state("fault")) == (True, True)
    output.camera("top", "running", "")
    output.fault("records", "disk full")  # parts are seen all the same
    assert (lines.state("reject"), lines.state("fault")) == (False, True)
    output.close()


@pytest.mark.parametrize("hold", [True, False])
def test_a_stop_leaves_the_safe_state(hold: bool) -> None:
    output, lines = running(Told(), hold_reject=hold)
    output.close()
    assert lines.closed
    states = [lines.state(line) for line in ("reject", "ok", "fault")]
    assert states == [hold, False, True]


@pytest.mark.parametrize("hold", [True, False])
def test_parts_on_their_way_at_a_stop_are_named(hold: bool) -> None:
    told = Told()
    output, _ = running(told, gate_ms=600_000, ok=None, hold_reject=hold)
    output.verdict(lab_verdict(1, OK))
    output.verdict(lab_verdict(2, WRONG_LOT))
    output.close()
    assert [each.part for each in told.signals] == [lab_verdict(2).id]
    assert (told.signals[0].error is None) is hold


def test_the_right_part_is_hit_at_the_gate() -> None:
    told = Told()
    output, lines = running(told, gate_ms=400, ok=None)
    start = time.monotonic()
    for number, outcome in enumerate((OK, WRONG_LOT, OK), 1):
        output.verdict(captured(lab_verdict(number, outcome), start + number * 0.1))
    wait_for(lambda: bool(told.signals))
    output.close()
    opened = [at for at in lines.times("reject", True) if at > start]
    if told.signals[0].error is None:  # else the test machine was too slow, and that was told
        assert opened[0] - start >= 0.599
    assert [each.part for each in told.signals] == [lab_verdict(2).id]
    assert told.state == "up" or told.signals[0].error is not None


def test_a_part_without_a_verdict_is_hit_and_told() -> None:
    told = Told()
    output, _ = running(told, gate_ms=100, ok=None)
    verdict = captured(lab_verdict(7, OK), time.monotonic())
    output.triggered("top", verdict.part.captured)
    wait_for(lambda: told.state == "down")
    assert "no verdict at the gate" in told.states[-1][1] or "slipped" in told.states[-1][1]
    output.verdict(verdict)
    wait_for(lambda: bool(told.signals))
    assert "when it had passed the gate" in str(told.signals[0].error)
    output.verdict(captured(lab_verdict(8, WRONG_LOT), time.monotonic()))
    wait_for(lambda: told.state == "up", "the gate to do its work again")
    output.close()


def test_a_part_that_slipped_is_named() -> None:
    told = Told()
    output, _ = running(told, gate_ms=100, ok=None)
    output.verdict(captured(lab_verdict(9, WRONG_LOT), time.monotonic() - 5))
    wait_for(lambda: len(told.signals) == 2)
    output.close()
    assert {each.part for each in told.signals} == {lab_verdict(9).id}
    assert "slipped past the gate: take it off the line" in str(told.signals[1].error)
    assert lab_verdict(9).id in told.states[-1][1]


def test_a_chip_that_is_gone_stops_the_station() -> None:
    told = Told()
    output, lines = running(told)
    lines.broken = True
    wait_for(lambda: told.state == "down")
    with pytest.raises(DeviceError, match="parts can no longer be rejected"):
        output.verdict(lab_verdict(1))
    output.close()


def test_the_encoder_decides_when_the_part_is_there() -> None:
    told, lines, edges = Told(), FakeLines(), FakeEdges()
    table = GpioTable(kind="gpio", reject=1, encoder=5, gate_counts=3, pulse_counts=2)
    output = GpioOutput(table, lines, edges, ["top"], told.hooks)
    output.camera("top", "running", "")
    output.verdict(lab_verdict(1, WRONG_LOT))
    start = time.monotonic()
    for _ in range(3):
        edges.edge()
    wait_for(lambda: bool(told.signals))
    assert [at for at in lines.times("reject", True) if at > start]
    for _ in range(2):
        edges.edge()
    wait_for(lambda: lines.state("reject") is False)
    output.close()
    assert edges.closed


class FakeRequest:
    """Stands for the kernel, which has no simulated chip here; all else of gpiod is real."""

    def __init__(self) -> None:
        self.values: dict[int, Value] = {}
        self.released = False

    def set_value(self, offset: int, value: Value) -> None:
        self.values[offset] = value

    def wait_edge_events(self, timeout: float) -> bool:
        return True

    def read_edge_events(self) -> list[gpiod.EdgeEvent]:
        return [gpiod.EdgeEvent(1, 1_500_000_000, 5, 1, 1)]

    def release(self) -> None:
        self.released = True


def test_gpiod_is_asked_for_the_right_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[int, gpiod.LineSettings]]] = []
    request = FakeRequest()

    def request_lines(path: str, consumer: str, config: Any) -> FakeRequest:
        asked.append((path, config))
        return request

    monkeypatch.setattr(gpiod, "request_lines", request_lines)
    table = GpioTable(kind="gpio", reject=17, fault=27, encoder=5, gate_counts=9, pulse_counts=2,
                      active_low=("fault",))  # fmt: skip
    output = open_gpio(table, ["top"], Told().hooks)
    output.close()
    (path, lines), (_, encoder) = asked
    assert path == "/dev/gpiochip0"
    assert set(lines) == {17, 27}
    assert all(each.direction == Direction.OUTPUT for each in lines.values())
    assert (lines[17].active_low, lines[27].active_low) == (False, True)
    assert all(each.output_value == Value.ACTIVE for each in lines.values())  # safe at once
    assert encoder[5].edge_detection == Edge.RISING
    assert (request.values, request.released) == ({17: Value.ACTIVE, 27: Value.ACTIVE}, True)
    assert GpiodEdges("/dev/gpiochip0", 5).wait(1.0) == [1.5]


def test_a_chip_that_is_not_there_is_named() -> None:
    with pytest.raises(
        DeviceError, match=r"no-such-chip: line 3, 4: No such file or directory: `gp"
    ):
        GpiodLines("/dev/no-such-chip", {"reject": 3, "ok": 4})
    with pytest.raises(DeviceError, match="no-such-chip"):
        GpiodEdges("/dev/no-such-chip", 3)
