"""The ``trigger`` of a camera in a station file: what is refused, and in which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.station import Station, example_station, load_station
from edge.station.triggers import GpioTrigger, ModbusTrigger
from models.errors import ConfigError

MODBUS = 'kind = "modbus", address = "tcp://plc"'
MQTT = 'kind = "mqtt", address = "mqtt://broker", topic = "a/b"'
GPIO = 'kind = "gpio", line = 26'
SIDE = """
[[cameras]]
name = "side"
source = "folder:side"
trigger = { %s }
[[regions]]
name = "of-side"
camera = "side"
model = "print"
[[rules]]
name = "side-ok"
kind = "text"
region = "of-side"
equals = "OK"
"""


def load(tmp_path: Path, trigger: str, *changes: tuple[str, str], more: str = "") -> Station:
    text = example_station()
    for old, new in [*changes, ("mm_per_pixel = 0.12 ", f"trigger = {{ {trigger} }} ")]:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "station.toml").write_text(text + more, "utf-8")
    return load_station(tmp_path / "station.toml")


@pytest.mark.parametrize(
    ("trigger", "says"),
    [
        ("line = 3", "trigger.kind: is missing: one of gpio, modbus, mqtt, software, vision"),
        ('kind = "gpoi"', 'trigger.kind = "gpoi": is not known: did you mean "gpio"?'),
        ('kind = "gpio"', "trigger.line: is missing (number of the input line on the chip)"),
        (GPIO + ", pul = 1", 'trigger.pul: unknown key: did you mean "pull"?'),
        (GPIO + ', edge = "risin"', 'trigger.edge = "risin": is not known: did you mean "rising"'),
        (GPIO + ", delay_ms = -1", "trigger.delay_ms = -1: must be at least 0 (trigger to"),
        (GPIO + ", delay_ms = 800", "together: else no time is left to inspect"),
        (GPIO + ", delay_ms = 500, picture_ms = 300", "must be less than deadline_ms, 800"),
        (MODBUS, "looks at one of coil, discrete, holding, input: give the address of one"),
        (MODBUS + ", coil = 1, input = 1", "looks at one of coil, discrete, holding, input"),
        (MQTT.replace("a/b", "a/#"), 'topic = "a/#": must be a topic without + # and'),
        (MQTT + ', ca_file = "ca.pem"', "ca_file needs an address mqtts://"),
        ('kind = "vision", box = [0, 0, 1300, 9]', 'camera "top" has width 1280'),
        ('kind = "vision", moves = "on"', 'moves = "on": is not known'),
        ('kind = "software", topic = 1', "trigger.topic: unknown key: one of delay_ms, picture"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, trigger: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, trigger)
    assert len(caught.value.faults) == 1
    assert says in caught.value.faults[0]


def test_a_trigger_wants_every_picture(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every trigger wants one of its own: leave policy out"):
        load(tmp_path, GPIO, ('policy = "every"', 'policy = "freshest"'))


@pytest.mark.parametrize("line", ["encoder = 26", "reject = 26"])
def test_a_line_has_one_meaning(tmp_path: Path, line: str) -> None:
    gpio = f'\n[[outputs]]\nkind = "gpio"\nok = 1\n{line}\n'
    if "encoder" in line:
        gpio += "reject = 2\ngate_counts = 600\npulse_counts = 50\n"
    with pytest.raises(ConfigError, match="uses that line already, and differently") as caught:
        load(tmp_path, GPIO, more=gpio)
    assert line.split()[0] in caught.value.faults[0]


def test_two_cameras_may_share_a_light_barrier(tmp_path: Path) -> None:
    station = load(tmp_path, GPIO, more=SIDE % f"{GPIO}, delay_ms = 120")
    first, second = (camera.trigger for camera in station.cameras)
    assert isinstance(first, GpioTrigger)
    assert isinstance(second, GpioTrigger)
    assert first.source == second.source
    with pytest.raises(ConfigError, match=r"cameras\[0\]\.trigger uses that line already"):
        load(tmp_path, GPIO, more=SIDE % f'{GPIO}, edge = "falling"')


@pytest.mark.parametrize("kind", ["coil", "discrete", "holding", "input"])
def test_a_plc_is_looked_at_in_one_place(tmp_path: Path, kind: str) -> None:
    trigger = load(tmp_path, f"{MODBUS}, {kind} = 0").cameras[0].trigger
    assert isinstance(trigger, ModbusTrigger)
    assert trigger.place == (kind, 0)


def test_what_the_example_says_of_triggers_is_so(tmp_path: Path) -> None:
    text = example_station()
    plain = re.sub(r"(?m)^# (?=\[cameras|(?:kind|chip|line|edge|pull|\w+_ms) = .*\()", "", text)
    plain = plain.replace('# kind = "gpio"              # a light', 'kind = "gpio"  # a light')
    plain = plain.replace("# line = 26", "line = 26")
    head = plain[: plain.index("# Models by name")] + text[text.index("# Models by name") :]
    (tmp_path / "station.toml").write_text(head, "utf-8")
    trigger = load_station(tmp_path / "station.toml").cameras[0].trigger
    assert trigger == GpioTrigger(kind="gpio", line=26, picture_ms=70)
    prose = text[text.index("# Other kinds, each") : text.index("# Models by name")]
    for shown in re.findall(r'kind = "(\w+)"', prose):
        assert shown in {"modbus", "mqtt", "software", "vision"}
