"""Verdicts to a web server: each one is POSTed as JSON, in order, until the server takes it.

By ``http.client``: a box needs no web client for one kind of request, redirects are not followed,
and the connection is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import math
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.camera.capture import State
from edge.io.courier import Courier, Receipt
from edge.io.hooks import Hooks
from edge.io.secret_file import read_secret
from edge.station.outputs import WebhookOutput as WebhookTable
from edge.verdict import Verdict
from models.errors import DeviceError

__all__ = ["SIGNATURE", "TIMESTAMP", "Post", "WebhookLink", "WebhookOutput", "open_webhook", "sign"]

SIGNATURE, TIMESTAMP = "X-Lineguard-Signature", "X-Lineguard-Timestamp"

LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a server that may take the same thing another time."""

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read, so that the connection can be used again."""


@dataclass(frozen=True)
class Post:
    """One verdict on its way."""

    part: str
    said: str
    body: bytes


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What stands in the signature's header: HMAC-SHA256 over ``TIMESTAMP.BODY``.

    >>> sign("key", "1700000000", b"{}")[:15]
    'sha256=9d713ed4'
    """
    message = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class WebhookLink:
    """The connection; a :class:`edge.io.courier.Link`.

    Parameters
    ----------
    name
        How messages call the server.
    table
        Where it is, and how patient to be.
    secret
        What bodies are signed by, if at all.
    """

    beat_s = math.inf

    def __init__(self, name: str, table: WebhookTable, secret: str | None) -> None:
        self._name, self._table, self._secret = name, table, secret
        parts = urlsplit(table.url)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname or ""
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(
                host, parts.port, timeout=table.timeout_s, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, parts.port, timeout=table.timeout_s)
        )
        self._used = False
        self._post: Post | None = None
        self._tries = 0

    def open(self) -> None:
        """Connect."""
        self._connection.close()
        try:
            self._connection.connect()
        except (OSError, ValueError) as error:  # ValueError: a host name that is none
            raise self._lost(error) from error
        self._used = False

    def deliver(self, message: Post) -> Receipt:
        """POST it; what the server cannot take now is tried again, a number of times."""
        if message is not self._post:
            self._post, self._tries = message, 0
        self._tries += 1
        at = time.time()
        status = self._send(message)
        if 200 <= status < 300:
            return Receipt(at, acknowledged=time.time())
        if status in LATER and self._tries < self._table.tries:
            return Receipt(at, error=f"the server answers {status}", again="later")
        return Receipt(at, error=f"the server answers {status}: given up")

    def beat(self) -> None:
        """Nothing: a server is not asked how it is."""

    def close(self, broken: bool) -> None:
        """Hang up."""
        self._connection.close()

    def _send(self, message: Post) -> int:
        try:
            return self._exchange(message)
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            if not self._used:
                raise self._lost(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        self.open()  # a connection that was idle is hung up by most servers: no fault
        try:
            return self._exchange(message)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error

    def _exchange(self, message: Post) -> int:
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.part}
        if self._secret is not None:
            headers[TIMESTAMP] = str(int(time.time()))
            headers[SIGNATURE] = sign(self._secret, headers[TIMESTAMP], message.body)
        self._connection.request("POST", self._path, message.body, headers)
        answer = self._connection.getresponse()
        if len(answer.read(MAX_ANSWER)) == MAX_ANSWER:
            self._connection.close()  # the rest is not wanted; the next request connects anew
        self._used = True
        return answer.status

    def _lost(self, error: Exception) -> DeviceError:
        cause = getattr(error, "strerror", None) or error
        return DeviceError(f"{self._name}: cannot be reached: {cause}: is it up, and the network?")


class WebhookOutput:
    """Hands records to the courier.

    Parameters
    ----------
    name
        How messages call it.
    table
        Whose parts.
    link
        To the server.
    hooks
        Whom to tell.
    """

    pictures = False

    def __init__(self, name: str, table: WebhookTable, link: WebhookLink, hooks: Hooks) -> None:
        self.name, self._camera = name, table.camera
        self._courier = Courier(name, link, hooks)

    def verdict(self, verdict: Verdict) -> None:
        """Hand its record over."""
        if self._camera in (None, verdict.part.camera):
            record = verdict.as_record()
            body = json.dumps(record, ensure_ascii=False).encode()
            self._courier.send(Post(verdict.id, f"record, {record['verdict']}", body))

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Not told: a request is a verdict."""

    @property
    def waiting(self) -> int:
        """Verdicts that the other side has not acknowledged."""
        return self._courier.waiting

    def close(self) -> None:
        """Deliver what can be delivered."""
        self._courier.close()


def open_webhook(table: WebhookTable, hooks: Hooks) -> WebhookOutput:
    """The output that a table describes; a server that is down is waited for.

    Raises
    ------
    InputError
        The file with the secret cannot be read.
    """
    parts = urlsplit(table.url)
    name = f"webhook {parts.scheme}://{parts.netloc}"  # paths and queries hold tokens
    secret = read_secret(table.secret_file) if table.secret_file else None
    return WebhookOutput(name, table, WebhookLink(name, table, secret), hooks)
