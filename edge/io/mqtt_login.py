"""How we show a broker who we are, and it us: user and password, certificates."""

from __future__ import annotations

import paho.mqtt.client as paho

from edge.io.secret_file import read_secret
from edge.station.outputs import MqttLogin
from models.errors import InputError

__all__ = ["PORTS", "log_in", "read_password"]

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Where brokers listen, by scheme."""


def read_password(table: MqttLogin) -> str | None:
    """The password that a table names; ``InputError`` if its file cannot be read."""
    return read_secret(table.password_file) if table.password_file else None


def log_in(client: paho.Client, table: MqttLogin, password: str | None) -> None:
    """Set up a client that is not connected yet.

    Raises
    ------
    InputError
        A file is no certificate.
    """
    if table.user:
        client.username_pw_set(table.user, password)
    if table.address.startswith("mqtts:"):
        try:
            client.tls_set(table.ca_file, table.cert_file, table.key_file)
        except (OSError, ValueError) as error:
            files = (table.ca_file, table.cert_file, table.key_file)
            named = ", ".join(file for file in files if file)
            raise InputError(f"{named}: cannot be used for TLS: {error}") from error
