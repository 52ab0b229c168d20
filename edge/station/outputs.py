"""The ``[[outputs]]`` of ``station.toml``: where verdicts go, one table for each kind.

They stand here and not beside what they configure, since a station file is checked without the
libraries that talk to machines.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from typing_extensions import Self

from edge.judge.fields import Many, Table
from edge.station.paths import FilePath

__all__ = [
    "GPIO_CHIP",
    "GPIO_LINES",
    "Baud",
    "Broker",
    "GpioOutput",
    "JsonlOutput",
    "LineNumber",
    "ModbusOutput",
    "MqttLogin",
    "MqttOutput",
    "OutputTable",
    "Plc",
    "SerialOutput",
    "Topic",
    "WebhookOutput",
]

GPIO_CHIP = "/dev/gpiochip0"
"""The first chip of the box."""

GPIO_LINES = ("reject", "ok", "fault", "heartbeat", "encoder")
"""Keys of a GPIO output that name a line."""


def _plc(address: str) -> str:
    if address.startswith("tcp://"):
        _host("tcp", address)
    elif not re.fullmatch(r"/\S+", address):
        raise ValueError("must be tcp://HOST:PORT or the path of a serial port")
    return address


def _host(schemes: str, address: str) -> None:
    try:
        parts = urlsplit(address)
        known = parts.scheme in schemes.split() and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        known = False
    if not known or not address.isprintable() or " " in address:
        raise ValueError(f"must be {' or '.join(f'{each}://HOST' for each in schemes.split())}")
    if parts.username is not None:
        raise ValueError("must hold no password: give user and password_file")


def _broker(address: str) -> str:
    _host("mqtt mqtts", address)
    if urlsplit(address).path not in ("", "/"):
        raise ValueError("must end after the port: give topic")
    return address


def _web(url: str) -> str:
    _host("http https", url)
    return url


def _topic(topic: str) -> str:
    if set(topic) & set("+#\0") or topic.startswith(("/", "$")) or topic.endswith("/"):
        raise ValueError("must be a topic without + # and without / at its ends")
    return topic


Topic = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_topic)]
"""A topic that is published to or listened to: no wildcards."""

Plc = Annotated[str, Field(max_length=256), AfterValidator(_plc)]
"""Where a Modbus device is."""

Broker = Annotated[str, Field(max_length=256), AfterValidator(_broker)]
"""Where an MQTT broker is."""

_GroupId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^+#/]+$")]

_AckMs = Annotated[int, Field(ge=20, le=60_000)]
_BeatMs = Annotated[int, Field(ge=50, le=10_000)]
Baud = Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600]
"""Of a serial line."""
_Register = Annotated[int, Field(ge=0, le=65_500)]


class JsonlOutput(Table):
    """Verdicts as one JSON object a line."""

    kind: Literal["jsonl"]
    path: FilePath = Field(description="file that is appended to; relative to the station file")


class _Signals(Table):
    """What those have in common that tell a machine."""

    camera: str | None = Field(None, description="whose parts; those of all cameras if left out")


class ModbusOutput(_Signals):
    """A PLC, by Modbus TCP or RTU."""

    kind: Literal["modbus"]
    address: Plc = Field(description="tcp://HOST:PORT, or the serial port of an RTU line")
    baud: Baud = Field(19200, description="of an RTU line")
    parity: Literal["even", "odd", "none"] = Field("even", description="of an RTU line")
    device: int = Field(1, ge=0, le=247, description="unit id; 0 and 255 mean nobody on RTU lines")
    first_register: _Register = Field(0, description="of the 12 holding registers it writes")
    ack_register: _Register | None = Field(
        None, description="the one it reads; 16 after the first if left out"
    )
    ack_ms: _AckMs = Field(500, description="for the PLC to acknowledge; some scans of its program")
    heartbeat_ms: _BeatMs = Field(500, description="between two counts of the heartbeat")


class SerialOutput(_Signals):
    """A microcontroller on a serial line."""

    kind: Literal["serial"]
    port: FilePath = Field(description="e.g. /dev/ttyUSB0")
    baud: Baud = Field(115200, description="8 bits, no parity")
    ack_ms: _AckMs = Field(500, description="for it to acknowledge a line")
    heartbeat_ms: _BeatMs = Field(500, description="between two signs of life")


class MqttLogin(Table):
    """A broker, and how to log in there."""

    address: Broker = Field(description="mqtt://HOST:PORT or mqtts://HOST:PORT")
    user: str | None = Field(None, min_length=1, max_length=256, description="at the broker")
    password_file: FilePath | None = Field(None, description="holds nothing but the password")
    ca_file: FilePath | None = Field(None, description="whose certificates are trusted, for mqtts")
    cert_file: FilePath | None = Field(None, description="the station's own certificate, for mqtts")
    key_file: FilePath | None = Field(None, description="the key to cert_file")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        tls = [key for key in ("ca_file", "cert_file", "key_file") if getattr(self, key)]
        if tls and not self.address.startswith("mqtts:"):
            raise ValueError(f"{tls[0]} needs an address mqtts://")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.password_file and not self.user:
            raise ValueError("password_file needs a user")
        return self


class MqttOutput(_Signals, MqttLogin):
    """The plant's MQTT broker."""

    kind: Literal["mqtt"]
    topic: Topic | None = Field(None, description="lineguard/ and the station's name if left out")
    payload: Literal["json", "sparkplug"] = "json"
    group: _GroupId = Field("lineguard", description="Sparkplug's group id")


