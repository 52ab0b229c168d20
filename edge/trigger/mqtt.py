"""A message on MQTT that says that a part is there."""

from __future__ import annotations

import queue
import time
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.io.hooks import Hooks
from edge.io.mqtt_login import PORTS, log_in, read_password
from edge.station.triggers import MqttTrigger as MqttTable
from edge.trigger.base import PolledTrigger
from models.errors import DeviceError

__all__ = ["MqttTrigger"]

WAIT_S = 0.2
"""Seconds until it looks whether to stop; a message is told at once."""

CONNECT_S = 5.0
"""Seconds for a broker to let us in."""

KEEPALIVE_S = 10
"""Seconds between pings of an idle line."""

WAITING = 64
"""Messages that may wait to be told; the loop takes them at once, so more are no triggers."""


class MqttTrigger(PolledTrigger):
    """Fires at each message on a topic, but for retained ones, which are old.

    A broker and two networks lie between the part and this moment: for a camera that takes its
    picture at once this is too slow and too uneven, for one whose part waits it is enough.

    Parameters
    ----------
    name
        How messages call it.
    table
        The broker, how to log in, and what to listen to.
    hooks
        Told when the broker is lost.

    Raises
    ------
    InputError
        A file for the login cannot be read.
    """

    def __init__(self, name: str, table: MqttTable, hooks: Hooks) -> None:
        super().__init__(name, hooks)
        parts = urlsplit(table.address)
        self._host, self._port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._table, self._password = table, read_password(table)
        self._make_client()  # so that files that are no certificates are told at the start
        self._client: paho.Client | None = None
        self._events: queue.Queue[float | DeviceError] = queue.Queue()

    def open(self) -> None:
        """Connect and subscribe; returns once the broker has said yes to both."""
        client = self._make_client()
        events: queue.Queue[float | DeviceError] = queue.Queue()
        self._events = events
        subscribed = queue.Queue[bool]()

        def on_connect(
            client: paho.Client,
            data: Any,
            flags: paho.ConnectFlags,
            answer: ReasonCode,
            properties: Properties | None,
        ) -> None:
            if not answer.is_failure:
                client.subscribe(self._table.topic, qos=1)

        def on_message(client: paho.Client, data: Any, message: paho.MQTTMessage) -> None:
            if not message.retain and events.qsize() < WAITING:
                events.put(time.monotonic())

        def on_disconnect(client: paho.Client, *more: Any) -> None:
            events.put(DeviceError(f"{self.name}: lost: is the broker up, and the network?"))

        client.on_connect, client.on_message = on_connect, on_message
        client.on_disconnect = on_disconnect
        client.on_subscribe = lambda *told: subscribed.put(True)
        self._client = client
        client.connect(self._host, self._port, KEEPALIVE_S)
        client.loop_start()
        try:
            subscribed.get(timeout=CONNECT_S)
        except queue.Empty as error:
            raise DeviceError(f"{self.name}: the broker does not let us listen") from error

    def wait(self) -> list[float]:
        """The next message, if one comes soon."""
        try:
            event = self._events.get(timeout=WAIT_S)
        except queue.Empty:
            return []
        if isinstance(event, DeviceError):
            raise event
        return [event]

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.on_disconnect = None
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _make_client(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.connect_timeout = CONNECT_S
        log_in(client, self._table, self._password)
        return client
