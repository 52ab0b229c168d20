"""Real lines for tests: two terminals with a cable between them, and a port server."""

import contextlib
import math
import os
import select
import socket
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import serial  # type: ignore[import-untyped]
import serial.rfc2217  # type: ignore[import-untyped]

from firmware_bridge.channel import Channel
from firmware_bridge.transport import Listener
from models.errors import TransferError


class Cable:
    """Two pseudo-terminals; what is written to one is read from the other.

    Each end is a link in ``folder``, so that it keeps its name when it is plugged in again.
    """

    def __init__(self, folder: Path) -> None:
        self.host, self.box = folder / "ttyHOST", folder / "ttyBOX"
        self.plug()

    def plug(self) -> None:
        self._masters: list[int] = []
        self._slaves: list[int] = []
        for path in (self.host, self.box):
            master, slave = os.openpty()
            tty.setraw(slave)
            path.unlink(missing_ok=True)
            path.symlink_to(os.ttyname(slave))
            self._masters.append(master)
            self._slaves.append(slave)  # open all the time: data waits as in an adapter
        self._plugged = True
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """As a USB adapter that is pulled out: both ends vanish."""
        self._plugged = False
        self._thread.join()
        for descriptor in self._masters + self._slaves:
            os.close(descriptor)
        for path in (self.host, self.box):
            path.unlink()

    def noise(self, data: bytes) -> None:
        os.write(self._masters[1], data)

    def _carry(self) -> None:
        one, two = self._masters
        poll = select.poll()
        poll.register(one, select.POLLIN)
        poll.register(two, select.POLLIN)
        while self._plugged:
            for descriptor, _ in poll.poll(20):
                os.write(two if descriptor == one else one, os.read(descriptor, 4096))


class Agent:
    """A box that counts bytes: takes sessions one by one until its listener is closed."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.ends: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        for channel in self.listener:
            try:
                self._answer(channel)
            except TransferError as error:
                self.ends.append(str(error))

    def _answer(self, channel: Channel) -> None:
        count = 0
        while True:
            message = channel.receive(math.inf)
            if message["m"] == "data":
                count += len(message["d"])
            else:
                channel.send({"id": message["id"], "bytes": count})


@contextlib.contextmanager
def port_server(path: Path) -> Iterator[int]:
    """Pyserial's own RFC 2217 server for the port at ``path``; gives its TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve_port, args=(server, path), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


class _Terminal(serial.Serial):  # type: ignore[misc]
    """A pseudo-terminal has no modem lines, which the server wants to see and set."""

    cts = dsr = ri = cd = True

    def _update_dtr_state(self) -> None: ...

    def _update_rts_state(self) -> None: ...


class _Connection:
    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._lock = connection, threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock:
            self._socket.sendall(data)


def _serve_port(server: socket.socket, path: Path) -> None:
    connection, _ = server.accept()
    with connection, _Terminal(str(path), timeout=0.02) as port:
        out = _Connection(connection)
        manager = serial.rfc2217.PortManager(port, out)
        connection.settimeout(0.002)
        while True:
            with contextlib.suppress(TimeoutError):
                data = connection.recv(4096)
                if not data:
                    return
                port.write(b"".join(manager.filter(data)))
            waiting = port.in_waiting
            if waiting:
                with contextlib.suppress(OSError):
                    out.write(b"".join(manager.escape(port.read(waiting))))
