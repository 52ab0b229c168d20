"""The service manager's end of the line: a real socket, and what was told there."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 40.0


class Manager:
    """Listens as systemd does."""

    def __init__(self, path: Path | str) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:] if self.address[0] == "@" else self.address)
        self.told: list[str] = []

    def hear(self, seconds: float) -> list[str]:
        """Lines that come within so many seconds."""
        new: list[str] = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                new += self._socket.recv(65536).decode().splitlines()
            except TimeoutError:
                break
            except socket.timeout:  # noqa: UP041 - another one on Python 3.10
                break
        self.told += new
        return new

    def until(self, true: Callable[[str], bool]) -> str:
        """Wait for a line."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for line in self.hear(0.05):
                if true(line):
                    return line
        raise AssertionError(f"never told; only {self.told}")

    def environment(self, watchdog_s: float) -> dict[str, str]:
        """What systemd gives its services."""
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(round(watchdog_s * 1e6))}

    def close(self) -> None:
        self._socket.close()
