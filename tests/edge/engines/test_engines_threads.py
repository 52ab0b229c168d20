"""Threads and cores are what was asked for, as the kernel tells it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from engine_lab import lab, model, onnx

from edge.engines import Engine, open_engine, pin_current_thread, pinned
from edge.engines.onnxruntime_engine import OnnxRuntimeEngine
from edge.engines.registry import ENGINES, EngineKind
from models.errors import EngineError

# Counts, in a process of its own, the threads that an engine adds and where they may run. The
# libraries are loaded beforehand, since numpy's and Paddle's imports make threads of their own.
WATCH = """
import importlib, json, os, sys
from pathlib import Path
path, threads, cores, library = json.loads(sys.argv[1])
importlib.import_module(library)
from edge.engines import open_engine, pinned

def masks():
    found = {}
    for task in os.listdir("/proc/self/task"):
        for line in open(f"/proc/self/task/{task}/status"):
            if line.startswith("Cpus_allowed_list"):
                found[task] = line.split()[1]
    return found

before = masks()
sample = {"x": (1, 3, 96, 320)}
with pinned(cores):  # not open_engine's cores: it asks for one a thread, and here two share one
    engine = open_engine(Path(path), threads=threads, sample=sample, trial=False)
after = masks()
print(json.dumps({
    "threads": engine.threads,
    "new": [mask for task, mask in after.items() if task not in before],
    "caller_moved": before[str(os.getpid())] != after[str(os.getpid())],
}))
"""

LIBRARIES = {".onnx": "onnxruntime", ".nb": "paddlelite.lite", ".pdmodel": "paddle.inference"}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(lab() / "cache"))


Watched = tuple[int, list[str], bool]


def watch(suffix: str, threads: int, cores: list[int] | None) -> Watched:
    """Return what the engine says of its threads, where the new ones may run, and the caller."""
    question = json.dumps([str(model("det", suffix)), threads, cores, LIBRARIES[suffix]])
    said = subprocess.run(
        [sys.executable, "-c", WATCH, question], capture_output=True, text=True, check=True
    ).stdout
    answer = json.loads(said.splitlines()[-1])
    return answer["threads"], answer["new"], answer["caller_moved"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", LIBRARIES)
def test_threads_are_as_many_as_asked_for(suffix: str) -> None:
    new = {}
    for count in (1, 2, 3):
        threads, masks, _ = watch(suffix, count, None)
        assert threads == count
        new[count] = len(masks)
    assert (new[2] - new[1], new[3] - new[1]) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", LIBRARIES)
def test_new_threads_stay_on_their_cores(suffix: str) -> None:
    chosen = max(os.sched_getaffinity(0))
    _, masks, caller_moved = watch(suffix, 2, [chosen])
    assert masks
    assert set(masks) == {str(chosen)}
    assert not caller_moved


def test_open_engine_pins_while_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    def make(path: Path, threads: int) -> Engine:
        seen.append(os.sched_getaffinity(0))
        return OnnxRuntimeEngine(path, threads)

    monkeypatch.setitem(ENGINES, ".onnx", EngineKind(make, "onnxruntime"))
    open_engine(onnx("cls"), threads=1, cores=[max(before)], trial=False)
    assert seen == [{max(before)}]
    assert os.sched_getaffinity(0) == before


def test_pinning_a_thread_leaves_the_others_alone() -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    def inference() -> None:
        pin_current_thread([min(before)])
        child = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        child.start()
        child.join()

    thread = threading.Thread(target=inference)
    thread.start()
    thread.join()
    assert seen == [{min(before)}]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("cores", [[], [100_000], [0, 100_000], [0, 1023], [-1], [2**70]])
def test_cores_that_there_are_not(cores: list[int]) -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(EngineError, match=r"this machine has \d"), pinned(cores):
        pytest.fail("pinned to nothing")
    with pytest.raises(EngineError, match="this machine has"):
        pin_current_thread(cores)
    assert os.sched_getaffinity(0) == before


def test_the_mask_comes_back_after_a_failure() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(RuntimeError), pinned([min(before)]):
        raise RuntimeError
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("threads", "cores"), [(0, None), (-1, None), (2, [0])])
def test_threads_that_make_no_sense(threads: int, cores: list[int] | None) -> None:
    with pytest.raises(EngineError, match=f"{threads} threads"):
        open_engine(onnx("cls"), threads=threads, cores=cores)
