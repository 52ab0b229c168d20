"""The display's server: uvicorn in a thread of its own, which the line never waits for."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from edge.deadline import Deadline
from edge.display.api import Api
from edge.display.guard import PatientProtocol
from edge.display.job import Control
from edge.display.state import DisplayState
from edge.display.token import new_token, read_token
from edge.station import Display
from models.errors import DeviceError

__all__ = ["Serving", "serve", "serve_demo"]

_log = logging.getLogger(__name__)

CONNECTIONS = 160
"""Open at once, most of them idle: five for each page. More get 503."""

STOP_S = 0.4
"""For pages to be told that it is over, out of the second that a stop may take."""

START_S = 10.0
"""For a server to listen: a hundred times what it takes."""

NICE = 5
"""The display gives way to the line where both want a core."""


class Serving:
    """A display that is served.

    Attributes
    ----------
    address
        ``http://127.0.0.1:8765/``.
    token
        What a change needs.
    """

    def __init__(self, api: Api, listener: socket.socket, address: str, token: str) -> None:
        self.address, self.token = address, token
        self._hub = api.hub
        self._listener = listener
        config = uvicorn.Config(
            api.app,
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="critical",  # what clients do wrong is told to them, not to the terminal
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            backlog=128,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)

    @property
    def link(self) -> str:
        """The address, with the token for the page to keep; for the operator's own screen."""
        return f"{self.address}#token={self.token}"

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return self._hub.viewers

    def start(self) -> None:
        """Listen; ``DeviceError`` if that fails."""
        self._thread.start()
        deadline = Deadline.after(START_S)
        while not self._server.started:
            self._thread.join(0.01)
            if not self._thread.is_alive() or deadline.expired:
                raise DeviceError(f"display: {self.address} cannot be served: see the log")

    def stop(self) -> None:
        """Let everybody go; whoever does not leave in time is left behind."""
        self._hub.close()
        self._server.should_exit = True
        self._thread.join(STOP_S)
        self._server.force_exit = True
        self._listener.close()

    def _run(self) -> None:
        with suppress(OSError):  # a kernel without: the line is as well off as it was
            # Threads that this one makes, which encode and inspect, inherit it.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        try:
            self._server.run(sockets=[self._listener])
        except (Exception, SystemExit):
            _log.exception("the display has ended")


@contextmanager
def serve(state: DisplayState, line: Control, table: Display) -> Iterator[Serving]:
    """Serve a display as its station says.

    Raises
    ------
    ConfigError, StorageError
        The token file is no good.
    DeviceError
        The address cannot be listened on.
    """
    token = read_token(Path(table.token_file))
    listener = _listen(table.host, table.port)
    names = (*table.names, *([] if _is_address(table.host) else [table.host.lower()]))
    with _served(Api(state, line, token, names, table.language), listener, token) as serving:
        yield serving


@contextmanager
def serve_demo(state: DisplayState, line: Control, language: str) -> Iterator[Serving]:
    """Serve a display on any free port of this machine, with a token for this once."""
    token, listener = new_token(), _listen("127.0.0.1", 0)
    with _served(Api(state, line, token, (), language), listener, token) as serving:
        yield serving


@contextmanager
def _served(api: Api, listener: socket.socket, token: str) -> Iterator[Serving]:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    serving = Serving(api, listener, f"http://{shown}:{port}/", token)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop()


def _listen(host: str, port: int) -> socket.socket:
    where = f"display: port {port} of {host}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise DeviceError(f"{where}: no such address ({error.strerror}): mend host") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        mends = {
            errno.EADDRINUSE: "another program has it: stop that, or choose another port",
            errno.EACCES: "choose a port from 1024 on",
            errno.EADDRNOTAVAIL: "this machine has no such address: mend host",
        }
        mend = mends.get(error.errno or 0, "choose another host or port")
        raise DeviceError(f"{where}: cannot be listened on ({error.strerror}): {mend}") from error
    return listener


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
