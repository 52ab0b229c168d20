"""What systemd is told of a service: ready, still alive, stopping.

The protocol of ``sd_notify(3)``: datagrams of ``NAME=value`` lines to the socket that
``$NOTIFY_SOCKET`` names; ``$WATCHDOG_USEC`` says how often a sign of life is due, see
``sd_watchdog_enabled(3)``. Without a service manager nothing is sent and nothing fails.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, MutableMapping
from types import TracebackType

from typing_extensions import Self

__all__ = ["Notifier", "Pulse"]

LOOK_S = 0.2
"""Between two looks at whether the service is ready."""

STATUS_S = 5.0
"""Between two signs of life if none are due: how old the words of ``systemctl status`` may be."""


class Notifier:
    """Sends to the service manager, if there is one.

    Parameters
    ----------
    environment
        Where it is named; forgotten there, so that no child speaks for us.

    Attributes
    ----------
    listening
        Whether anybody hears.
    every
        Seconds between two signs of life: half of what the manager waits for one.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        patience = environment.pop("WATCHDOG_USEC", "")
        mine = environment.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.listening = address[:1] in ("/", "@")
        due = patience.isascii() and patience.isdigit() and mine and int(patience) > 0
        self.every = min(STATUS_S, int(patience) / 2e6) if due else STATUS_S
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def tell(self, *lines: str) -> None:
        """Send lines like ``READY=1``; never waits, never fails."""
        if self.listening:
            with contextlib.suppress(OSError):  # the manager is being started anew, or is full
                self._socket.sendto("\n".join(lines).encode(), self._address)

    def close(self) -> None:
        """Nothing more will be told."""
        self.listening = False
        self._socket.close()


class Pulse:
    """Tells the service manager how a service is, from a thread of its own; a context manager.

    Ready is told once; then signs of life, but none while something is stuck: the manager then ends
    the process and starts it anew. At the end: stopping.

    Parameters
    ----------
    ready
        Whether the service does its work.
    stuck
        What of it stands still, in words; empty if nothing does. Must not wait.
    status
        How it is, in one line for people.
    notifier
        Closed at the end.
    """

    def __init__(
        self,
        ready: Callable[[], bool],
        stuck: Callable[[], list[str]],
        status: Callable[[], str],
        notifier: Notifier | None = None,
    ) -> None:
        self._ready, self._stuck, self._status = ready, stuck, status
        self._notifier = notifier or Notifier()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        if self._notifier.listening:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._notifier.tell("STOPPING=1")
        self._notifier.close()

    def _run(self) -> None:
        while not self._ready():
            if self._over.wait(LOOK_S):
                return
        self._notifier.tell("READY=1", self._said())
        while not self._over.wait(self._notifier.every):
            stuck = self._stuck()
            if stuck:
                self._notifier.tell(f"STATUS=stuck: {_line('; '.join(stuck))}")
            else:
                self._notifier.tell("WATCHDOG=1", self._said())

    def _said(self) -> str:
        return f"STATUS={_line(self._status())}"


def _line(text: str) -> str:
    """On one line: another would be another message."""
    return " ".join(text.split())[:500]
