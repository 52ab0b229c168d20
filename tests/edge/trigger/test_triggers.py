"""Triggers: each part fires once, and a source that goes comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker_lab import Broker, Listener
from hypothesis import given, settings
from hypothesis import strategies as st
from plc_lab import Told, tcp_plc, wait_for

from edge.deadline import Deadline
from edge.io.lines import FakeEdges
from edge.io.modbus_client import ModbusClient
from edge.station.triggers import MqttTrigger as MqttTable
from edge.trigger.gpio import GpioTrigger
from edge.trigger.modbus import ModbusTrigger, steps
from edge.trigger.mqtt import MqttTrigger


def test_each_edge_fires_with_its_own_moment() -> None:
    fired: list[float] = []
    told, lines = Told(), [FakeEdges(), FakeEdges()]
    waiting = list(lines)
    trigger = GpioTrigger("barrier", lambda: waiting.pop(0), told.hooks)
    trigger.start(fired.append)
    lines[0].edge(1.5)
    lines[0].edge(2.5)
    wait_for(lambda: fired == [1.5, 2.5])
    lines[0].unplug()
    wait_for(lambda: told.changes == ["up", "down", "up"], "the line to come back")
    lines[1].edge(3.5)
    wait_for(lambda: fired == [1.5, 2.5, 3.5])
    trigger.stop(Deadline.after(20))
    assert all(each.closed for each in lines)


@pytest.mark.parametrize("kind", ["coil", "holding"])
def test_a_plc_fires_by_a_coil_or_a_counter(kind: str) -> None:
    fired: list[float] = []
    told = Told()
    with tcp_plc() as (plc, address):
        client = ModbusClient("trigger", address, 1)
        # The lab's coils are the bits of its registers: 320 is the first of register 20.
        place = 320 if kind == "coil" else 20
        plc.set(20, 0)
        trigger = ModbusTrigger("trigger", client, kind, place, told.hooks)  # type: ignore[arg-type]
        trigger.start(fired.append)
        wait_for(lambda: told.state == "up")
        for value in (1, 0, 1) if kind == "coil" else (1, 2):
            plc.set(20, value)
            seen = plc.requests + 2  # one that is under way may show the value before
            wait_for(lambda: plc.requests > seen)  # noqa: B023
        wait_for(lambda: len(fired) == 2)
        plc.kill()
        wait_for(lambda: told.state == "down")
        plc.set(20, 0 if kind == "coil" else 4)  # two parts pass unseen
        plc.start()
        wait_for(lambda: told.state == "up")
        if kind == "coil":
            plc.set(20, 1)
        wait_for(lambda: len(fired) == (3 if kind == "coil" else 4))
        trigger.stop(Deadline.after(20))


@given(st.integers(0, 65535), st.integers(0, 16))
@settings(deadline=None)
def test_a_counter_fires_for_every_part(last: int, parts: int) -> None:
    assert steps(last, (last + parts) % 65536) == parts


def test_a_message_fires_and_an_old_one_does_not(tmp_path: Path) -> None:
    fired: list[float] = []
    told = Told()
    broker = Broker(tmp_path)
    plant = Listener(broker.port)
    plant.client.publish("cell/part", b"old", 1, retain=True).wait_for_publish(30)
    address = f"mqtt://127.0.0.1:{broker.port}"
    table = MqttTable(kind="mqtt", address=address, topic="cell/part")
    trigger = MqttTrigger("mqtt", table, told.hooks)
    trigger.start(fired.append)
    wait_for(lambda: told.state == "up")
    for _ in range(3):
        plant.client.publish("cell/part", b"{}", 1)
    wait_for(lambda: len(fired) == 3)
    broker.kill()
    wait_for(lambda: told.state == "down")
    broker.start()
    wait_for(lambda: told.state == "up")
    wait_for(plant.client.is_connected)
    plant.client.publish("cell/part", b"{}", 1)
    wait_for(lambda: len(fired) == 4)
    trigger.stop(Deadline.after(20))
    plant.close()
    broker.kill()