class WebhookOutput(_Signals):
    """A web server that is told each verdict."""

    kind: Literal["webhook"]
    url: Annotated[str, Field(max_length=2048), AfterValidator(_web)] = Field(
        repr=False, description="http://HOST/PATH or https://HOST/PATH"
    )
    secret_file: FilePath | None = Field(
        None, description="holds the key that bodies are signed by"
    )
    timeout_s: float = Field(5.0, ge=0.1, le=60, description="for the server to answer")
    tries: int = Field(8, ge=1, le=100, description="of a verdict that the server cannot take now")


LineNumber = Annotated[int, Field(ge=0, le=1023)]
"""A line of a GPIO chip."""


class GpioOutput(_Signals):
    """Lines of the box itself."""

    kind: Literal["gpio"]
    chip: FilePath = Field(GPIO_CHIP, description="as gpiodetect shows it")
    reject: LineNumber | None = Field(None, description="active while a part is to be blown off")
    ok: LineNumber | None = Field(None, description="active for pulse_ms for each good part")
    fault: LineNumber | None = Field(None, description="active while something is at fault")
    heartbeat: LineNumber | None = Field(None, description="changes as long as the station lives")
    encoder: LineNumber | None = Field(None, description="input that counts the belt's steps")
    active_low: Many[Literal["reject", "ok", "fault", "heartbeat"]] = Field(
        (), max_length=4, description="lines that are low when active"
    )
    pulse_ms: int = Field(100, ge=1, le=10_000, description="how long ok and reject are active")
    gate_ms: int | None = Field(
        None, ge=1, le=600_000, description="trigger to gate; at the verdict if left out"
    )
    gate_counts: int | None = Field(
        None, ge=1, le=1_000_000, description="trigger to gate in steps of the encoder"
    )
    pulse_counts: int | None = Field(
        None, ge=1, le=100_000, description="how long reject is active, in steps of the encoder"
    )
    hold_reject: bool = Field(True, description="reject stays active while no camera looks")
    heartbeat_ms: _BeatMs = Field(500, description="between two changes of the heartbeat")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        lines = [line for key in GPIO_LINES if (line := getattr(self, key)) is not None]
        if not lines:
            raise ValueError("names no line: give reject, ok, fault or heartbeat")
        if len(set(lines)) < len(lines):
            raise ValueError("gives one line two meanings")
        if self.gate_ms is not None and self.gate_counts is not None:
            raise ValueError("has gate_ms and gate_counts: the gate is one of them away")
        if (self.gate_ms or self.gate_counts) and self.reject is None:
            raise ValueError("has a gate without reject: name the line that opens it")
        counts = (self.encoder, self.gate_counts, self.pulse_counts)
        if any(each is not None for each in counts) and None in counts:
            raise ValueError("encoder, gate_counts and pulse_counts go together")
        return self


OutputTable: TypeAlias = Annotated[
    JsonlOutput | ModbusOutput | SerialOutput | MqttOutput | WebhookOutput | GpioOutput,
    Field(discriminator="kind"),
]
"""Any output; a new kind is one more class in the union."""
