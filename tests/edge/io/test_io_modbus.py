"""Modbus against a real server: the handshake, and a PLC that goes and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from typing import Any

import pytest
from plc_lab import Plc, Told, rtu_plc, tcp_plc, wait_for
from verdict_lab import OK, WRONG_LOT, lab_verdict

from edge.io.machine import MachineOutput
from edge.io.modbus import Register, open_modbus
from edge.station.outputs import ModbusOutput
from edge.verdict import rejected

CABLES = pytest.mark.parametrize("cable", [tcp_plc, rtu_plc], ids=["tcp", "rtu"])


@pytest.fixture
def cable() -> Any:
    return tcp_plc


@pytest.fixture
def line(cable: Any) -> Iterator[tuple[Plc, str]]:
    with cable() as (plc, address):
        yield plc, address


def station(address: str, told: Told, **keys: Any) -> AbstractContextManager[MachineOutput]:
    # A pseudo terminal knows no parity.
    keys = {"heartbeat_ms": 50, "parity": "none", **keys}
    table = ModbusOutput(kind="modbus", address=address, **keys)
    return closing(open_modbus(table, ["top", "side"], told.hooks))


@CABLES
def test_a_result_is_told_acknowledged_recorded_and_done(line: tuple[Plc, str]) -> None:
    plc, address = line
    told = Told()
    with station(address, told) as output:
        output.camera("top", "running", "")
        output.camera("side", "running", "")
        wait_for(lambda: plc[Register.READY] == 1)
        verdicts = [
            lab_verdict(1, OK),
            lab_verdict(70_000, WRONG_LOT, "side"),
            lab_verdict(2, rejected("late", deadline_ms=5)),
        ]
        for verdict in verdicts:
            output.verdict(verdict)
        wait_for(lambda: len(told.signals) == 3)
        assert plc[Register.DONE] == 3
        assert plc[Register.BUSY] == 0
    assert [each[:5] for each in plc.taken] == [
        [1, 0, 0, 1, 1],
        [2, 101, 1, 70_000 - 65536, 2],
        [3, 301, 0, 2, 1],
    ]
    assert all(0 <= each[5] < 30_000 for each in plc.taken)
    assert [each[6] for each in plc.taken] == [1, 2, 3]
    assert [each.said for each in told.signals] == ["OK", "NG 101", "FAULT 301"]
    assert told.acknowledged() == told.asked == [verdict.id for verdict in verdicts]
    assert all(each.error is None for each in told.signals)
    assert told.states == [("up", "")]
    assert plc[Register.READY] == 0  # a clean stop is told


@CABLES
@pytest.mark.parametrize("cleared", [False, True], ids=["retained", "cleared"])
def test_a_plc_that_is_killed_mid_run_loses_nothing(line: tuple[Plc, str], cleared: bool) -> None:
    plc, address = line
    told = Told()
    with station(address, told) as output:
        for number in range(1, 31):
            if number == 11:
                wait_for(lambda: len(plc.taken) == 10)
                plc.kill()
            if number == 21:
                wait_for(lambda: told.state == "down", "the loss to be told")
                plc.start(cleared)
            output.verdict(lab_verdict(number))
        wait_for(lambda: len(told.acknowledged()) == 30)
    taken = [each[3] for each in plc.taken]
    if cleared:  # it does not know what it has taken: the one under way may come twice
        assert len(taken) <= 31
        taken = list(dict.fromkeys(taken))
    assert taken == list(range(1, 31))  # once each, in order
    assert told.changes == ["up", "down", "up"]
    assert "modbus" in told.states[1][1]
    failed = [each for each in told.signals if each.acknowledged is None]
    assert len(failed) <= 1  # only what was on its way when the line broke


@pytest.mark.parametrize("obeys", [False, True])
def test_wherever_the_line_breaks_each_result_is_taken_once(obeys: bool) -> None:
    with tcp_plc() as (plc, address):
        for request in range(1, 13):
            plc.taken.clear()
            plc.requests, plc.fails_at, plc.obeys = 0, request, obeys
            told = Told()
            with station(address, told, heartbeat_ms=10_000) as output:
                for number in (1, 2):
                    output.verdict(lab_verdict(number))
                wait_for(lambda told=told: len(told.acknowledged()) == 2)  # type: ignore[misc]
            assert [each[3] for each in plc.taken] == [1, 2], request


def test_a_plc_that_is_off_at_first_is_waited_for() -> None:
    told = Told()
    with tcp_plc() as (plc, address):
        plc.kill()
        with station(address, told) as output:
            output.verdict(lab_verdict(1))
            wait_for(lambda: told.state == "down")
            assert not told.signals
            plc.start()
            wait_for(lambda: len(plc.taken) == 1)
            wait_for(lambda: told.state == "up")


def test_no_acknowledgement_is_a_fault_and_tried_again(line: tuple[Plc, str]) -> None:
    plc, address = line
    told = Told()
    plc.answering = False
    with station(address, told, ack_ms=60) as output:
        output.verdict(lab_verdict(1))
        output.verdict(lab_verdict(2))
        wait_for(lambda: told.state == "down")
        beats = plc[Register.HEARTBEAT]
        wait_for(lambda: plc[Register.HEARTBEAT] > beats + 3, "the heartbeat to go on")
        assert plc[Register.BUSY] == 1
        plc.answering = True
        wait_for(lambda: len(told.acknowledged()) == 2)
        assert told.state == "up"
    assert [each[3] for each in plc.taken] == [1, 2]
    assert told.states[1] == (
        "down", f"modbus {address}: result 1 is not acknowledged within 60 ms")  # fmt: skip
    first = told.signals[0]
    assert (first.acknowledged, first.error) == (None, "result 1 is not acknowledged within 60 ms")
    assert [each.part for each in told.signals] == [
        lab_verdict(1).id, lab_verdict(1).id, lab_verdict(2).id]  # fmt: skip


def test_without_a_record_a_result_is_never_done(line: tuple[Plc, str]) -> None:
    plc, address = line
    told = Told(record=False)
    with station(address, told) as output:
        output.verdict(lab_verdict(1))
        wait_for(lambda: bool(told.signals))
        assert plc[Register.DONE] == 0
        assert plc.taken
        wait_for(lambda: told.state == "down")
        told.record = True
        output.verdict(lab_verdict(2))
        wait_for(lambda: plc[Register.DONE] == 2)
        wait_for(lambda: told.state == "up")
    assert told.signals[0].acknowledged is not None
    assert "no record" in str(told.signals[0].error)


def test_a_station_that_is_started_again_goes_on_counting(line: tuple[Plc, str]) -> None:
    plc, address = line
    for number in (1, 2):
        told = Told()
        with station(address, told) as output:
            output.verdict(lab_verdict(number))
            wait_for(lambda told=told: bool(told.acknowledged()))  # type: ignore[misc]
    assert [each[6] for each in plc.taken] == [1, 2]


def test_faults_are_shown_and_a_lost_camera_is_not_ready(line: tuple[Plc, str]) -> None:
    plc, address = line
    with station(address, Told(), camera="top") as output:
        output.camera("top", "running", "")
        wait_for(lambda: plc[Register.READY] == 1)
        output.camera("top", "lost", "unplugged")
        wait_for(lambda: plc[Register.FAULT] == 1 and plc[Register.READY] == 0)
        output.fault("records", "disk full")
        wait_for(lambda: plc[Register.FAULT] == 2)
        output.camera("side", "lost", "not mine")
        output.camera("top", "running", "")
        wait_for(lambda: plc[Register.FAULT] == 1 and plc[Register.READY] == 1)
        output.fault("records", None)
        wait_for(lambda: plc[Register.FAULT] == 0)
        output.verdict(lab_verdict(1, camera="side"))
        output.verdict(lab_verdict(2))
        wait_for(lambda: len(plc.taken) == 1)
    assert plc.taken[0][3] == 2


def test_stopping_without_a_plc_gives_up_what_waits_at_once() -> None:
    told = Told()
    with tcp_plc() as (plc, address):
        plc.kill()
        with station(address, told) as output:
            wait_for(lambda: told.state == "down")
            output.verdict(lab_verdict(1))
        plc.start()
    assert [(each.acknowledged, each.error) for each in told.signals] == [
        (None, "stopped before it could be told")]  # fmt: skip


def test_registers_that_a_plc_has_not_are_named(line: tuple[Plc, str]) -> None:
    _, address = line
    told = Told()
    with station(address, told, first_register=60) as output:
        output.verdict(lab_verdict(1))
        wait_for(lambda: told.state == "down")
    assert "holding 70 refused with exception 2" in told.states[0][1]
