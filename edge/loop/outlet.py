"""Between the loop and one output: a bounded queue and a thread, so that neither waits."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from edge.camera.capture import State
from edge.io.base import Keeper, Output
from edge.verdict import Verdict
from models.errors import DeviceError, LineguardError

__all__ = ["Outlet"]

_log = logging.getLogger(__name__)

CAPACITY = 256
"""Verdicts that an output may lie behind: at 10 parts a second, a disk that stalls for 25 s."""

_Task = Callable[[], None]


class Outlet:
    """Feeds one output.

    An output that fails, or falls so far behind that a verdict would be lost, is a fault of the
    machine: ``error`` is set, ``on_error`` is called, and the station stops.
    """

    def __init__(self, output: Output, on_error: Callable[[], None]) -> None:
        self._output = output
        self._on_error = on_error
        self._tasks: queue.Queue[_Task | None] = queue.Queue()
        self.error: LineguardError | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"output to {output.name}", daemon=True
        )
        self._thread.start()

    def verdict(self, verdict: Verdict) -> None:
        """Hand a verdict over; never waits."""
        shown = verdict if self._output.pictures else verdict.without_picture()
        self._put(lambda: self._output.verdict(shown))

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Hand over what a camera does; never waits."""
        self._put(lambda: self._output.camera(camera, state, reason))

    def end(self) -> None:
        """Nothing more comes; the output finishes what is waiting. Never waits."""
        self._tasks.put(None)

    @property
    def keeps(self) -> bool:
        """Whether it keeps what the others tell, and so has to end after them."""
        return isinstance(self._output, Keeper)

    @property
    def name(self) -> str:
        """Of the output."""
        return self._output.name

    @property
    def waiting(self) -> int:
        """Verdicts that are still to be told: here, and where the output itself keeps some."""
        return self._tasks.qsize() + getattr(self._output, "waiting", 0)

    @property
    def done(self) -> bool:
        """Whether the output has finished, after :meth:`end`."""
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """Count an output that has not finished as failed."""
        if not self.done:
            self._fail(
                DeviceError(f"{self._output.name}: did not finish in time: check what it writes to")
            )

    def _put(self, task: _Task) -> None:
        if self.error is not None:
            return
        if self._tasks.qsize() >= CAPACITY:
            self._fail(self._behind())
        else:
            self._tasks.put(task)

    def _behind(self) -> DeviceError:
        return DeviceError(
            f"{self._output.name}: lies {self._tasks.qsize()} verdicts behind: "
            "check what it writes to"
        )

    def _fail(self, error: LineguardError) -> None:
        if self.error is None:
            self.error = error
            self._on_error()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self.error is not None:
                continue  # drained, so that nobody waits for room
            try:
                task()
            except LineguardError as error:
                self._fail(error)
            except Exception as error:
                _log.exception("output %s failed", self._output.name)
                self._fail(DeviceError(f"{self._output.name}: failed ({error!r})"))
        try:
            self._output.close()
        except LineguardError as error:
            self._fail(error)
        except Exception as error:
            self._fail(DeviceError(f"{self._output.name}: cannot be closed ({error!r})"))
