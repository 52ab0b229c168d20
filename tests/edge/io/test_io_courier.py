"""The courier: in order, at least once, bounded, whatever the link and the clock do."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import pytest
from plc_lab import Told, rtu_plc, tcp_plc, wait_for
from verdict_lab import lab_verdict

from edge.io import courier as module
from edge.io.courier import Courier, Receipt
from edge.io.modbus import Register, open_modbus
from edge.station.outputs import ModbusOutput
from models.errors import DeviceError


@dataclass(frozen=True)
class Note:
    number: int

    @property
    def part(self) -> str:
        return f"part-{self.number}"

    @property
    def said(self) -> str:
        return "OK"


@dataclass
class LabLink:
    """Does what ``plan`` says at each call, then works."""

    plan: list[str] = field(default_factory=list)
    beat_s: float = math.inf
    taken: list[int] = field(default_factory=list)
    opened: bool = False
    beats: int = 0
    closed: list[bool] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def _next(self) -> str:
        return self.plan.pop(0) if self.plan else ""

    def open(self) -> None:
        assert not self.opened
        if self._next() == "fail":
            raise DeviceError("lab: is off")
        self.opened = True

    def deliver(self, message: Note) -> Receipt:
        assert self.opened
        self.gate.wait(30)
        at = time.time()
        match self._next():
            case "fail":
                raise DeviceError("lab: broke before")
            case "lost":
                self.taken.append(message.number)
                raise DeviceError("lab: broke after")
            case "bug":
                raise ZeroDivisionError
            case "again":
                return Receipt(at, error="no answer", again="at once")
            case "later":
                return Receipt(at, error="busy", again="later")
            case "refused":
                return Receipt(at, error="refused")
        self.taken.append(message.number)
        return Receipt(at, acknowledged=time.time())

    def beat(self) -> None:
        self.beats += 1
        if self._next() == "fail":
            raise DeviceError("lab: no answer")

    def close(self, broken: bool) -> None:
        self.opened = False
        self.closed.append(broken)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(module, "RETRY_MAX_S", 0.01)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_link_does_all_come_in_order_and_once_more_at_most(seed: int) -> None:
    dice = random.Random(seed)
    plan = dice.choices(["", "fail", "lost", "bug", "again", "later"], k=40)
    told, link = Told(), LabLink(plan, beat_s=0.01)
    courier = Courier("lab", link, told.hooks)
    for number in range(30):
        courier.send(Note(number))
    wait_for(lambda: len(told.acknowledged()) == 30)
    wait_for(lambda: told.state == "up")
    courier.close()
    assert list(dict.fromkeys(link.taken)) == list(range(30))
    assert link.taken == sorted(link.taken)
    assert told.acknowledged() == [f"part-{number}" for number in range(30)]
    assert link.closed[-1] is False
    assert all(old != new for old, new in itertools.pairwise(told.states))


def test_what_is_refused_is_told_and_the_rest_goes_on() -> None:
    told, link = Told(), LabLink(["", "", "refused"])
    courier = Courier("lab", link, told.hooks)
    for number in range(3):
        courier.send(Note(number))
    courier.close()
    assert link.taken == [0, 2]
    assert [(each.part, each.error) for each in told.signals] == [
        ("part-0", None), ("part-1", "refused"), ("part-2", None)]  # fmt: skip
    assert told.changes == ["up", "down", "up"]


def test_too_many_that_wait_give_up_the_oldest_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKLOG", 10)
    told, link = Told(), LabLink()
    link.gate.clear()
    courier = Courier("lab", link, told.hooks)
    for number in range(15):
        courier.send(Note(number))
    assert courier.waiting == 10
    link.gate.set()
    courier.close()
    assert link.taken == [0, *range(6, 15)]  # the first was on its way
    lost = [each.part for each in told.signals if each.acknowledged is None]
    assert lost == [f"part-{number}" for number in range(1, 6)]


def test_a_stop_gives_up_what_nobody_answers() -> None:
    for plan in (["fail"] * 1000, ["", *["again"] * 100_000], ["", *["later"] * 1000]):
        told = Told()
        courier = Courier("lab", LabLink(list(plan)), told.hooks)
        courier.send(Note(1))
        courier.send(Note(2))
        wait_for(lambda told=told: told.state == "down")  # type: ignore[misc]
        start = time.monotonic()
        courier.close()
        assert time.monotonic() - start < 10
        assert {each.part for each in told.signals} == {"part-1", "part-2"}
        assert not told.acknowledged()


def test_a_stop_before_the_first_connection_still_delivers() -> None:
    told, link = Told(), LabLink()
    courier = Courier("lab", link, told.hooks)
    courier.send(Note(1))
    courier.close()
    assert link.taken == [1]


def test_a_listener_that_fails_does_not_break_the_link() -> None:
    told, link = Told(), LabLink()

    def broken(*told: object) -> None:
        raise RuntimeError

    hooks = type(told.hooks)(on_signal=broken, on_state=broken)
    courier = Courier("lab", link, hooks)
    for number in range(3):
        courier.send(Note(number))
    courier.close()
    assert link.taken == [0, 1, 2]


@pytest.mark.parametrize("cable", [tcp_plc, rtu_plc], ids=["tcp", "rtu"])
def test_a_clock_that_jumps_back_a_day_holds_nothing_up(
    cable: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    real = time.time
    jumps = itertools.count()
    with cable() as (plc, address):
        monkeypatch.setattr(time, "time", lambda: real() - 86_400 * next(jumps))
        table = ModbusOutput(
            kind="modbus", address=address, heartbeat_ms=50, ack_ms=100, parity="none"
        )
        output = open_modbus(table, ["top"], told.hooks)
        for number in range(1, 11):
            if number == 5:
                wait_for(lambda: len(told.acknowledged()) == 4)
                plc.kill()  # nobody answers any more: the wait for that must end
                wait_for(lambda: told.state == "down")
                plc.start()
            output.verdict(lab_verdict(number))
        wait_for(lambda: len(told.acknowledged()) == 10)
        output.close()
    assert [each[3] for each in plc.taken] == list(range(1, 11))


def test_a_station_that_is_killed_is_seen_by_its_heartbeat() -> None:
    code = """
import sys, time
from edge.io.hooks import Hooks
from edge.io.modbus import open_modbus
from edge.station.outputs import ModbusOutput
output = open_modbus(
    ModbusOutput(kind="modbus", address=sys.argv[1], heartbeat_ms=50), ["top"], Hooks())
output.camera("top", "running", "")
time.sleep(60)
"""
    with tcp_plc() as (plc, address):
        process = subprocess.Popen([sys.executable, "-c", code, address])
        wait_for(lambda: plc[Register.HEARTBEAT] > 3 and plc[Register.READY] == 1)
        process.kill()
        process.wait()
        time.sleep(0.1)
        still = plc[Register.HEARTBEAT]
        time.sleep(0.5)
        assert plc[Register.HEARTBEAT] == still
        assert plc[Register.READY] == 1  # which is why a PLC must look at the heartbeat
