"""Records to a real web server: one that is slow, refuses, dies, and comes back."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from plc_lab import Told, free_port, wait_for
from verdict_lab import WRONG_LOT, lab_verdict

from edge.io.webhook import WebhookOutput, open_webhook
from edge.station.outputs import WebhookOutput as WebhookTable
from models.errors import InputError


class Server:
    """Keeps what it was sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: list[int] = []
        """Statuses of the next answers; 200 after that."""
        self.hang_up = False
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        self.requests = 0
        self.start()

    def start(self) -> None:
        lab = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                lab.requests += 1
                status = lab.answers.pop(0) if lab.answers else 200
                if status == 200:
                    lab.raw.append(body)
                    lab.bodies.append(json.loads(body))
                    lab.headers.append(dict(self.headers))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
                self.close_connection = lab.hang_up

            def log_message(self, *args: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True
            connections: list[Any] = []  # noqa: RUF012 - one server of this class

            def get_request(self) -> Any:
                request = super().get_request()
                self.connections.append(request[0])
                return request

        self._server = Listener(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def kill(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in self._server.connections:
            try:
                connection.shutdown(2)
            except OSError:
                continue

    @property
    def parts(self) -> list[int]:
        return [body["part"] for body in self.bodies]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.kill()


@contextmanager
def station(server: Server, told: Told, **keys: Any) -> Iterator[WebhookOutput]:
    url = f"http://127.0.0.1:{server.port}/verdicts?token=s3cret"
    with closing(open_webhook(WebhookTable(kind="webhook", url=url, **keys), told.hooks)) as output:
        yield output


def test_a_record_is_posted(server: Server) -> None:
    told = Told()
    with station(server, told) as output:
        output.verdict(lab_verdict(1, WRONG_LOT))
        output.verdict(lab_verdict(2))
    assert server.parts == [1, 2]
    assert server.bodies[0]["reasons"][0]["code"] == "mismatch"
    assert server.headers[0]["Idempotency-Key"] == lab_verdict(1).id
    assert "X-Lineguard-Signature" not in server.headers[0]
    assert told.acknowledged() == [lab_verdict(1).id, lab_verdict(2).id]
    assert told.states == [("up", "")]


def test_the_body_is_signed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n")
    with station(server, Told(), secret_file=str(tmp_path / "key")) as output:
        output.verdict(lab_verdict(1))
    headers = server.headers[0]
    message = headers["X-Lineguard-Timestamp"].encode() + b"." + server.raw[0]
    expected = hmac.new(b"hush", message, hashlib.sha256).hexdigest()
    assert headers["X-Lineguard-Signature"] == f"sha256={expected}"


def test_a_server_that_is_killed_mid_run_loses_nothing(server: Server) -> None:
    told = Told()
    with station(server, told) as output:
        for number in range(1, 31):
            if number == 11:
                wait_for(lambda: len(server.parts) == 10)
                server.kill()
            if number == 21:
                wait_for(lambda: told.state == "down")
                server.start()
            output.verdict(lab_verdict(number))
        wait_for(lambda: len(told.acknowledged()) == 30)
    assert list(dict.fromkeys(server.parts)) == list(range(1, 31))
    assert told.changes == ["up", "down", "up"]
    assert "s3cret" not in told.states[1][1]


def test_a_connection_that_was_idle_and_hung_up_is_no_fault(server: Server) -> None:
    told = Told()
    server.hang_up = True
    with station(server, told) as output:
        for number in (1, 2, 3):
            output.verdict(lab_verdict(number))
            wait_for(lambda: len(told.acknowledged()) == number)  # noqa: B023 - used at once
    assert server.parts == [1, 2, 3]
    assert told.states == [("up", "")]


def test_a_server_that_cannot_now_is_asked_again_in_order(server: Server) -> None:
    told = Told()
    server.answers = [503, 429]
    with station(server, told) as output:
        output.verdict(lab_verdict(1))
        output.verdict(lab_verdict(2))
        wait_for(lambda: len(told.acknowledged()) == 2)
    assert server.parts == [1, 2]
    assert [state for state, _ in told.states][-2:] == ["down", "up"]
    assert told.signals[0].error == "the server answers 503"


@pytest.mark.parametrize(("answers", "tries"), [([503] * 3, 3), ([404], 8), ([302], 8)])
def test_what_a_server_refuses_is_given_up_and_told(
    server: Server, answers: list[int], tries: int
) -> None:
    told = Told()
    server.answers = list(answers)
    with station(server, told, tries=tries) as output:
        output.verdict(lab_verdict(1))
        output.verdict(lab_verdict(2))
        wait_for(lambda: server.parts == [2])
    assert server.requests == len(answers) + 1
    assert f"the server answers {answers[0]}: given up" in [each.error for each in told.signals]
    assert told.state == "up"


def test_a_secret_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    table = WebhookTable(kind="webhook", url="http://h/", secret_file=str(tmp_path / "none"))
    with pytest.raises(InputError, match="none: cannot be read: No such file"):
        open_webhook(table, Told().hooks)
    for content, says in (
        (b" \n", "is empty"),
        (b"\xff", "is no text"),
        (b"a" * 5000, "too large"),
    ):
        (tmp_path / "none").write_bytes(content)
        with pytest.raises(InputError, match=says):
            open_webhook(table, Told().hooks)
