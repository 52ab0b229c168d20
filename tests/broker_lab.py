"""Debian's Mosquitto to test with, and somebody who listens."""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path

import paho.mqtt.client as paho
from needs_lab import needs
from paho.mqtt.enums import CallbackAPIVersion
from plc_lab import free_port, wait_for

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "mosquitto"


class Broker:
    """One broker, that can be killed and started again on its port."""

    def __init__(self, folder: Path, config: str = "allow_anonymous true") -> None:
        needs(MOSQUITTO, "mosquitto")
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._database = folder / "mosquitto.db"
        # What listeners have asked for, and have not heard yet, outlasts a kill.
        keep = f"persistence true\npersistence_location {folder}/\nautosave_on_changes true\n"
        keep += "autosave_interval 1\nuser root\n"
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{keep}{config}\n")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stderr=subprocess.PIPE, text=True
        )
        self._up = threading.Event()
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        assert self._up.wait(30)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if "running" in line:
                self._up.set()

    def remembers(self) -> bool:
        """Whether it has written down who listens."""
        return self._database.exists()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class Listener:
    """Hears everything, and comes back by itself."""

    def __init__(self, port: int, topic: str = "#") -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._topic = topic
        self._subscribed = threading.Event()
        # A session that lasts: the broker keeps for it what comes while it is away.
        self.client = paho.Client(CallbackAPIVersion.VERSION2, "listener", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda client, data, message: self.heard.append(
            (message.topic, bytes(message.payload), message.retain)
        )
        self.client.connect("127.0.0.1", port, 10)
        self.client.loop_start()
        wait_for(self._subscribed.is_set)

    def of(self, topic: str) -> list[bytes]:
        return [payload for heard, payload, _ in self.heard if heard == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
