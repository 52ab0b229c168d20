"""Starts and kills the stream servers beside this file; each is a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    script: str, *arguments: str, python: str = sys.executable
) -> Iterator[subprocess.Popen[str]]:
    """The server, listening; killed (SIGKILL) at the end unless that has happened before."""
    server = subprocess.Popen(
        [python, str(HERE / script), *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield server
    finally:
        server.kill()
        server.wait(10)
        if server.stdout is not None:
            server.stdout.close()


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll; whether the condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
