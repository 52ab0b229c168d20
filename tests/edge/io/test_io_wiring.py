"""A whole station's outputs, wired to the records and to each other."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import jsonschema_rs
import pytest
from broker_lab import Broker, Listener
from metrics_lab import parsed, total
from plc_lab import tcp_plc, wait_for
from prometheus_client import CollectorRegistry, generate_latest
from verdict_lab import WRONG_LOT, lab_verdict

import edge.io
from edge.io.base import Output
from edge.io.faults import Faults
from edge.io.modbus import Register
from edge.io.signal import REASONS, Result, Signal, after
from edge.io.wiring import open_outputs
from edge.judge.reasons import TEMPLATES
from edge.metrics.counts import Counts
from edge.station import Station, example_station, load_station
from edge.verdict import rejected
from models.errors import InputError, LineguardError

SCHEMA = Path(edge.io.__file__).parents[2] / "docs" / "verdict.schema.json"


def station(tmp_path: Path, more: str) -> Station:
    (tmp_path / "station.toml").write_text(example_station() + more, "utf-8")
    return load_station(tmp_path / "station.toml")


def test_signals_and_records_know_of_each_other(tmp_path: Path) -> None:
    shown: list[tuple[str, str | None]] = []
    broker = Broker(tmp_path)
    listener = Listener(broker.port)
    with tcp_plc() as (plc, address):
        tables = f"""
[[outputs]]
kind = "modbus"
address = "{address}"
[[outputs]]
kind = "mqtt"
address = "mqtt://127.0.0.1:{broker.port}"
topic = "t"
[records]
path = "records"
"""
        outputs = open_outputs(station(tmp_path, tables), lambda *told: shown.append(told))
        verdicts = [lab_verdict(1), lab_verdict(2, WRONG_LOT)]
        for verdict in verdicts:
            for output in outputs:
                output.verdict(verdict)
        wait_for(lambda: plc[Register.DONE] == 2, "both results to be recorded and done")
        wait_for(lambda: len(listener.of("t/verdict")) == 2, "both records to be forwarded")
        broker.kill()
        wait_for(lambda: any(name.startswith("mqtt") for name, _ in shown))
        assert plc[Register.FAULT] == 0  # parts are inspected and recorded all the same
        for output in outputs[::-1]:
            output.close()
    listener.close()
    schema = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    for body in listener.of("t/verdict"):
        schema.validate(json.loads(body))
    query = "SELECT part, said, acknowledged IS NOT NULL, error FROM signals ORDER BY part"
    with sqlite3.connect(tmp_path / "records" / "records.db") as database:
        rows = database.execute(query).fetchall()
    assert len(rows) == 2
    assert [row[1:] for row in rows] == [("OK", 1, None), ("NG 101", 1, None)]


def test_a_machine_that_is_lost_is_a_fault_for_the_others(tmp_path: Path) -> None:
    shown: list[tuple[str, str | None]] = []
    with tcp_plc() as (first, one), tcp_plc() as (second, two):
        tables = "".join(
            f'[[outputs]]\nkind = "modbus"\naddress = "{each}"\n' for each in (one, two)
        )
        outputs = open_outputs(station(tmp_path, tables), lambda *told: shown.append(told))
        wait_for(lambda: first[Register.HEARTBEAT] > 0 and second[Register.HEARTBEAT] > 0)
        first.kill()
        wait_for(lambda: second[Register.FAULT] == 1)
        first.start()
        wait_for(lambda: second[Register.FAULT] == 0)
        for output in outputs:
            output.close()
    assert [name for name, _ in shown] == [f"modbus {one}"] * len(shown)
    assert (shown[0][1] is None, shown[-1][1]) == (False, None)


def test_what_was_opened_is_closed_if_the_next_cannot_be(tmp_path: Path) -> None:
    tables = '[[outputs]]\nkind = "webhook"\nurl = "http://h/"\nsecret_file = "none"\n'
    for _ in range(2):  # the lock on the file of verdicts is free again
        with pytest.raises(InputError, match="none: cannot be read"):
            open_outputs(station(tmp_path, tables), lambda *told: None)


def test_a_library_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymodbus", None)
    for name in ("edge.io.modbus", "edge.io.modbus_client"):
        monkeypatch.delitem(sys.modules, name)
    tables = '[[outputs]]\nkind = "modbus"\naddress = "tcp://plc"\n'
    with pytest.raises(LineguardError, match=r"pymodbus is not installed.*lineguard\[box\]"):
        open_outputs(station(tmp_path, tables), lambda *told: None)


def test_faults_are_told_to_all_but_their_source_and_to_newcomers() -> None:
    faults, first, second = Faults(), list[tuple[str, str | None]](), list[tuple[str, str | None]]()
    faults.listen("a", lambda *told: first.append(told))
    faults.tell("a", "broken")
    faults.tell("b", None)  # was none
    faults.tell("b", "gone")
    faults.listen("c", lambda *told: second.append(told))
    faults.tell("b", None)
    assert first == [("b", "gone"), ("b", None)]
    assert second == [("a", "broken"), ("b", "gone"), ("b", None)]


def test_every_reason_has_a_number_of_its_own() -> None:
    assert set(REASONS) == set(TEMPLATES)
    assert len(set(REASONS.values())) == len(REASONS)
    text = (Path(edge.io.__file__).parents[2] / "docs" / "integration.md").read_text("utf-8")
    missing = [code for code, number in REASONS.items() if f"| {number} | `{code}` |" not in text]
    assert not missing


def test_what_befell_the_machine_is_a_fault_and_never_passes() -> None:
    assert Signal.of(lab_verdict(1, rejected("late", deadline_ms=9))).result is Result.FAULT
    assert Signal.of(lab_verdict(1, WRONG_LOT)).result is Result.NG
    unknown = Signal.of(lab_verdict(1, rejected("brand_new")))
    assert (unknown.result, unknown.reason) == (Result.FAULT, 999)
    assert (after(0), after(65535), after(65535, taken=1)) == (1, 1, 2)


def test_metrics_know_what_machines_took_and_what_waits(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    counts = Counts(registry)
    broker = Broker(tmp_path)
    with tcp_plc() as (plc, address):
        tables = f"""
