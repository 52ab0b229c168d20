"""Some hundred of the transfers over bad lines of which ``docs/faults.md`` has ten thousand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tenacity.nap

from firmware_bridge import disk, sender
from firmware_bridge.line import Faults, Line
from firmware_bridge.link import Link, Role
from firmware_bridge.sender import Flashed
from firmware_bridge.slots import Slots
from tools.fuzz.__main__ import summary
from tools.fuzz.transfers import DEADLINE, KINDS, Transfers, folder_in_memory

COUNT = 200


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder


@pytest.mark.slow
def test_each_ends_well_or_with_a_reason(folder: Path) -> None:
    made = Transfers(folder)
    outcomes = [made.run(seed) for seed in range(1_000_000, 1_000_000 + COUNT)]
    result = summary(outcomes)
    assert result["wrong"] == []
    assert result["all"]["confirmed"] > 0.75 * COUNT
    assert result["all"]["trial"] > 0
    assert result["all"]["line"] > 0
    assert result["simulated_s"]["max"] < DEADLINE
    for kind in KINDS:
        assert result["kinds"][kind]["injected"] > 30, kind
        assert result["kinds"][kind]["confirmed"] > 20, kind
    assert {outcome.error == "" for outcome in outcomes if outcome.end == "confirmed"} == {True}
    assert not list(folder.glob("box-*"))


def test_a_seed_gives_the_same_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A box says how much room it has: this machine's changes meanwhile, and with it what is sent
    # and how long that takes.
    monkeypatch.setattr(disk, "free_bytes", lambda _: 2**33)
    made = Transfers(folder)
    first, again = ([replace(made.run(n), took_s=0, struck={}) for n in range(5)] for _ in range(2))
    assert again == first


def test_a_sender_that_lies_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Transfers(folder)
    said = Flashed("box", "b", "pcb 1.0.0 (slot a)", "pcb 2.0.0 (slot b)")
    monkeypatch.setattr(sender, "flash", lambda *_, **__: said)
    assert made.run(1).wrong == "confirmed, but the old bundle is active"


def test_a_box_that_lets_anything_pass_is_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Transfers(folder)
    assert made.run(1).wrong == ""
    monkeypatch.setattr(Slots, "compare", lambda *_: None)
    monkeypatch.setattr(disk, "place", lambda source, target: target.write_bytes(b"another"))
    assert made.run(1).wrong == "2.0.0 is active with other bytes"


def test_a_flash_without_an_end_is_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Transfers(folder)

    def waits(*_: object) -> None:
        while True:
            tenacity.nap.sleep(10)

    monkeypatch.setattr(sender, "flash", waits)
    assert made.run(1).wrong == "had no end"


def test_the_command() -> None:
    command = [sys.executable, "-m", "tools.fuzz", "transfers", "--count", "3", "--seed", "9"]
    done = subprocess.run([*command, "--json"], capture_output=True, check=True, timeout=60)
    result = json.loads(done.stdout)
    assert result["all"]["transfers"] == 3
    assert result["command"] == "python -m tools.fuzz transfers --count 3 --seed 9"
    assert result["wrong"] == []


@pytest.mark.parametrize("flip", [5e-324, 1e-301, 1e-17, 0.5, 1 - 1e-16, 1.0])
def test_any_share_of_flipped_bits(flip: float) -> None:
    faults = Faults(flip=flip)
    host, box = Link(Role.HOST, 0.0, session=1), Link(Role.BOX, 0.0)
    line = Line(host, box, faults=faults)
    for _ in range(10):
        line.advance(math.inf)
    bits = 8 * line.written[0]
    assert faults.struck["flip"] == pytest.approx(flip * bits, abs=0.2 * bits)
    assert faults.struck["flip"] == bits or flip < 1
