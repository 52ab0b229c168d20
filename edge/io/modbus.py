"""Verdicts to a PLC by Modbus: a result, a sequence number, and the PLC's echo of it.

The station writes holding registers of the PLC, and reads one; ``docs/integration.md`` has them
with an example for the PLC's side. The heartbeat is how a PLC knows that the station lives: when it
stops, whatever else the registers say is worth nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from enum import IntEnum

from edge.deadline import Deadline
from edge.io.courier import Receipt
from edge.io.hooks import Hooks
from edge.io.machine import Health, MachineOutput
from edge.io.modbus_client import ModbusClient
from edge.io.signal import Signal, after
from edge.station.outputs import ModbusOutput

__all__ = ["ACK_OFFSET", "PlcLink", "Register", "open_modbus"]

ACK_OFFSET = 16
"""Where the PLC's own register is, from the first of ours, unless the station file says."""

POLL_S = 0.005
"""Seconds between two looks for the acknowledgement: no PLC's scan is much shorter."""


class Register(IntEnum):
    """What the station writes, from ``first_register`` on."""

    HEARTBEAT = 0
    """Counts up and from 65535 to 0, as long as the station lives."""
    READY = 1
    """1: parts that come are inspected."""
    BUSY = 2
    """1: a result stands here that is not done."""
    FAULT = 3
    """How many things of the station are at fault."""
    RESULT = 4
    """1 OK, 2 NG, 3 FAULT."""
    REASON = 5
    """0, or the first reason's number."""
    PART_HIGH = 6
    """Number of the part, upper 16 bits."""
    PART_LOW = 7
    """And lower 16 bits."""
    CAMERA = 8
    """Which camera, from 1 in the order of the station file."""
    AGE_MS = 9
    """Trigger to the writing of this, milliseconds; 65535 is that or more."""
    SEQUENCE = 10
    """Names the result, 1 to 65535; last, so that what it names stands already."""
    DONE = 11
    """Sequence of the last result that is acknowledged and recorded."""


class PlcLink:
    """The handshake; a :class:`edge.io.courier.Link`.

    Parameters
    ----------
    name
        How messages call the PLC.
    client
        To it.
    table
        Registers and times.
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
        client: ModbusClient,
        table: ModbusOutput,
        cameras: Sequence[str],
        health: Health,
        hooks: Hooks,
    ) -> None:
        self.beat_s = table.heartbeat_ms / 1000
        self._name, self._client, self._health, self._hooks = name, client, health, hooks
        self._first, self._ack_ms = table.first_register, table.ack_ms
        ack = table.ack_register
        self._ack = self._first + ACK_OFFSET if ack is None else ack
        self._cameras = {camera: number for number, camera in enumerate(cameras, 1)}
        self._heartbeat = self._sequence = self._taken = 0
        self._begun = False
        self._message: Signal | None = None
        self._beaten = 0.0

    def open(self) -> None:
        """Connect and show the state; go on counting where the last station ended."""
        self._client.open()
        if not self._begun:
            self._sequence = self._client.read("holding", self._first + Register.SEQUENCE)[0]
            self._begun = True
        self._taken = self._client.read("holding", self._ack)[0]
        self.beat()

    def deliver(self, message: Signal) -> Receipt:
        """Write the result, wait for the echo, wait for the record, write that it is done."""
        if message is not self._message:  # else the PLC may have it already, by this very number
            self._sequence = after(self._sequence, taken=self._taken)
            self._message = message
        at = time.time()
        self._client.write(self._first, [*self._status(busy=True), *self._result(message)])
        if not self._acknowledged(Deadline.after(self._ack_ms / 1000)):
            late = f"result {self._sequence} is not acknowledged within {self._ack_ms} ms"
            return Receipt(at, error=late, again="at once")
        acknowledged_at = time.time()
        error: str | None = None
        if self._hooks.recorded(message.part):
            self._client.write(self._first + Register.DONE, [self._sequence])
        else:
            error = f"{message.part} has no record: the result is never done"
        self._client.write(self._first, self._status(busy=False))
        self._message = None  # not sooner: if any of this breaks, it is the same result again
        return Receipt(at, acknowledged_at, error)

    def beat(self) -> None:
        """Count the heartbeat."""
        self._client.write(self._first, self._status(busy=self._message is not None))

    def close(self, broken: bool) -> None:
        """Not ready any more; the heartbeat stands still from here on."""
        if not broken:
            with contextlib.suppress(Exception):  # else the PLC sees the heartbeat alone
                self._client.write(self._first + Register.READY, [0, 0])
        self._client.close()

    def _status(self, busy: bool) -> list[int]:
        self._heartbeat = (self._heartbeat + 1) % 65536
        self._beaten = time.monotonic()
        return [self._heartbeat, self._health.ready, busy, self._health.faults]

    def _result(self, message: Signal) -> list[int]:
        return [
            message.result,
            message.reason,
            message.number >> 16 & 0xFFFF,
            message.number & 0xFFFF,
            self._cameras.get(message.camera, 0),
            message.age_ms,
            self._sequence,
        ]

    def _acknowledged(self, deadline: Deadline) -> bool:
        while self._client.read("holding", self._ack)[0] != self._sequence:
            if deadline.expired:
                return False
            if time.monotonic() - self._beaten >= self.beat_s:
                self.beat()
            time.sleep(POLL_S)
        return True


def open_modbus(table: ModbusOutput, cameras: Sequence[str], hooks: Hooks) -> MachineOutput:
    """The output that a table describes; a PLC that is off is waited for."""
    name = f"modbus {table.address}"
    client = ModbusClient(name, table.address, table.device, table.baud, table.parity)
    health = Health([table.camera] if table.camera else cameras)
    link = PlcLink(name, client, table, cameras, health, hooks)
    return MachineOutput(name, table.camera, health, link, hooks)
