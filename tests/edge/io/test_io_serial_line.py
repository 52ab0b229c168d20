"""A microcontroller on a serial line: the lines, noise, and one that is unplugged."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plc_lab import Told, wait_for
from verdict_lab import OK, WRONG_LOT, lab_verdict

from edge.io.ascii_frame import MAX_LINE, Reader, frame
from edge.io.machine import MachineOutput
from edge.io.serial_line import open_serial
from edge.station.outputs import SerialOutput

FIELDS = st.lists(st.text("ABCHR0123456789", min_size=1, max_size=5), min_size=1, max_size=6)


class Mcu:
    """The sketch of ``docs/integration.md``, on the other end of a pseudo terminal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.taken: list[list[int]] = []
        self.lines: list[list[str]] = []
        self.last = 0
        self.answering = True
        self.noise = b""
        self.plug()

    def plug(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(os.ttyname(slave))
        self._slave = slave
        self._thread = threading.Thread(target=self._run, args=(self._master,))
        self._thread.start()

    def unplug(self) -> None:
        """As a USB adapter: the port is gone."""
        self._path.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._thread.join()

    def _run(self, master: int) -> None:
        reader = Reader()
        try:
            while data := os.read(master, 1024):
                for fields in reader.take(data):
                    self._take(master, fields)
        except OSError:
            return

    def _take(self, master: int, fields: list[str]) -> None:
        self.lines.append(fields)
        answer: tuple[str | int, ...] | None = None
        if fields[0] == "H":
            answer = ("H", fields[1], self.last)
        if fields[0] == "R" and self.answering:
            numbers = [int(each) for each in fields[1:]]
            if numbers[0] != self.last:
                self.last = numbers[0]
                self.taken.append(numbers)
            answer = ("A", self.last)
        if answer:
            os.write(master, self.noise + frame(*answer))

    def named(self, name: str) -> list[list[str]]:
        return [fields for fields in self.lines if fields[0] == name]


@pytest.fixture
def mcu(tmp_path: Path) -> Iterator[Mcu]:
    mcu = Mcu(tmp_path / "ttyMCU")
    yield mcu
    mcu.unplug()


@contextmanager
def station(mcu: Mcu, told: Told, **keys: Any) -> Iterator[MachineOutput]:
    keys = {"heartbeat_ms": 50, "ack_ms": 2000, **keys}
    table = SerialOutput(kind="serial", port=str(mcu._path), **keys)
    with closing(open_serial(table, ["top", "side"], told.hooks)) as output:
        yield output


def test_a_result_is_told_acknowledged_and_done(mcu: Mcu) -> None:
    told = Told()
    mcu.noise = b"\x00\xff$A,1*0000\r\n$A,"
    with station(mcu, told) as output:
        output.camera("top", "running", "")
        output.camera("side", "running", "")
        output.verdict(lab_verdict(1, OK))
        output.verdict(lab_verdict(70_000, WRONG_LOT, "side"))
        wait_for(lambda: len(mcu.named("D")) == 2)
        wait_for(lambda: mcu.named("H")[-1][2:] == ["1", "0"])
        output.fault("records", "disk full")
        wait_for(lambda: mcu.named("H")[-1][2:] == ["1", "1"])
    wait_for(lambda: bool(mcu.named("Q")))
    assert [each[:5] for each in mcu.taken] == [[1, 1, 0, 1, 1], [2, 2, 101, 70_000, 2]]
    assert told.acknowledged() == told.asked
    assert told.states == [("up", "")]


def test_a_line_that_is_unplugged_mid_run_loses_nothing(mcu: Mcu) -> None:
    told = Told()
    with station(mcu, told) as output:
        for number in range(1, 31):
            if number == 11:
                wait_for(lambda: len(told.signals) == 10)
                mcu.unplug()
            if number == 21:
                wait_for(lambda: told.state == "down")
                mcu.plug()
            output.verdict(lab_verdict(number))
        wait_for(lambda: len(told.acknowledged()) == 30)
    assert [each[3] for each in mcu.taken] == list(range(1, 31))
    assert told.changes == ["up", "down", "up"]


def test_no_acknowledgement_is_told_and_tried_again(mcu: Mcu) -> None:
    told = Told()
    mcu.answering = False
    with station(mcu, told, ack_ms=150) as output:
        output.verdict(lab_verdict(1))
        wait_for(lambda: told.state == "down")
        wait_for(lambda: len(mcu.named("H")) > 3, "beats meanwhile")
        mcu.answering = True
        wait_for(lambda: len(told.acknowledged()) == 1)
        wait_for(lambda: told.state == "up")
    assert "result 1 is not acknowledged within 150 ms" in str(told.signals[0].error)
    assert len(mcu.taken) == 1


def test_a_station_that_is_started_again_goes_on_counting(mcu: Mcu) -> None:
    mcu.last = 65535
    for number in (1, 2):
        told = Told()
        with station(mcu, told) as output:
            output.verdict(lab_verdict(number))
            wait_for(lambda told=told: bool(told.acknowledged()))  # type: ignore[misc]
    assert [each[0] for each in mcu.taken] == [1, 2]


def test_without_a_record_it_is_never_done(mcu: Mcu) -> None:
    told = Told(record=False)
    with station(mcu, told) as output:
        output.verdict(lab_verdict(1))
        wait_for(lambda: bool(told.signals))
    assert "no record" in str(told.signals[0].error)
    assert not mcu.named("D")


def test_a_silent_line_is_told_with_what_to_look_for(mcu: Mcu) -> None:
    told = Told()
    mcu._take = lambda master, fields: None  # type: ignore[method-assign]
    with station(mcu, told, ack_ms=50):
        wait_for(lambda: told.state == "down")
    assert "no sign of life within 50 ms: does it run" in told.states[0][1]


def test_a_port_that_is_not_there_is_waited_for(mcu: Mcu) -> None:
    told = Told()
    mcu.unplug()
    with station(mcu, told) as output:
        output.verdict(lab_verdict(1))
        wait_for(lambda: told.state == "down")
        assert "No such file" in told.states[0][1]
        mcu.plug()
        wait_for(lambda: len(mcu.taken) == 1)


@given(FIELDS, st.binary(max_size=30), st.data())
@settings(deadline=None)
def test_lines_are_found_in_noise_however_it_is_cut(
    fields: list[str], noise: bytes, data: st.DataObject
) -> None:
    stream = noise.replace(b"$", b"") + b"\n" + frame(*fields)
    cut = data.draw(st.integers(0, len(stream)))
    reader = Reader()
    assert [*reader.take(stream[:cut]), *reader.take(stream[cut:])][-1:] == [fields]


@given(FIELDS, st.data())
@settings(deadline=None)
def test_a_line_with_two_bits_wrong_is_passed_over(fields: list[str], data: st.DataObject) -> None:
    line = bytearray(frame(*fields)[:-2])
    bits = st.integers(0, 8 * len(line) - 1)
    for bit in data.draw(st.sets(bits, min_size=1, max_size=2)):
        line[bit // 8] ^= 1 << bit % 8
    assert Reader().take(bytes(line) + b"\n") == []


@given(st.binary())
@settings(deadline=None)
def test_garbage_is_passed_over_in_bounded_room(data: bytes) -> None:
    reader = Reader()
    for _ in range(3):
        assert all(isinstance(each, list) for each in reader.take(data))
        assert len(reader._rest) <= MAX_LINE


def crc(data: bytes) -> int:
    """CRC-16/XMODEM bit by bit, as a microcontroller does it."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return value


def test_the_checksum_is_the_one_that_others_call_xmodem() -> None:
    assert crc(b"123456789") == 0x31C3  # its check value
    assert frame("A", 17) == b"$A,17*%04X\r\n" % crc(b"A,17")
