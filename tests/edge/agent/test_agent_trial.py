"""Trials with real models in a real child, and whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_lab import SPOT, print_bundle, spots_bundle
from conftest import SpotsMaker

from edge.agent import trial, try_bundle
from edge.agent.golden import box_iou, golden_fault, percentile_99
from models.bundle import FILES, Golden, Manifest
from models.results import Defect, Findings, TextLine


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    return tmp_path / "box" / "a"


def failed(slot: Path, manifest: Manifest) -> str:
    result = try_bundle(slot, manifest)
    assert not result.passed
    assert "\n" not in result.reason
    return result.reason


@pytest.mark.slow
def test_a_detector_that_finds_what_it_must_passes(slot: Path, spots: SpotsMaker) -> None:
    result = try_bundle(slot, spots_bundle(slot, spots))
    assert (result.passed, result.reason, result.runs) == (True, "", 50)
    assert result.p99_ms is not None
    assert 0 < result.p99_ms < 5000


@pytest.mark.slow
def test_a_reader_that_reads_what_it_must_passes(slot: Path) -> None:
    assert try_bundle(slot, print_bundle(slot)).passed


@pytest.mark.slow
def test_a_reader_that_reads_something_else_fails(slot: Path) -> None:
    golden = {"image": "label.png", "model": "print", "mode": "fixed", "texts": ["LOT L2611B"]}
    reason = failed(slot, print_bundle(slot, golden=[golden]))
    assert reason == "label.png: text 1: expected 'LOT L2611B', read 'LOT L2611A'"


@pytest.mark.slow
def test_a_detector_that_is_too_slow_fails(slot: Path, spots: SpotsMaker) -> None:
    manifest = spots_bundle(slot, spots, bounds={"p99_ms": 0.001})
    result = try_bundle(slot, manifest)
    assert not result.passed
    assert "p99 of 50 inspections is" in result.reason
    assert "the bound is 0.001 ms" in result.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"det": "det/spots.json"}, "no engine opens .json file"),
        ({"labels": ["red"]}, "the classes are"),
        ({"threads": 0}, "models.surface.threads: "),
        ({"family": "yolo9"}, "models.surface"),
    ],
)
def test_a_model_that_does_not_open_fails(
    slot: Path, spots: SpotsMaker, change: dict[str, Any], says: str
) -> None:
    sound = {"family": "ppyoloe", "det": "det/spots.onnx", "labels": ["red", "green", "blue"]}
    manifest = spots_bundle(slot, spots, models={"surface": {**sound, **change}})
    assert says in failed(slot, manifest)


@pytest.mark.slow
def test_a_picture_that_is_none_fails(slot: Path, spots: SpotsMaker) -> None:
    manifest = spots_bundle(slot, spots)
    (slot / FILES / "board.png").write_bytes(b"none")
    assert "board.png: not an image" in failed(slot, manifest)


def child_is(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(trial, "CHILD", (sys.executable, "-c", f"import os, sys, time\n{script}"))


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("os.kill(os.getpid(), 9)", "killed, as for want of memory (SIGKILL)"),
        (
            "print('no kernel', file=sys.stderr, flush=True); os.abort()",
            "died of SIGABRT, last said",
        ),
        ("os.kill(os.getpid(), 11)", "died of SIGSEGV"),
        ("raise SystemExit(3)", "exit code 3"),
        ("raise ValueError('oh')", "exit code 1, last said 'ValueError: oh'"),
        ("pass", "without a result"),
        ("print('[1]')", "without a result"),
        ("print('{\"colour\": 1}')", "without a result"),
        ("x = bytearray(10**18)", "MemoryError"),
    ],
)
def test_a_child_that_dies_has_failed(
    slot: Path, spots: SpotsMaker, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    child_is(monkeypatch, script)
    assert says in failed(slot, spots_bundle(slot, spots))


def test_a_child_that_cannot_be_started_has_failed(
    slot: Path, spots: SpotsMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "CHILD", ("no-such-program",))
    assert "cannot be started" in failed(slot, spots_bundle(slot, spots))


@pytest.mark.slow
def test_a_child_that_hangs_is_ended_with_its_children(
    slot: Path, spots: SpotsMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "pids"
    child_is(
        monkeypatch,
        f"os.fork()\nopen({str(told)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)",
    )
    monkeypatch.setattr(trial, "trial_seconds", lambda manifest: 3.0)
    assert "not ended after 3 s" in failed(slot, spots_bundle(slot, spots))
    pids = [int(line) for line in told.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        assert gone(pid)


def gone(pid: int) -> bool:
    """Whether a process has ended, within a second or two."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_a_trial_ends_with_the_agent(slot: Path, spots: SpotsMaker, tmp_path: Path) -> None:
    """A killed agent leaves no trial behind that takes the station's processor."""
    manifest = spots_bundle(slot, spots)
    (tmp_path / "manifest").write_bytes(manifest.model_dump_json().encode())
    fifo = slot / FILES / "det" / "spots.json"
    fifo.unlink()
    script = f"""
import sys
from pathlib import Path
from edge.agent import try_bundle
from models.bundle import Manifest
manifest = Manifest.model_validate_json(Path({str(tmp_path / "manifest")!r}).read_bytes())
try_bundle(Path({str(slot)!r}), manifest)
"""
    os.mkfifo(fifo)  # whoever reads this waits
    agent = subprocess.Popen([sys.executable, "-c", script])
    try:
        child = children(agent.pid)
    finally:
        agent.send_signal(signal.SIGKILL)
        agent.wait()
    assert gone(child)


