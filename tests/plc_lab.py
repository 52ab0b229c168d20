"""A PLC to test with: a real Modbus server, and the program of ``docs/integration.md`` in it."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusBaseServer, ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge.io.base import Signalled
from edge.io.hooks import Hooks, LinkState

PATIENCE_S = 30.0
SIZE = 64
ACK = 16
SEQUENCE = 10


def wait_for(done: Callable[[], bool], what: str = "it") -> None:
    """Poll until it holds; the machine may be slow."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Told:
    """Hooks that remember."""

    signals: list[Signalled] = field(default_factory=list)
    states: list[tuple[LinkState, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    record: bool = True

    @property
    def hooks(self) -> Hooks:
        return Hooks(
            self.signals.append,
            lambda name, state, reason: self.states.append((state, reason)),
            self._recorded,
        )

    @property
    def state(self) -> str:
        return self.states[-1][0] if self.states else "none"

    @property
    def changes(self) -> list[str]:
        """The states without the reasons."""
        states = [state for state, _ in self.states]
        return [now for old, now in zip([None, *states], states, strict=False) if now != old]

    def _recorded(self, part: str) -> bool:
        self.asked.append(part)
        return self.record

    def acknowledged(self) -> list[str]:
        return [each.part for each in self.signals if each.acknowledged is not None]


class Plc:
    """Takes each result once, by its sequence number, and echoes it."""

    def __init__(self, serve: Callable[[SimDevice], ModbusBaseServer]) -> None:
        self._serve = serve
        self._registers = [0] * SIZE
        self.answering = True
        self.requests = 0
        self.fails_at = 0
        """Number of the request that fails, once; after it was obeyed, if ``obeys``."""
        self.obeys = False
        self.taken: list[list[int]] = []
        """RESULT to SEQUENCE of each result."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.start()

    def __getitem__(self, register: int) -> int:
        return self._registers[register]

    def set(self, register: int, value: int) -> None:
        """As its program does."""
        self._registers[register] = value

    def start(self, cleared: bool = False) -> None:
        """Switch it on; registers that are not retained are cleared."""
        if cleared:
            self._registers = [0] * SIZE
        listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(listening)))
        self._thread.start()
        assert listening.wait(PATIENCE_S)

    def kill(self) -> None:
        """Switch it off."""
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._off.set)
        self._thread.join()

    async def _run(self, listening: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._off = asyncio.Event()
        data = SimData(0, values=list(self._registers), datatype=DataType.REGISTERS)
        server = self._serve(SimDevice(1, [data], action=self._scan, use_bit_addressing=True))
        await server.serve_forever(background=True)
        listening.set()
        await self._off.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]

    async def _scan(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        self.requests += 1
        fails = self.requests == self.fails_at
        if fails and not self.obeys:
            return ExcCodes.DEVICE_FAILURE
        if values is not None:
            for place, value in enumerate(values):
                self._registers[address + place] = int(value)
            sequence = self._registers[SEQUENCE]
            if self.answering and sequence not in (0, self._registers[ACK]):
                self.taken.append(self._registers[4 : SEQUENCE + 1])
                self._registers[ACK] = sequence
        for place in range(SIZE):
            current[place] = self._registers[start + place]
        return ExcCodes.DEVICE_FAILURE if fails else None


@contextmanager
def tcp_plc() -> Iterator[tuple[Plc, str]]:
    port = free_port()
    plc = Plc(lambda device: ModbusTcpServer(device, address=("127.0.0.1", port)))
    try:
        yield plc, f"tcp://127.0.0.1:{port}"
    finally:
        plc.kill()


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """A null modem cable: the names of its two serial ports."""
    masters, names, slaves = [], [], []
    for _ in range(2):
        master, slave = os.openpty()
        tty.setraw(slave)
        masters.append(master)
        slaves.append(slave)
        names.append(os.ttyname(slave))
    over = threading.Event()

    def pump() -> None:
        while not over.is_set():
            for ready in select.select(masters, [], [], 0.05)[0]:
                try:
                    os.write(masters[ready == masters[0]], os.read(ready, 4096))
                except OSError:
                    return

    thread = threading.Thread(target=pump)
    thread.start()
    try:
        yield names[0], names[1]
    finally:
        over.set()
        thread.join()
        for each in (*masters, *slaves):
            os.close(each)


@contextmanager
def rtu_plc() -> Iterator[tuple[Plc, str]]:
    with cable() as (ours, theirs):
        plc = Plc(
            lambda device: ModbusSerialServer(
                device, framer=FramerType.RTU, port=theirs, baudrate=19200, parity="N"
            )
        )
        try:
            yield plc, ours
        finally:
            plc.kill()
