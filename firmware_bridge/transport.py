"""Sessions over real lines: ``connect`` on the host, ``listen`` on the box."""

from __future__ import annotations

import contextlib
import queue
import secrets
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from firmware_bridge.link import Link, Role, State
from firmware_bridge.port import Port
from firmware_bridge.session import Session
from firmware_bridge.wires import SocketWire, Wire, open_wire, tcp_address
from models.errors import TransferError

__all__ = ["BAUDS", "RATE", "Listener", "connect", "listen"]

BAUDS = (230400, 460800, 921600, 1500000, 3000000)
"""Rates above 115200 that an end offers; whether cable and adapter hold them is tested."""

RATE = 921600
"""Baud that the host asks for at most, unless told otherwise: nearly every USB adapter has it."""

_OPEN = 10.0
"""Seconds for a box to answer: more than one takes to notice that its last session was lost."""

_AGAIN = 1.0
"""Seconds until a port that has vanished is tried again."""

_TICK = 0.25
"""Seconds between two looks at whether to end."""

_CONNECTIONS = 8
"""TCP connections that a box keeps at once: one flashes, others look."""


def connect(address: str, *, rate: int = RATE, timeout: float = _OPEN) -> Session:
    """Open a session with the box at ``address``.

    Parameters
    ----------
    address
        A serial port (``/dev/ttyUSB0``, ``rfc2217://HOST:PORT``, ...), ``tcp://HOST:PORT`` or
        ``socket://HOST:PORT``.
    rate
        The highest baud to ask for; the session takes what both ends and the cable hold.
    timeout
        Seconds for the box to answer.

    Raises
    ------
    TransferError
        The port cannot be opened, or no box answers.
    """
    wire = open_wire(address)
    link = _link(Role.HOST, wire, session=secrets.randbelow(1 << 16), rate=rate)
    port = Port(address, wire, link)
    session = Session(address, link, port)
    try:
        with port.lock:
            until = port.clock() + timeout
            while link.state is State.OPENING and port.clock() < until:
                port.wait(link, until)
            while link.state is State.OPEN and not link.settled:
                port.wait(link, link.next_timeout(port.clock()))
            if link.settled:
                return session
            if link.state is State.CLOSED:
                raise TransferError(f"{address}: no session: {link.reason}: see to the line")
        raise TransferError(
            f"{address}: no box answers in {timeout:g} s: is `lineguard agent` running on it, "
            "and does this cable lead to it?"
        )
    except BaseException:
        session.close()
        raise


def _link(role: Role, wire: Wire, *, session: int = -1, rate: int = 0) -> Link:
    bauds: Sequence[int] = () if wire.rate is None else BAUDS
    return Link(role, time.monotonic(), session=session, rate=rate, bauds=bauds)


class Listener(ABC):
    """Gives one channel for each session that begins, until it is closed.

    A new session on a serial line ends the one before it.

    Attributes
    ----------
    address
        Where it listens; with the port that was taken, where 0 was asked for.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._sessions: queue.SimpleQueue[Session | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{address} listen", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Session]:
        while (session := self._sessions.get()) is not None:
            yield session

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all sessions and the iteration, and give the port back."""
        self._closed.set()
        self._thread.join()
        self._sessions.put(None)

    @abstractmethod
    def _run(self) -> None:
        """Put sessions into the queue until closed."""


class _SerialListener(Listener):
    def __init__(self, address: str) -> None:
        self._wire = open_wire(address)
        super().__init__(address)

    def _run(self) -> None:
        wire: Wire | None = self._wire
        while wire is not None:
            link = _link(Role.BOX, wire)
            port = Port(self.address, wire, link, opened=self._sessions.put, lasting=True)
            while port.alive and not self._closed.wait(_TICK):
                pass
            port.stop()
            wire = self._open_again()

    def _open_again(self) -> Wire | None:
        while not self._closed.wait(_AGAIN):
            with contextlib.suppress(TransferError):
                return open_wire(self.address)
        return None


class _TcpListener(Listener):
    def __init__(self, address: str, place: tuple[str, int]) -> None:
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        try:
            self._server = socket.create_server(place, family=family)
        except OSError as error:
            raise TransferError(
                f"{address}: cannot be listened at ({error.strerror}): "
                "stop what else uses it, or choose another port"
            ) from error
        self._server.settimeout(_TICK)
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        super().__init__(f"tcp://{host}:{self._server.getsockname()[1]}")

    def _run(self) -> None:
        ports: list[tuple[float, Port]] = []
        while not self._closed.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:  # none within a tick, or one that was gone before it was taken
                connection = None
            now = time.monotonic()
            for born, port in ports:
                if not port.announced and now > born + _OPEN:
                    port.stop()
            ports = [(born, port) for born, port in ports if port.alive]
            if connection is not None and len(ports) < _CONNECTIONS:
                ports.append((now, self._take(connection)))
            elif connection is not None:
                connection.close()
        self._server.close()
        for _, port in ports:
            port.stop()

    def _take(self, connection: socket.socket) -> Port:
        wire = SocketWire(connection)
        return Port(self.address, wire, _link(Role.BOX, wire), opened=self._sessions.put)


def listen(address: str) -> Listener:
    """Wait for hosts at ``address``: a serial port, or ``tcp://HOST:PORT`` for any number of them.

    Raises
    ------
    TransferError
        The port cannot be opened or the address not be listened at.
    """
    tcp = tcp_address(address)
    return _TcpListener(address, tcp) if tcp else _SerialListener(address)
