"""The bench's side of the child process that is measured."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from models.errors import DeviceError, EngineError, LineguardError

__all__ = ["Interrupted", "Worker"]

CHILD = (sys.executable, "-m", "tools.measure.worker")

OPEN_S = 300.0
"""Seconds to open a subject: a page reader on the smallest box, each engine tried for a minute."""

QUIET_S = 60.0
"""Seconds without a word while measuring: no query takes a minute, and a camera that is silent is
lost long before."""

POLL_S = 0.1
"""How often somebody who wants to stop is asked; what is measured is not held up by it."""

_SAID = 16_384


class Interrupted(Exception):  # noqa: N818 - no error: somebody wants to stop
    """Whoever started the bench wants no more of it."""


class Worker:
    """A child process with something open in it.

    Parameters
    ----------
    spec
        What to open, see :func:`tools.measure.subjects.open_subject`.
    stopping
        Asked again and again: whether to give up.
    """

    def __init__(self, spec: Mapping[str, Any], stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._name = str(spec.get("model") or spec.get("station") or spec["kind"])
        self._rest = b""
        self._child = subprocess.Popen(
            [*CHILD, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; and its own children end with it
        )
        assert self._child.stdout is not None  # noqa: S101 - they are pipes
        assert self._child.stderr is not None  # noqa: S101
        self._out, self._err = self._child.stdout.fileno(), self._child.stderr.fileno()
        self._said = b""
        self._selector = selectors.DefaultSelector()
        for pipe in (self._out, self._err):
            os.set_blocking(pipe, False)
            self._selector.register(pipe, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    def ready(self) -> dict[str, Any]:
        """Wait until it is open; gives ``ready`` (facts), ``open_s`` and ``overhead_ns``.

        Raises
        ------
        LineguardError
            What it cannot be opened for; ``DeviceError`` if it died, or took too long.
        Interrupted
            Somebody wants to stop.
        """
        for message in self._messages(OPEN_S):
            if "ready" in message:
                return message
        raise self._death()

    def run(self, seconds: float, queries: int, samples: int) -> Iterator[dict[str, Any]]:
        """Have it run, and give what it tells, as it comes.

        Raises
        ------
        LineguardError, Interrupted
            As :meth:`ready`; everything that was given before stays true.
        """
        asked = {"seconds": seconds, "queries": queries, "samples": samples}
        assert self._child.stdin is not None  # noqa: S101
        try:
            self._child.stdin.write(json.dumps(asked).encode() + b"\n")
            self._child.stdin.flush()
        except OSError as error:
            raise self._death() from error
        for message in self._messages(QUIET_S):
            if message.get("done"):
                return
            yield message
        raise self._death()

    def close(self) -> None:
        """End it, and whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        self._selector.close()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it was never told
                    pipe.close()

    def _messages(self, patience: float) -> Iterator[dict[str, Any]]:
        """What it says, until it ends."""
        heard = time.monotonic()
        while True:
            if self._stopping():
                raise Interrupted
            data = None
            for key, _ in self._selector.select(POLL_S):
                got = os.read(key.fd, 65_536)
                if key.fd == self._err:
                    self._said = (self._said + got)[-_SAID:]
                    if not got:
                        self._selector.unregister(self._err)
                else:
                    data = got
            if data is None:
                if time.monotonic() - heard > patience:
                    raise DeviceError(
                        f"{self._name}: said nothing for {patience:.0f} s: it hangs, or what it "
                        "waits for does"
                    )
                continue
            heard = time.monotonic()
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "error" in message:
                    raise _error(message)
                yield message
            if not data:
                return

    def _death(self) -> LineguardError:
        try:
            code = self._child.wait(POLL_S * 10)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        said = self._said.decode("utf-8", "replace").strip().splitlines()
        last = f", last said {said[-1].strip()[:200]!r}" if said else ""
        if code < 0:
            how = f"died of {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        return DeviceError(f"{self._name}: {how}{last}: see that it has memory, and runs by itself")


def _error(message: Mapping[str, Any]) -> LineguardError:
    kind = DeviceError if message["code"] == DeviceError.exit_code else EngineError
    return kind(str(message["error"]))
