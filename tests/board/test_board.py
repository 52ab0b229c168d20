"""A whole emulated ARM box: flashed through its serial port, inspecting, and losing power.

``docs/board.md`` says how it works.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from board_lab import Box, Factory, Flashing, lineguard
from board_look import look
from board_model import cut_part
from board_tools import missing

from firmware_bridge.sender import Phase
from models.bundle import load_trusted
from tools.flashing import open_parcel

pytestmark = [
    pytest.mark.board,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        bool(missing()) and "CI" not in os.environ, reason=f"needs {' '.join(missing())}"
    ),
]

SEED = 20261122

STATION = """
[station]
name = "board"
deadline_ms = 60000
[models.pcb]
family = "ppyoloe"
det = "{network}"
labels = ["open", "short", "mousebite", "spur", "copper", "pinhole"]
[[cameras]]
name = "top"
source = "folder:parts"
[[regions]]
name = "board"
camera = "top"
model = "pcb"
[[rules]]
name = "sound"
kind = "no_defect"
region = "board"
[[outputs]]
kind = "jsonl"
path = "verdicts.jsonl"
"""

PARTS = {"copper.png": (500, 370, 96), "sound.png": (10, 10, 64)}
"""Corner and side: one that has to be looked at in tiles, and one without a defect."""

WITHIN: dict[Phase, float] = {"send": 0.0, "stage": 0.5, "trial": 4.0}
"""Seconds from the beginning of a step to the latest cut in it."""


@dataclass(frozen=True)
class Run:
    """What became of a board that was flashed twice, and of its disk."""

    before: Any
    first: Any
    after: Any
    here: list[dict[str, Any]]
    there: list[dict[str, Any]]
    second: Any
    journal: Any
    box: Box


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Factory:
    return Factory(tmp_path_factory.mktemp("factory"))


@pytest.fixture(scope="module")
def run(factory: Factory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One boot, two flashes: the first of a new box, then another training as a delta."""
    folder = tmp_path_factory.mktemp("board")
    one = factory.release(1)
    with Box(folder / "box", factory.trusted) as box:
        port = ("--port", box.port)
        box.start()
        before = lineguard("box", "status", *port, "--json", cwd=folder)
        flash = (*port, "--trusted", factory.trusted, "--json")
        first = lineguard("flash", one, *flash, cwd=folder)
        after = lineguard("box", "status", *port, "--json", cwd=folder)
        here, there = verdicts(folder, factory, box)
        second = lineguard("flash", factory.release(2), *flash, cwd=folder)
        journal = lineguard("box", "log", *port, "--json", cwd=folder)
        box.off()
        yield Run(before, first, after, here, there, second, journal, box)


def verdicts(folder: Path, factory: Factory, box: Box) -> list[list[Any]]:
    """What a station says of the same parts with the same model, on this machine and on the box."""
    board = box.board
    board.run("mkdir parts")
    for name, place in PARTS.items():
        part = cut_part(folder / "parts" / name, *place)
        board.put(f"parts/{name}", part.read_bytes())
    station = STATION.format(network="/var/lib/lineguard/current/files/pcb/det.onnx")
    board.put("station.toml", station.encode())
    board.run("lineguard run station.toml --json", 300)
    there = board.run("cat verdicts.jsonl")
    (folder / "station.toml").write_text(STATION.format(network=factory.network))
    done = lineguard("run", "station.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    here = (folder / "verdicts.jsonl").read_text()
    return [[json.loads(line) for line in text.splitlines()] for text in (here, there)]


def test_a_new_box_is_flashed_through_its_serial_port(run: Run) -> None:
    assert run.before.returncode == 1
    before = json.loads(run.before.stdout)
    assert (before["state"], before["hardware"], before["box"]) == ("EMPTY", ["arm64"], "board")
    assert list(before["engines"]) == ["onnxruntime"]
    assert run.first.returncode == 0, run.first
    (box,) = json.loads(run.first.stdout)["boxes"]
    assert (box["result"], box["before"]) == ("flashed", "nothing")
    assert box["after"] == "pcb 1.0.0 (slot a)"
    assert box["p99_ms"] > 0
    assert run.after.returncode == 0
    after = json.loads(run.after.stdout)
    assert (after["state"], after["slots"]["a"]["state"]) == ("READY", "CONFIRMED")
    assert after["trial"]["state"] == "passed"
    assert after["trial"]["runs"] == 50


def test_it_gives_the_verdicts_of_the_host(run: Run) -> None:
    """Within the tolerance of a trial: INT8 kernels of two processors round differently."""
    assert [each["verdict"] for each in run.there] == ["NG", "OK"]
    for here, there in zip(run.here, run.there, strict=True):
        assert there["verdict"] == here["verdict"]
        ours, theirs = here["defects"]["board"], there["defects"]["board"]
        assert [each["label"] for each in theirs] == [each["label"] for each in ours]
        for one, other in zip(ours, theirs, strict=True):
            assert other["score"] == pytest.approx(one["score"], abs=0.1)
            assert other["box"] == pytest.approx(one["box"], abs=2.0)


def test_another_training_goes_as_a_delta(run: Run) -> None:
    assert run.second.returncode == 0, run.second
    (first,), (box,) = (json.loads(each.stdout)["boxes"] for each in (run.first, run.second))
    assert box["before"] == "pcb 1.0.0 (slot a)"
    assert box["after"] == "pcb 2.0.0 (slot b)"
    assert box["bytes"] < 0.5 * first["bytes"]
    events = [each["event"] for each in json.loads(run.journal.stdout)["entries"]]
    assert events == 2 * ["offer", "receiving", "staged", "trial", "confirmed"]


@pytest.mark.parametrize("loss", ["all", "some"])
def test_the_disk_at_every_flush(run: Run, factory: Factory, tmp_path: Path, loss: str) -> None:
    """As the power leaves it: all that came after is lost, or any part of it is not."""
    chance = random.Random(SEED) if loss == "some" else None
    disk = tmp_path / "disk"
    with open_parcel(factory.release(3), load_trusted(factory.trusted), []) as third:
        found = [look(disk, third) for _ in run.box.log.disks(disk, chance)]
    seen = [each.active for each in found]
    counts = ", ".join(f"{version or 'nothing'} {seen.count(version)}" for version in set(seen))
    print(f"{len(seen)} disks, active on them: {counts}")
    assert set(seen) == {"", "1.0.0", "2.0.0"}
    assert seen == sorted(seen)
    assert {each.other for each in found} == {"EMPTY", "STAGED", "TRIAL", "CONFIRMED"}


def test_one_flash_outlives_three_power_cuts(run: Run, factory: Factory, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    third = factory.release(3)
    run.box.log.durable(tmp_path / "disk")
    with Box(tmp_path / "box", factory.trusted, tmp_path / "disk") as box:
        box.start()
        flashing = Flashing(box, third, factory.trusted)
        for phase, seconds in WITHIN.items():
            assert flashing.reach(phase, chance.uniform(0.2, 0.8))
            time.sleep(chance.uniform(0.0, seconds))
            box.cut()
            assert look(box.disk).active == "2.0.0"
            box.start()
        assert flashing.result().runs == "pcb 3.0.0 (slot a)"
        status = lineguard("box", "status", "--port", box.port, "--json", cwd=tmp_path)
        assert json.loads(status.stdout)["state"] == "READY"
        box.cut()
        assert look(box.disk).active == "3.0.0"
