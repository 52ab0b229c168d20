"""MQTT against a real broker, killed and restarted mid-run; JSON and Sparkplug."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from broker_lab import Broker, Listener
from plc_lab import Told, wait_for
from sparkplug_lab import decode
from verdict_lab import WRONG_LOT, lab_verdict

from edge.io.mqtt import MqttOutput, open_mqtt
from edge.io.sparkplug import Metric, encode_payload
from edge.station.outputs import MqttOutput as MqttTable
from models.errors import InputError

SCHEMA = Path(__file__).parents[3] / "docs" / "verdict.schema.json"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@contextmanager
def listening(broker: Broker) -> Iterator[Listener]:
    listener = Listener(broker.port)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def station(
    broker: Broker, told: Told, forwarded: bool = False, **keys: Any
) -> Iterator[MqttOutput]:
    address = f"mqtt://127.0.0.1:{broker.port}"
    table = MqttTable(kind="mqtt", address=address, **keys)
    output = open_mqtt(table, "line-1", ["top", "side"], told.hooks, forwarded=forwarded)
    with closing(output):
        yield output


def verdicts(listener: Listener) -> list[dict[str, Any]]:
    return [json.loads(each) for each in listener.of("lineguard/line-1/verdict")]


def test_a_verdict_is_published_as_the_schema_says(broker: Broker) -> None:
    told = Told()
    with listening(broker) as listener:
        with station(broker, told) as output:
            output.verdict(lab_verdict(1))
            output.verdict(lab_verdict(2, WRONG_LOT))
            output.camera("top", "running", "")
            output.camera("unknown", "running", "")
            wait_for(lambda: b"running" in listener.of("lineguard/line-1/camera/top"))
            assert listener.of("lineguard/line-1/camera/side") == [b"starting"]
        wait_for(lambda: listener.of("lineguard/line-1/status")[-1] == b"offline")
    assert listener.of("lineguard/line-1/status") == [b"online", b"offline"]
    schema = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    for body in verdicts(listener):
        schema.validate(body)
        with pytest.raises(jsonschema_rs.ValidationError):
            schema.validate(body | {"verdict": "ok"})
    assert [(body["part"], body["verdict"]) for body in verdicts(listener)] == [
        (1, "OK"), (2, "NG")]  # fmt: skip
    assert not verdicts(listener)[0]["is_historical"]
    assert told.acknowledged() == [lab_verdict(1).id, lab_verdict(2).id]


@pytest.mark.parametrize("payload", ["json", "sparkplug"])
def test_a_broker_that_is_killed_mid_run_loses_nothing(broker: Broker, payload: str) -> None:
    told = Told()
    with listening(broker) as listener, station(broker, told, payload=payload) as output:
        for number in range(1, 31):
            if number == 11:
                wait_for(lambda: len(told.acknowledged()) == 10)
                wait_for(lambda: len(records(listener)) == 10)
                wait_for(broker.remembers)
                broker.kill()
                wait_for(lambda: told.state == "down")
            if number == 21:
                time.sleep(1.2)  # what waits so long is historical
                broker.start()
            output.verdict(lab_verdict(number))
        wait_for(lambda: len(told.acknowledged()) == 30)
        wait_for(lambda: bool(records(listener)) and records(listener)[-1][0] == 30)
    heard = records(listener)
    assert list(dict.fromkeys(part for part, _ in heard)) == list(range(1, 31))  # in order
    assert {historical for part, historical in heard if 11 <= part <= 20} == {True}
    assert {historical for part, historical in heard if part <= 10} == {False}
    assert told.changes == ["up", "down", "up"]
    assert "mqtt" in told.states[1][1]


def records(listener: Listener) -> list[tuple[int, bool]]:
    """Part numbers as they were heard, and whether each was said to be historical."""
    found = [(body["part"], body["is_historical"]) for body in verdicts(listener)]
    for payload in listener.of("spBv1.0/lineguard/DDATA/line-1/top"):
        metrics = {metric.name: metric for metric in decode(payload).metrics}
        if "Verdict/Part" in metrics:
            part = metrics["Verdict/Part"]
            found.append((part.long_value, part.is_historical))
    return found


def test_a_station_that_dies_is_told_by_its_will(broker: Broker) -> None:
    code = """
