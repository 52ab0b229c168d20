"""A PLC of its own process: says when each result of a station reached it.

``CLOCK_MONOTONIC`` is one clock for all processes of a machine, so that its times may be compared
with the station's.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.io.modbus import ACK_OFFSET, Register

__all__ = ["Plc", "free_port", "plc"]

SIZE = 64
"""Registers."""


class Plc:
    """What the station sees of it: an address; and what it saw of the station."""

    def __init__(self, address: str, pipe: Connection) -> None:
        self.address = address
        self._pipe = pipe

    def taken(self) -> list[tuple[int, int, float]]:
        """Camera from 1, part, and ``time.monotonic()`` of every result so far, in their order."""
        self._pipe.send("taken")
        found: list[tuple[int, int, float]] = self._pipe.recv()
        return found


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def plc() -> Iterator[Plc]:
    """Switch one on that acknowledges every result in the write that brought it."""
    port = free_port()
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(port, theirs), daemon=True)
    process.start()
    theirs.close()
    ours.recv()  # it listens
    try:
        yield Plc(f"tcp://127.0.0.1:{port}", ours)
    finally:
        ours.close()
        process.join()


def _serve(port: int, pipe: Connection) -> None:
    asyncio.run(_run(port, pipe))


async def _run(port: int, pipe: Connection) -> None:
    registers = [0] * SIZE
    taken: list[tuple[int, int, float]] = []

    async def scan(
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        now = time.monotonic()
        if values is not None:
            for place, value in enumerate(values):
                registers[address + place] = int(value)
            sequence = registers[Register.SEQUENCE]
            if sequence not in (0, registers[ACK_OFFSET]):
                registers[ACK_OFFSET] = sequence
                number = registers[Register.PART_HIGH] << 16 | registers[Register.PART_LOW]
                taken.append((registers[Register.CAMERA], number, now))
        for place in range(SIZE):
            current[place] = registers[start + place]
        return None

    data = SimData(0, values=list(registers), datatype=DataType.REGISTERS)
    device = SimDevice(1, [data], action=scan, use_bit_addressing=True)
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    pipe.send("listens")
    asked = asyncio.Event()
    over = False

    def answer() -> None:
        nonlocal over
        try:
            pipe.recv()
            pipe.send(taken)
        except (EOFError, OSError):
            over = True
            asked.set()

    asyncio.get_running_loop().add_reader(pipe.fileno(), answer)
    while not over:
        await asked.wait()
    asyncio.get_running_loop().remove_reader(pipe.fileno())
    await server.shutdown()  # type: ignore[no-untyped-call]