[[outputs]]
kind = "modbus"
address = "{address}"
[[outputs]]
kind = "mqtt"
address = "mqtt://127.0.0.1:{broker.port}"
[records]
path = "records"
"""
        made = station(tmp_path, tables)
        outputs = open_outputs(made, lambda *told: None, counts.signalled)
        machine, mqtt = outputs[-2:]

        def show(number: int) -> None:
            verdict = lab_verdict(number)
            for output in outputs:
                output.verdict(verdict)
            counts.verdict(verdict)

        def signals(result: str) -> float:
            series = parsed(generate_latest(registry).decode())
            return total(series, "lineguard_signals_total", output=machine.name, result=result)

        def waiting(output: Output) -> int:
            return int(getattr(output, "waiting", -1))

        show(1)
        wait_for(lambda: signals("acknowledged") == 1)
        wait_for(lambda: plc[Register.DONE] == 1 and waiting(machine) == waiting(mqtt) == 0)
        plc.kill()
        broker.kill()
        for number in (2, 3, 4):
            show(number)
        wait_for(lambda: waiting(machine) == 3, "results to wait for the PLC")
        wait_for(lambda: waiting(mqtt) >= 2, "records to wait for the broker")
        wait_for(lambda: signals("failed") >= 1)
        plc.start()
        wait_for(lambda: waiting(machine) == 0)
        wait_for(lambda: signals("acknowledged") == 4)
        for output in outputs[::-1]:
            output.close()
    timed = total(parsed(generate_latest(registry).decode()), "lineguard_signal_seconds_count")
    assert timed == 4
