"""Verdicts to a microcontroller on a serial line, one line each, acknowledged one by one.

The lines, with an example for the microcontroller's side, stand in ``docs/integration.md``::

    station                                      microcontroller
    $H,3,1,0*....      I live: count, ready, faults      ──►
                       ◄──  $H,3,16*....                 so do I: count, last sequence taken
    $R,17,2,101,4711,1,140*....   result                 ──►
                       ◄──  $A,17*....                   taken
    $D,17*....         its record is written             ──►
    $Q*....            the station stops                 ──►
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import serial  # type: ignore[import-untyped]

from edge.deadline import Deadline
from edge.io.ascii_frame import Reader, frame
from edge.io.courier import Receipt
from edge.io.hooks import Hooks
from edge.io.machine import Health, MachineOutput
from edge.io.signal import SEQUENCES, Signal, after
from edge.station.outputs import SerialOutput
from models.errors import DeviceError

__all__ = ["SerialLink", "open_serial"]

READ_S = 0.02
"""Seconds that one read waits: how late a beat may be while an acknowledgement is awaited."""

WRITE_S = 1.0
"""Seconds for a line to be taken by the port; longer means that its driver hangs."""


class SerialLink:
    """The exchange of lines; a :class:`edge.io.courier.Link`.

    Parameters
    ----------
    name
        How messages call it.
    table
        Port and times.
    cameras
        Their names in the order of the station file.
    health
        Of the station.
    hooks
        ``recorded`` is asked before a result is done.
    """

    def __init__(
        self,
        name: str,
        table: SerialOutput,
        cameras: Sequence[str],
        health: Health,
        hooks: Hooks,
    ) -> None:
        self.beat_s = table.heartbeat_ms / 1000
        self._name, self._table, self._health, self._hooks = name, table, health, hooks
        self._cameras = {camera: number for number, camera in enumerate(cameras, 1)}
        self._port: serial.Serial | None = None
        self._reader = Reader()
        self._count = 0
        self._sequence: int | None = None
        self._message: Signal | None = None

    def open(self) -> None:
        """Open the port and wait for a sign of life; go on counting where it says."""
        try:
            self._port = serial.Serial(
                self._table.port,
                self._table.baud,
                timeout=READ_S,
                write_timeout=WRITE_S,
                exclusive=True,
            )
        except (OSError, ValueError) as error:
            cause = getattr(error, "strerror", None) or error
            raise DeviceError(f"{self._name}: cannot be opened: {cause}") from error
        self._reader = Reader()
        self.beat()

    def deliver(self, message: Signal) -> Receipt:
        """Send the result, wait for its acknowledgement, wait for the record, say that it is."""
        if message is not self._message:  # else it may have it already, by this very number
            self._sequence = after(self._sequence or 0)
            self._message = message
        at = time.time()
        camera = self._cameras.get(message.camera, 0)
        result = (int(message.result), message.reason, message.number, camera, message.age_ms)
        self._write("R", self._sequence or 0, *result)
        if self._await(["A", str(self._sequence)], beating=True) is None:
            late = f"result {self._sequence} is not acknowledged within {self._table.ack_ms} ms"
            return Receipt(at, error=late, again="at once")
        acknowledged = time.time()
        error: str | None = None
        if self._hooks.recorded(message.part):
            self._write("D", self._sequence or 0)
        else:
            error = f"{message.part} has no record: it is never done"
        self._message = None  # not sooner: if any of this breaks, it is the same result again
        return Receipt(at, acknowledged, error)

    def beat(self) -> None:
        """Say that the station lives, and hear the same."""
        self._say_alive()
        answer = self._await(["H", str(self._count)], beating=False)
        if answer is None:
            self._close()
            raise DeviceError(
                f"{self._name}: no sign of life within {self._table.ack_ms} ms: "
                "does it run, with this baud, RX and TX crossed?"
            )
        if self._sequence is None:
            last = answer[2] if len(answer) > 2 else "0"
            self._sequence = int(last) % (SEQUENCES + 1) if last.isdecimal() else 0

    def close(self, broken: bool) -> None:
        """Say that the station stops."""
        if not broken:
            with contextlib.suppress(Exception):  # else it misses the heartbeat
                self._write("Q")
                if self._port is not None:
                    self._port.flush()
        self._close()

    def _close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def _say_alive(self) -> None:
        self._count = (self._count + 1) % (SEQUENCES + 1)
        self._write("H", self._count, int(self._health.ready), self._health.faults)

    def _write(self, *fields: str | int) -> None:
        try:
            if self._port is None:
                raise OSError("is closed")
            self._port.write(frame(*fields))
        except OSError as error:
            raise DeviceError(f"{self._name}: {error}: is it still plugged in?") from error

    def _await(self, start: list[str], beating: bool) -> list[str] | None:
        """The next line that begins so; ``None`` if none comes in time."""
        deadline = Deadline.after(self._table.ack_ms / 1000)
        beat = Deadline.after(self.beat_s)
        while not deadline.expired:
            try:
                if self._port is None:
                    raise OSError("is closed")
                data = self._port.read(max(1, self._port.in_waiting))
            except OSError as error:
                raise DeviceError(f"{self._name}: {error}: is it still plugged in?") from error
            for fields in self._reader.take(data):
                if fields[: len(start)] == start:
                    return fields
            if beating and beat.expired:
                beat = Deadline.after(self.beat_s)
                self._say_alive()
        return None


def open_serial(table: SerialOutput, cameras: Sequence[str], hooks: Hooks) -> MachineOutput:
    """The output that a table describes; a port that is not there is waited for."""
    name = f"serial {table.port}"
    health = Health([table.camera] if table.camera else cameras)
    link = SerialLink(name, table, cameras, health, hooks)
    return MachineOutput(name, table.camera, health, link, hooks)
