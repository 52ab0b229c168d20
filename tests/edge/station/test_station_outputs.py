"""The ``[[outputs]]`` of a station file: what is refused, and in which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.station import Station, example_station, load_station
from edge.station.outputs import OutputTable
from models.errors import ConfigError

PLC = 'kind = "modbus"\naddress = "tcp://plc:502"'
MQTT = 'kind = "mqtt"\naddress = "mqtt://broker"'
GPIO = 'kind = "gpio"\nreject = 1'
HOOK = 'kind = "webhook"\nurl = "http://mes/verdicts"'


def load(tmp_path: Path, table: str) -> Station:
    text = example_station() + "\n[[outputs]]\n" + table + "\n"
    (tmp_path / "station.toml").write_text(text, "utf-8")
    return load_station(tmp_path / "station.toml")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('kind = "modbuss"', 'kind = "modbuss": is not known: did you mean "modbus"?'),
        ("", "outputs[1].kind: is missing: one of jsonl, modbus, serial, mqtt, webhook, gpio"),
        (
            PLC.replace("tcp://plc:502", "plc:502"),
            "must be tcp://HOST:PORT or the path of a serial",
        ),
        (PLC.replace("502", "port"), "must be tcp://HOST"),
        (PLC + "\nbaud = 1234", "baud = 1234: must be one of 1200, 2400,"),
        (PLC + "\nack_m = 5", 'ack_m: unknown key: did you mean "ack_ms"?'),
        (PLC + "\nack_ms = 5", "ack_ms = 5: must be at least 20"),
        (PLC + '\ncamera = "tip"', "there is none of that name in cameras: did you mean"),
        ('kind = "serial"', "outputs[1].port: is missing (e.g. /dev/ttyUSB0)"),
        (MQTT.replace("mqtt://", "http://"), "must be mqtt://HOST or mqtts://HOST"),
        (MQTT.replace("broker", "me:secret@broker"), "must hold no password: give user and"),
        (MQTT.replace("broker", "broker/topic"), "must end after the port: give topic"),
        (MQTT + '\ntopic = "a/#"', "must be a topic without + # and"),
        (MQTT + '\nca_file = "ca.pem"', "ca_file needs an address mqtts://"),
        (
            MQTT.replace("mqtt:", "mqtts:") + '\nkey_file = "k"',
            "cert_file and key_file go together",
        ),
        (MQTT + '\npassword_file = "p"', "password_file needs a user"),
        (MQTT + '\npayload = "xml"', 'payload = "xml": is not known: one of json, sparkplug'),
        (HOOK.replace("http:", "ftp:"), "must be http://HOST or https://HOST"),
        ('kind = "gpio"', "names no line: give reject, ok, fault or heartbeat"),
        (GPIO + "\nok = 1", "gives one line two meanings"),
        (
            GPIO + '\nactive_low = ["rejct"]',
            "must be one of 'reject', 'ok', 'fault' or 'heartbeat'",
        ),
        (GPIO + "\ngate_ms = 1200\ngate_counts = 5", "has gate_ms and gate_counts"),
        (GPIO + "\ngate_counts = 5", "encoder, gate_counts and pulse_counts go together"),
        ('kind = "gpio"\nok = 1\ngate_ms = 1200', "has a gate without reject"),
        (GPIO + "\ngate_ms = 800", "gate_ms = 800: must be more than deadline_ms, 800"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, table)
    assert len(caught.value.faults) == 1
    assert says in caught.value.faults[0]
    assert "secret" not in caught.value.faults[0]


@pytest.mark.parametrize("table", [PLC, MQTT, GPIO, HOOK, 'kind = "serial"\nport = "/dev/ttyS0"'])
def test_what_is_needed_is_enough(tmp_path: Path, table: str) -> None:
    assert load(tmp_path, table).outputs[1].kind in table


def test_what_the_example_calls_optional_is_the_default(tmp_path: Path) -> None:
    example = re.sub(r"(?m)^# (?=\[|\w+ = )", "", example_station())
    for table in example.split("[[outputs]]")[2:]:
        lines = [line for line in table.split("[records]")[0].splitlines() if " = " in line]
        output = load(tmp_path, "\n".join(line for line in lines if not line.startswith("#")))
        written: OutputTable = output.outputs[1]
        for line in lines:
            if line.endswith("(optional)") and not re.match(r"topic|\w+_file|user|gate_ms", line):
                key = line.split(" = ")[0]
                if key not in ("active_low",):
                    field = type(written).model_fields[key]
                    assert getattr(written, key) == field.get_default(), key
