"""What the station says on MQTT, as plain JSON or as Sparkplug B; topics stand in the docs too."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from edge.io.sparkplug import Metric, encode_payload, metric_names

__all__ = ["JsonPayload", "Payload", "Publication", "SparkplugPayload"]

REBIRTH = "Node Control/Rebirth"
"""The one command that every Sparkplug node must obey."""

_VERDICT: Mapping[str, type[int] | type[float] | type[str]] = {
    "Id": str,
    "Result": str,
    "Part": int,
    "Product": str,
    "Lot": str,
    "Reason": str,
    "Latency": float,
    "Record": str,
}
"""A verdict's metrics in Sparkplug: all of them stand in the birth certificate."""


@dataclass(frozen=True)
class Publication:
    """One message to the broker."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


class Payload(Protocol):
    """How things are said.

    Attributes
    ----------
    commands
        Topic of what is to be listened to; empty for nothing.
    """

    commands: str

    def will(self) -> Publication:
        """What the broker says for a station that is lost; asked for each new connection."""

    def births(self, states: Mapping[str, str]) -> list[Publication]:
        """What is said first on a connection: the station, and its cameras with their states."""

    def verdict(self, record: Mapping[str, Any], historical: bool) -> Publication:
        """A verdict."""

    def camera(self, camera: str, state: str) -> Publication:
        """A camera has changed its state."""

    def farewell(self) -> Publication:
        """What is said last on a connection that ends well."""

    def wants_birth(self, command: bytes) -> bool:
        """Whether a command asks for the births again."""


class JsonPayload:
    """``TOPIC/status``, ``TOPIC/verdict``, ``TOPIC/camera/NAME``."""

    commands = ""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def will(self) -> Publication:
        """Retained ``offline``."""
        return Publication(f"{self._topic}/status", b"offline", retain=True)

    def births(self, states: Mapping[str, str]) -> list[Publication]:
        """Retained ``online``, and the state of each camera."""
        status = Publication(f"{self._topic}/status", b"online", retain=True)
        return [status, *(self.camera(camera, state) for camera, state in states.items())]

    def verdict(self, record: Mapping[str, Any], historical: bool) -> Publication:
        """The record, with ``is_historical``."""
        body = {**record, "is_historical": historical}
        return Publication(f"{self._topic}/verdict", json.dumps(body, ensure_ascii=False).encode())

    def camera(self, camera: str, state: str) -> Publication:
        """Its state, retained."""
        return Publication(f"{self._topic}/camera/{camera}", state.encode(), retain=True)

    def farewell(self) -> Publication:
        """The same as the will."""
        return self.will()

    def wants_birth(self, command: bytes) -> bool:
        """There are no commands."""
        return False


class SparkplugPayload:
    """The station as an edge node, each camera as a device of it.

    Verdicts are sent with QoS 1, where Sparkplug says 0, since none may be lost.

    Parameters
    ----------
    group
        Sparkplug's group id.
    node
        Sparkplug's edge node id: the station.
    cameras
        Its devices.
    """

    def __init__(self, group: str, node: str, cameras: Sequence[str]) -> None:
        self._group, self._node, self._cameras = group, node, cameras
        self._sequence = self._born = -1
        self.commands = self._topic("NCMD")

    def will(self) -> Publication:
        """The death certificate that belongs to the next birth."""
        self._born = (self._born + 1) % 256
        return self._death()

    def births(self, states: Mapping[str, str]) -> list[Publication]:
        """The node's birth certificate, then one for each device."""
        self._sequence = -1
        now = _now()
        node = [Metric("bdSeq", self._born, now), Metric(REBIRTH, False, now)]
        found = [self._say("NBIRTH", None, node, now)]
        for camera in self._cameras:
            state = Metric("Camera/State", states.get(camera, ""), now)
            known = [Metric(f"Verdict/{name}", kind(), now) for name, kind in _VERDICT.items()]
            found.append(self._say("DBIRTH", camera, [state, *known], now))
        return found

    def verdict(self, record: Mapping[str, Any], historical: bool) -> Publication:
        """A device's data: the verdict in metrics of its own, and the whole record as JSON."""
        at = int(datetime.fromisoformat(record["time"]).timestamp() * 1000)
        values = {
            "Id": record["id"],
            "Result": record["verdict"],
            "Part": record["part"],
            "Product": record["product"],
            "Lot": record["lot"],
            "Reason": "; ".join(reason["en"] for reason in record["reasons"]),
            "Latency": record["latency_ms"],
            "Record": json.dumps(record, ensure_ascii=False),
        }
        metrics = [
            Metric(f"Verdict/{name}", kind(values[name]), at, historical)
            for name, kind in _VERDICT.items()
        ]
        return self._say("DDATA", record["camera"], metrics, _now(), qos=1)

    def camera(self, camera: str, state: str) -> Publication:
        """A device's data: its state."""
        now = _now()
        return self._say("DDATA", camera, [Metric("Camera/State", state, now)], now)

    def farewell(self) -> Publication:
        """The death certificate."""
        return self._death()

    def wants_birth(self, command: bytes) -> bool:
        """Whether the host application asks for a rebirth."""
        return metric_names(command).get(REBIRTH, False)

    def _death(self) -> Publication:
        now = _now()
        body = encode_payload(now, [Metric("bdSeq", self._born, now)], None)
        return Publication(self._topic("NDEATH"), body)

    def _say(
        self, kind: str, device: str | None, metrics: Sequence[Metric], now: int, qos: int = 0
    ) -> Publication:
        self._sequence = (self._sequence + 1) % 256
        body = encode_payload(now, metrics, self._sequence)
        return Publication(self._topic(kind, device), body, qos)

    def _topic(self, kind: str, device: str | None = None) -> str:
        topic = f"spBv1.0/{self._group}/{kind}/{self._node}"
        return topic if device is None else f"{topic}/{device}"


def _now() -> int:
    return int(time.time() * 1000)
