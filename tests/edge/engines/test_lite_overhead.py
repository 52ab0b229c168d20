"""What the process of its own costs: 640x640x3 floats go over there. Run with ``-s`` to see it."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lite_lab import build, write_model

from edge.engines.base import Array
from edge.engines.lite import LiteBuild, LiteEngine

CALLS = 100

FEEDS: Array = np.random.default_rng(0).random((1, 3, 640, 640), np.float32)


def in_this_process(built: LiteBuild, path: Path) -> Callable[[], None]:
    """The same shim called directly: an array is copied into the library, and a small one out."""
    lib = ctypes.CDLL(str(built.shim))
    handle, number = ctypes.c_void_p, ctypes.c_int
    lib.lg_lite_open.restype = lib.lg_lite_input.restype = lib.lg_lite_output.restype = handle
    lib.lg_lite_input.argtypes = [handle, number, number, handle, number]
    lib.lg_lite_output.argtypes = [handle, number, handle, handle, handle]
    lib.lg_lite_run.argtypes = [handle]
    model = lib.lg_lite_open(str(path).encode(), 1)
    dims = (ctypes.c_int64 * 4)(*FEEDS.shape)

    def run() -> None:
        target = lib.lg_lite_input(model, 0, 0, dims, 4)
        ctypes.memmove(target, FEEDS.ctypes.data, FEEDS.nbytes)
        assert lib.lg_lite_run(model)
        kind, rank, shape = number(), number(16), (ctypes.c_int64 * 16)()
        data = lib.lg_lite_output(model, 0, ctypes.byref(kind), shape, ctypes.byref(rank))
        answer = np.empty(shape[0], np.float32)
        ctypes.memmove(answer.ctypes.data, data, answer.nbytes)

    return run


def processor_s(pid: int | str) -> float:
    """Seconds that the main thread of a process has had a core."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


@pytest.mark.slow
def test_it_costs_little_more_than_the_second_copy(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model.nb", "brief 100")
    engine = LiteEngine(path, 1, build())
    assert engine._process is not None
    pid = engine._process.pid
    other = np.empty_like(FEEDS)
    calls: dict[str, Callable[[], object]] = {
        "own process": lambda: engine.run({"x": FEEDS}),
        "this process": in_this_process(build(), path),
        "one copy": lambda: np.copyto(other, FEEDS),
    }
    wall: dict[str, list[float]] = {name: [] for name in calls}
    busy: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(CALLS):  # in turns: whatever else the machine does, it does to all of them
        for name, call in calls.items():
            began, used, there = time.perf_counter(), time.thread_time(), processor_s(pid)
            call()
            wall[name].append(time.perf_counter() - began)
            busy[name].append(time.thread_time() - used + processor_s(pid) - there)
    engine.close()
    print()
    for name in calls:
        print(
            f"{name:13} {statistics.median(wall[name]) * 1e3:6.2f} ms, "
            f"least {min(wall[name]) * 1e3:6.2f} ms, "
            f"processor {statistics.median(busy[name]) * 1e3:6.2f} ms"
        )
    # Wall time depends on a second core that is free for the child; the work of both does not.
    work = {name: statistics.median(each) for name, each in busy.items()}
    assert work["own process"] - work["this process"] < 4 * work["one copy"]