import sys, time
from edge.io.hooks import Hooks
from edge.io.mqtt import open_mqtt
from edge.station.outputs import MqttOutput
table = MqttOutput(kind="mqtt", address=sys.argv[1])
open_mqtt(table, "line-1", ["top"], Hooks(), forwarded=False)
time.sleep(60)
"""
    with listening(broker) as listener:
        address = f"mqtt://127.0.0.1:{broker.port}"
        process = subprocess.Popen([sys.executable, "-c", code, address])
        wait_for(lambda: listener.of("lineguard/line-1/status") == [b"online"])
        process.kill()
        process.wait()
        wait_for(lambda: listener.of("lineguard/line-1/status") == [b"online", b"offline"])


def test_records_are_forwarded_once_the_broker_has_them(broker: Broker) -> None:
    told = Told()
    with station(broker, told, forwarded=True, camera="top") as output:
        with listening(broker) as listener:
            output.verdict(lab_verdict(9))  # comes from the records, and not twice
            wait_for(lambda: told.state == "up")
            assert output.publish(lab_verdict(1).as_record(), historical=True)
            assert output.publish(lab_verdict(2, camera="side").as_record(), historical=True)
            wait_for(lambda: records(listener) == [(1, True)])
        broker.kill()
        wait_for(lambda: told.state == "down")
        assert not output.publish(lab_verdict(3).as_record(), historical=False)
    assert not told.signals


def test_a_login_that_is_refused_is_told(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("")
    (tmp_path / "password").write_text("wrong")
    broker = Broker(tmp_path, f"allow_anonymous false\npassword_file {tmp_path}/users")
    told = Told()
    with station(broker, told, user="me", password_file=str(tmp_path / "password")):
        wait_for(lambda: bool(told.states))
    broker.kill()
    assert told.state == "down"
    assert "refuses: Not authorized: see to user" in told.states[0][1]


def test_tls_with_a_private_authority(tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]  # fmt: skip
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
    files = f"certfile {tmp_path}/cert.pem\nkeyfile {tmp_path}/key.pem\nallow_anonymous true"
    broker = Broker(tmp_path, files)
    address = f"mqtts://127.0.0.1:{broker.port}"
    for trusted, state in ((str(tmp_path / "cert.pem"), "up"), (None, "down")):
        told = Told()
        table = MqttTable(kind="mqtt", address=address, ca_file=trusted)
        with closing(open_mqtt(table, "line-1", ["top"], told.hooks, forwarded=False)):
            wait_for(lambda told=told: bool(told.states))  # type: ignore[misc]
            assert told.state == state
    assert "certificate verify failed" in told.states[0][1]
    broker.kill()
    table = MqttTable(kind="mqtt", address=address, ca_file=str(tmp_path / "mosquitto.conf"))
    with pytest.raises(InputError, match=r"mosquitto.conf: cannot be used for TLS"):
        open_mqtt(table, "line-1", ["top"], told.hooks, forwarded=False)


def test_sparkplug_births_data_rebirth_and_death(broker: Broker) -> None:
    told = Told()
    node = "spBv1.0/plant/{}/line-1"
    with listening(broker) as listener:
        with station(broker, told, payload="sparkplug", group="plant") as output:
            wait_for(lambda: told.state == "up")
            output.camera("top", "running", "")
            output.verdict(lab_verdict(70_000, WRONG_LOT))
            wait_for(lambda: len(listener.of(node.format("DDATA") + "/top")) == 2)
            command = encode_payload(0, [Metric("Node Control/Rebirth", True, 0)], None)
            listener.client.publish(node.format("NCMD"), command, 1)
            wait_for(lambda: len(listener.of(node.format("DBIRTH") + "/side")) == 2)
        wait_for(lambda: bool(listener.of(node.format("NDEATH"))))
    births = [decode(each) for each in listener.of(node.format("NBIRTH"))]
    death = decode(listener.of(node.format("NDEATH"))[0])
    assert [birth.seq for birth in births] == [0, 0]
    numbers = [{m.name: m.long_value for m in each.metrics}["bdSeq"] for each in (*births, death)]
    assert len(set(numbers)) == 1
    assert not death.HasField("seq")
    sequence = [
        decode(payload).seq
        for topic, payload, _ in listener.heard
        if any(f"/{kind}/" in topic for kind in ("NBIRTH", "DBIRTH", "DDATA"))
    ]
    assert sequence == [0, 1, 2, 3, 4, 0, 1, 2]
    known = {metric.name: metric.datatype for metric in decode(
        listener.of(node.format("DBIRTH") + "/top")[0]).metrics}  # fmt: skip
    data = [decode(each) for each in listener.of(node.format("DDATA") + "/top")]
    metrics = {metric.name: metric for each in data for metric in each.metrics}
    assert {name: metric.datatype for name, metric in metrics.items()} == known
    assert metrics["Verdict/Result"].string_value == "NG"
    assert metrics["Verdict/Part"].long_value == 70_000
    assert metrics["Verdict/Latency"].double_value == 123.0
    assert metrics["Camera/State"].string_value == "running"
    record = json.loads(metrics["Verdict/Record"].string_value)
    assert record["part"] == 70_000
    at = datetime.fromisoformat(record["time"]).timestamp() * 1000
    assert abs(metrics["Verdict/Result"].timestamp - at) <= 1
    assert not metrics["Verdict/Result"].is_historical
