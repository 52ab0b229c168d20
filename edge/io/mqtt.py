"""Verdicts to the plant's MQTT broker: each one acknowledged, in order, at least once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.camera.capture import State
from edge.io.courier import Courier, Receipt
from edge.io.hooks import Hooks
from edge.io.mqtt_login import PORTS, log_in, read_password
from edge.io.mqtt_payload import JsonPayload, Payload, Publication, SparkplugPayload
from edge.station.outputs import MqttOutput as MqttTable
from edge.verdict import Verdict
from models.errors import DeviceError

__all__ = ["Letter", "MqttLink", "MqttOutput", "open_mqtt"]

CONNECT_S = 5.0
"""Seconds for a broker to let us in, by TCP and by MQTT."""

ACK_S = 5.0
"""Seconds for a broker to acknowledge a message; one that is so slow is as good as gone."""

KEEPALIVE_S = 10
"""Seconds between pings of an idle line; the broker gives up, and tells the will, at 15."""

LOOK_S = 0.5
"""Seconds between two looks at whether the broker is still there."""

LATE_S = 1.0
"""Seconds that a verdict has waited for the broker when it counts as historical."""


@dataclass(frozen=True)
class Letter:
    """One verdict on its way; its record as JSON, which is smaller than the same in pieces."""

    part: str
    said: str
    record: bytes
    written: float
    """``time.monotonic()`` seconds."""


class MqttLink:
    """The connection; a :class:`edge.io.courier.Link` whose :meth:`publish` any thread may call.

    Parameters
    ----------
    name
        How messages call the broker.
    table
        Where it is, and how to log in.
    client_id
        Ours: the broker lets one of that name in at a time.
    payload
        How things are said.
    cameras
        Whose states are told.

    Raises
    ------
    InputError
        A file for the login cannot be read.
    """

    beat_s = LOOK_S

    def __init__(
        self, name: str, table: MqttTable, client_id: str, payload: Payload, cameras: Sequence[str]
    ) -> None:
        self._name, self._table, self._client_id, self._payload = name, table, client_id, payload
        self._password = read_password(table)
        self._client: paho.Client | None = None
        self._changed = threading.Condition()
        self._answer: ReasonCode | None = None
        self._lost = True
        self._acknowledged: set[int] = set()
        self._publishing = threading.Lock()
        """One verdict at a time."""
        self._saying = threading.Lock()
        """One at a time: Sparkplug's messages are numbered in the order they are sent."""
        self._states = dict.fromkeys(cameras, "starting")
        self._news: dict[str, str] = {}
        self._rebirth = False
        self._make_client()  # so that files that are no certificates are told at the start

    def open(self) -> None:
        """Connect, log in, and say who is there."""
        client = self._make_client()
        parts = urlsplit(self._table.address)
        try:
            client.connect(parts.hostname or "", parts.port or PORTS[parts.scheme], KEEPALIVE_S)
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise DeviceError(f"{self._name}: cannot be reached: {cause}: is it up?") from error
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._answer is not None or self._lost, CONNECT_S)
            answer = self._answer
        if answer is None or answer.is_failure or self._lost:
            self._end(client)
            why = "does not answer" if answer is None else f"refuses: {answer}"
            raise DeviceError(f"{self._name}: {why}: see to user, password and the broker's log")
        if self._payload.commands:
            client.subscribe(self._payload.commands, qos=1)
        with self._saying:
            self._client = client
            self._bear()

    def deliver(self, message: Letter) -> Receipt:
        """Publish it."""
        at = time.time()
        historical = time.monotonic() - message.written > LATE_S
        if not self.publish(json.loads(message.record), historical):
            raise DeviceError(f"{self._name}: lost: is it up, and the network?")
        return Receipt(at, acknowledged=time.time())

    def publish(self, record: Mapping[str, Any], historical: bool) -> bool:
        """Publish a record and wait for the broker's word; ``False`` if it gives none."""
        with self._publishing:
            with self._saying:
                client = self._client
                if client is None or self._lost:
                    return False
                self._acknowledged.clear()  # numbers come again after 65535 messages
                message = self._say(client, self._payload.verdict(record, historical))
            return self._heard_of(message, ACK_S)

    def tell(self, camera: str, state: str) -> None:
        """Let the next beat say it. Any thread."""
        with self._changed:
            if camera in self._states:
                self._news[camera] = self._states[camera] = state

    def beat(self) -> None:
        """See whether the broker is there, and say what has changed."""
        if self._lost:
            raise DeviceError(f"{self._name}: lost: is it up, and the network?")
        with self._changed:
            news, self._news = self._news, {}
            rebirth, self._rebirth = self._rebirth, False
        with self._saying:
            if rebirth:
                self._bear()
            elif self._client is not None:
                for camera, state in news.items():
                    self._say(self._client, self._payload.camera(camera, state))

    def close(self, broken: bool) -> None:
        """Say that we go, and go."""
        with self._saying:
            client, self._client = self._client, None
            if client is None:
                return
            if not broken and not self._lost:
                self._heard_of(self._say(client, self._payload.farewell()), LOOK_S)
        self._end(client)

    def _make_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        will = self._payload.will()
        client.will_set(will.topic, will.payload, will.qos, will.retain)
        log_in(client, self._table, self._password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        with self._changed:
            self._answer, self._lost = None, False
            self._acknowledged.clear()
        return client

    def _bear(self) -> None:
        with self._changed:
            states = dict(self._states)
            self._news.clear()
        for birth in self._payload.births(states):
            if self._client is not None:
                self._say(self._client, birth)

    def _say(self, client: paho.Client, said: Publication) -> int:
        return client.publish(said.topic, said.payload, said.qos, said.retain).mid

    def _heard_of(self, message: int, seconds: float) -> bool:
        """Wait for the broker's word on a message."""
        with self._changed:
            self._changed.wait_for(lambda: message in self._acknowledged or self._lost, seconds)
            return message in self._acknowledged

    def _end(self, client: paho.Client) -> None:
        client.disconnect()
        client.loop_stop()

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        answer: ReasonCode,
        properties: Properties | None,
    ) -> None:
        with self._changed:
            self._answer = answer
            self._changed.notify_all()

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        answer: ReasonCode,
        properties: Properties | None,
    ) -> None:
        with self._changed:
            self._lost = True
            self._changed.notify_all()

    def _on_publish(
        self,
        client: paho.Client,
        userdata: Any,
        message: int,
        answer: ReasonCode,
        properties: Properties | None,
    ) -> None:
        with self._changed:
            self._acknowledged.add(message)
            self._changed.notify_all()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        if self._payload.wants_birth(bytes(message.payload)):
            with self._changed:
                self._rebirth = True


