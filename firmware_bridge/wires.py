"""What carries bytes: serial ports of every kind that pyserial knows, and TCP.

A wire raises ``OSError`` for whatever goes wrong, and nothing it does takes more than seconds.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import termios
import time
from typing import Any, Protocol
from urllib.parse import urlsplit

import serial  # type: ignore[import-untyped]

from firmware_bridge.speed import BASE_RATE
from models.errors import TransferError

__all__ = ["SerialWire", "SocketWire", "Wire", "open_wire", "tcp_address"]

_IDLE = 0.2
"""Seconds that a read waits for a first byte: how soon a thread sees that it should end."""

_STALLED = 5.0
"""Seconds until a port that takes no bytes counts as broken."""

_GATHER, _GATHER_BYTES = 0.01, 2048
"""Seconds, and bytes, that a read lets come together: a wake-up costs more than a copy. Half of
what the kernel keeps of a tty, so that none is lost."""

_CHUNK = 65536

_SCHEMES = ("tcp", "socket")


class Wire(Protocol):
    """Bytes both ways; one thread may read while another writes."""

    rate: int | None

    def read(self) -> bytes:
        """What has come; waits a moment for the first byte, then gives none."""

    def write(self, data: bytes) -> None:
        """Hand over all of ``data``."""

    def set_rate(self, rate: int) -> None:
        """Change the baud when all that was written has gone; keep it where the port cannot."""

    def wake(self) -> None:
        """Let a ``read`` of another thread return at once."""

    def close(self) -> None:
        """Give the port back; once no thread reads or writes."""


class SerialWire:
    """A port that pyserial has opened.

    Parameters
    ----------
    port
        With a read time-out.
    """

    def __init__(self, port: Any) -> None:
        self._port = port
        self.rate: int | None = port.baudrate

    def read(self) -> bytes:
        """See ``Wire``."""
        with _as_oserror():
            data: bytes = self._port.read(1)
            if data:
                time.sleep(min(_GATHER, _GATHER_BYTES * 10 / (self.rate or BASE_RATE)))
                data += self._port.read(self._port.in_waiting)
            return data

    def write(self, data: bytes) -> None:
        """See ``Wire``."""
        with _as_oserror():
            self._port.write(data)

    def set_rate(self, rate: int) -> None:
        """See ``Wire``."""
        with _as_oserror():
            self._port.flush()
            try:
                self._port.baudrate = rate
            except ValueError:
                return  # the test of the new rate will fail, and both ends go back
            self.rate = rate

    def wake(self) -> None:
        """See ``Wire``."""
        if hasattr(self._port, "cancel_read"):
            self._port.cancel_read()

    def close(self) -> None:
        """See ``Wire``."""
        with contextlib.suppress(OSError, termios.error):
            self._port.close()


class SocketWire:
    """A TCP connection.

    Parameters
    ----------
    connection
        Connected.
    """

    rate: int | None = None

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(_STALLED)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def read(self) -> bytes:
        """See ``Wire``."""
        if not self._poll.poll(1000 * _IDLE):
            return b""
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the other end has closed the connection")
        return data

    def write(self, data: bytes) -> None:
        """See ``Wire``."""
        self._socket.sendall(data)

    def set_rate(self, rate: int) -> None:
        """Do nothing: TCP has none."""

    def wake(self) -> None:
        """See ``Wire``."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See ``Wire``."""
        self._socket.close()


@contextlib.contextmanager
def _as_oserror() -> Any:
    """Raise as OSError what pyserial lets through as something else."""
    try:
        yield
    except termios.error as error:
        raise OSError(*error.args) from error
    except TypeError as error:  # pyserial of a port that vanished
        raise OSError(errno.ENODEV, "the port is gone") from error


def tcp_address(address: str) -> tuple[str, int] | None:
    """Host and port of ``tcp://HOST:PORT`` or ``socket://HOST:PORT``; ``None`` if it is neither.

    Raises
    ------
    TransferError
        Host or port are missing.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme not in _SCHEMES:
            return None
        if parts.hostname and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise TransferError(f"{address}: is no address: say tcp://HOST:PORT")


def open_wire(address: str) -> Wire:
    """Open a serial port (a path, ``rfc2217://HOST:PORT``, ...) at 115200, or a TCP connection.

    Raises
    ------
    TransferError
        It cannot be opened; says what to do.
    """
    tcp = tcp_address(address)
    try:
        if tcp:
            return SocketWire(socket.create_connection(tcp, timeout=_STALLED))
        # Only ports of this machine can be had alone and have a time-out for writing.
        own = {} if "://" in address else {"exclusive": True, "write_timeout": _STALLED}
        return SerialWire(serial.serial_for_url(address, BASE_RATE, timeout=_IDLE, **own))
    except (OSError, termios.error, ValueError) as error:
        raise TransferError(f"{address}: {_why(error)}") from error


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in _MENDS:
        return _MENDS[number]
    if isinstance(error, socket.gaierror):
        return "nobody knows this host: see to its name, or give its number"
    if isinstance(error, TimeoutError):
        return "nothing answers there: is the box on, and in this network?"
    text = " ".join(str(error).split())
    return f"cannot be opened ({text}): see to cable, power and address"


_MENDS = {
    errno.ENOENT: "there is no such port: plug in the cable; /dev/serial/by-id lists what is there",
    errno.EACCES: "you may not use it: add yourself to its group (often dialout) and log in again",
    errno.EAGAIN: "another program has it open: close that one",
    errno.EBUSY: "another program has it open: close that one",
    errno.ECONNREFUSED: "nothing listens there: start `lineguard agent` on the box",
    errno.EHOSTUNREACH: "there is no way to this host: see to network and address",
    errno.ENETUNREACH: "there is no way to this host: see to network and address",
}