def children(pid: int) -> int:
    for _ in range(2000):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found and b"trial_child" in Path(f"/proc/{found[0]}/cmdline").read_bytes():
            return int(found[0])
        time.sleep(0.01)
    raise AssertionError("no child was ever started")


def line(text: str) -> TextLine:
    return TextLine(text, 1.0, np.zeros((4, 2), np.float32))


def spot(score: float = 0.9, x: float = 0, what: str = "green") -> Defect:
    return Defect(what, score, np.array([60 + x, 60, 76 + x, 76], np.float32))


def wrong(findings: Findings, texts: list[str] | None = None, defects: Any = ()) -> str:
    golden = Golden.model_validate(
        {"image": "i.png", "model": "m", "texts": texts or [], "defects": defects}
    )
    return golden_fault(golden, findings)


@pytest.mark.parametrize(
    ("expected", "read", "says"),
    [
        ([], [], ""),
        (["A", "B"], ["A", "B"], ""),
        (["A", "B"], ["B", "A"], "text 1: expected 'A', read 'B'"),
        (["A"], ["A", ""], "expected 1 lines of text, read 2"),
        (["A", "B"], ["A"], "expected 2 lines of text, read 1"),
        ([], ["A"], "expected 0 lines of text, read 1"),
        (["A" * 99], [], "expected 1 lines of text, read 0"),
    ],
)
def test_texts_must_be_the_same(expected: list[str], read: list[str], says: str) -> None:
    assert wrong(Findings(lines=tuple(map(line, read))), expected) == says


@pytest.mark.parametrize(
    ("found", "fine"),
    [
        ([spot()], True),
        ([spot(x=5)], True),  # IoU 0.52
        ([spot(x=6)], False),  # 0.45
        ([spot(0.99)], True),
        ([spot(0.79)], False),
        ([spot(what="red")], False),
        ([], False),
        ([spot(), spot()], False),
        ([spot(), spot(x=40)], False),
    ],
)
def test_defects_must_be_the_same(found: list[Defect], fine: bool) -> None:
    said = wrong(Findings(defects=tuple(found)), defects=[SPOT])
    assert (said == "") is fine, said


def test_each_defect_is_found_once() -> None:
    near = {**SPOT, "box": [62.0, 60.0, 78.0, 76.0]}
    assert wrong(Findings(defects=(spot(), spot(x=2))), defects=[near, SPOT]) == ""
    assert "expected green" in wrong(Findings(defects=(spot(), spot(x=90))), defects=[near, SPOT])
    assert wrong(Findings(defects=(spot(what="hole"),))) == "found hole 0.90, which is not expected"


def test_overlap_of_boxes() -> None:
    box = np.array([0, 0, 2, 2], np.float32)
    assert box_iou(box, box) == 1
    assert box_iou(box, box + np.float32(1)) == pytest.approx(1 / 7)
    assert box_iou(box, box * 0) == 0
    assert box_iou(box * 0, box * 0) == 0


def test_percentile_is_the_nearest_rank() -> None:
    assert percentile_99([3.0]) == 3
    assert percentile_99([*range(50)]) == 49
    assert percentile_99([*range(100)]) == 98
    assert percentile_99([*range(200)]) == 197