class MqttOutput:
    """Publishes verdicts and the states of cameras.

    Parameters
    ----------
    name
        How messages call it.
    table
        Whose parts.
    link
        To the broker.
    hooks
        Whom to tell.
    forwarded
        Whether verdicts come from the records by :meth:`publish`, and not from the loop: then they
        outlast breaks of days, and restarts.
    """

    pictures = False

    def __init__(
        self, name: str, table: MqttTable, link: MqttLink, hooks: Hooks, *, forwarded: bool
    ) -> None:
        self.name, self._camera, self._link, self._forwarded = name, table.camera, link, forwarded
        self.backlog: Callable[[], int] = lambda: 0
        """How many records are still to be published; set by whoever calls :meth:`publish`."""
        self._courier = Courier(name, link, hooks)

    def verdict(self, verdict: Verdict) -> None:
        """Hand its record to the courier, unless the records do that."""
        if not self._forwarded and self._camera in (None, verdict.part.camera):
            record = verdict.as_record()
            body = json.dumps(record).encode()
            letter = Letter(verdict.id, f"record, {record['verdict']}", body, time.monotonic())
            self._courier.send(letter)

    def publish(self, record: Mapping[str, Any], historical: bool) -> bool:
        """Publish a record out of the store; whether the broker has it. Any thread; waits for it.

        ``False`` at once while there is no broker. A part of a camera that is not ours is skipped,
        which counts as done.
        """
        if self._camera not in (None, record["camera"]):
            return True
        return self._link.publish(record, historical)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Say it soon."""
        self._link.tell(camera, state)
        self._courier.beat()

    @property
    def waiting(self) -> int:
        """Verdicts that the broker has not acknowledged, those in the records with them."""
        return self._courier.waiting + self.backlog()

    def close(self) -> None:
        """Publish what waits if the broker is there, and say farewell."""
        self._courier.close()


def open_mqtt(
    table: MqttTable, station: str, cameras: Sequence[str], hooks: Hooks, *, forwarded: bool
) -> MqttOutput:
    """The output that a table describes; a broker that is down is waited for.

    Raises
    ------
    InputError
        A file for the login cannot be read.
    """
    name = f"mqtt {table.address}"
    mine = [table.camera] if table.camera else list(cameras)
    payload: Payload
    if table.payload == "sparkplug":
        payload = SparkplugPayload(table.group, station, mine)
    else:
        payload = JsonPayload(table.topic or f"lineguard/{station}")
    client_id = f"lineguard-{station}-{table.payload}-{table.camera or 'all'}"
    link = MqttLink(name, table, client_id, payload, mine)
    return MqttOutput(name, table, link, hooks, forwarded=forwarded)
