"""Runs in a child process, and everything that may befall them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from measure_lab import tiny_model

from models.errors import DeviceError, EngineError, InputError
from tools.measure import session
from tools.measure.ab import LEAST, measure_ab, plan_rounds
from tools.measure.document import Scenario
from tools.measure.reports import as_line
from tools.measure.run import measure
from tools.measure.session import Interrupted, Worker
from tools.measure.worker import measuring_costs, run_queries

SHORT = Scenario(name="SingleStream", seconds=0.3, queries=100)

ENDLESS = Scenario(name="SingleStream", seconds=3600, queries=100)


def never() -> bool:
    return False


def _all_children() -> set[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in text.split()}


OTHERS: set[int] = set()
"""What other tests left: multiprocessing's helper lives as long as the process."""


@pytest.fixture(autouse=True)
def _others() -> None:
    OTHERS.clear()
    OTHERS.update(_all_children())


def _children() -> list[int]:
    return sorted(_all_children() - OTHERS)


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, object]:
    return {"kind": "model", "model": str(tiny_model(tmp_path / "m.onnx")), "threads": 1}


def test_a_model_is_measured(spec: dict[str, object]) -> None:
    document = measure(spec, SHORT, never)
    assert document.complete
    assert len(document.samples.took_ns) >= 100
    figures = document.figures
    assert 0 < figures["p50"].low <= figures["p50"].value <= figures["p50"].high < 1000
    assert {"open", "first", "p90", "max", "throughput", "jitter", "overhead"} <= set(figures)
    assert figures["memory.peak"].value > 10
    assert document.what["engine"] == "onnxruntime"
    assert document.what["inputs"] == {"x": [1, 8]}
    assert len(document.what["files"]["m.onnx"]) == 64
    assert document.machine["kernel"] == os.uname().release


def test_batches_count_all_their_samples(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.onnx")
    spec = {"kind": "model", "model": str(model), "threads": 1, "batch": 4}
    scenario = Scenario(name="Offline", samples=4, seconds=0.2, queries=50)
    document = measure(spec, scenario, never)
    assert document.what["inputs"] == {"x": [4, 8]}
    p50_ms, rate = document.figures["p50"].value, document.figures["throughput"].value
    assert rate < 4 / p50_ms * 1000 * 2  # it holds the time between queries, too


def test_a_shape_that_does_not_fit_is_one_error(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.onnx", size="any")
    spec = {"kind": "model", "model": str(model), "threads": 1}
    with pytest.raises(EngineError, match=r"input x takes any size: say --shape x=1,N"):
        measure(spec, SHORT, never)
    for shapes, words in (
        ({"x": [2, 8]}, "not of batch 1"),
        ({"y": [1, 8]}, "no input y|takes any"),
    ):
        with pytest.raises(EngineError, match=words):
            measure({**spec, "shapes": shapes}, SHORT, never)


def test_a_child_that_dies_midway_leaves_what_is_known(spec: dict[str, object]) -> None:
    killed = threading.Event()

    def kill_soon(seconds: float, queries: int) -> None:
        if queries > 200 and not killed.is_set():
            killed.set()
            (child,) = _children()
            os.kill(child, signal.SIGSEGV)

    document = measure(spec, ENDLESS, never, kill_soon)
    assert not document.complete
    assert "died of SIGSEGV" in document.fault
    assert len(document.samples.took_ns) > 200
    assert document.figures["p50"].value > 0


def test_a_child_that_hangs_is_given_up(
    spec: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "QUIET_S", 2.0)
    stopped = threading.Event()

    def freeze(seconds: float, queries: int) -> None:
        if not stopped.is_set():
            stopped.set()
            (child,) = _children()
            os.kill(child, signal.SIGSTOP)

    document = measure(spec, ENDLESS, never, freeze)
    assert "said nothing for 2 s" in document.fault
    assert _children() == []


@pytest.mark.parametrize("after", [0, 1, 3])
def test_whoever_interrupts_gets_what_is_known(spec: dict[str, object], after: int) -> None:
    stop = threading.Event()
    told = []

    def progress(seconds: float, queries: int) -> None:
        told.append(queries)
        if len(told) >= after:
            stop.set()

    if after == 0:
        stop.set()
        with pytest.raises(Interrupted):
            measure(spec, ENDLESS, stop.is_set)
    else:
        document = measure(spec, ENDLESS, stop.is_set, progress)
        assert (document.complete, document.fault) == (False, "interrupted")
        assert len(document.samples.took_ns) == told[-1]
    assert _children() == []


def test_a_wall_clock_that_jumps_changes_nothing(
    spec: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "count = iter(range(10**9))\n"
        "time.time = lambda: next(count) * -86400.0\n"
        "time.time_ns = lambda: next(count) * -86400 * 10**9\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # the child's clock
    monkeypatch.setattr(time, "time", lambda: 0.0)  # and ours
    document = measure(spec, SHORT, never)
    assert document.complete
    starts, took = document.samples.start_us, document.samples.took_ns
    assert min(took) > 0
    assert list(starts) == sorted(starts)
    assert starts[-1] < 60e6


def test_measuring_costs_little() -> None:
    # 0.5% of an inference of 10 ms; the least of some, since the machine may be busy
    assert min(measuring_costs() for _ in range(5)) < 50_000


def test_queries_last_at_least_as_asked() -> None:
    told: list[int] = []
    run_queries(
        lambda samples: {},
        {"seconds": 0.05, "queries": 10, "samples": 1},
        lambda message: told.append(len(message["queries"])),
    )
    assert sum(told) >= 10


def test_two_models_in_turn(spec: dict[str, object]) -> None:
    document = measure_ab(spec, spec, never, rounds=LEAST, per_round=5)
    assert document.complete
    assert {side: len(rounds) for side, rounds in document.rounds.items()} == {"a": 10, "b": 10}
    assert {len(each) for rounds in document.rounds.values() for each in rounds} == {5}
    assert document.figures["ratio.p50"].low <= document.figures["ratio.p50"].high
    assert document.answer in {"faster", "slower", "cannot tell"}
    assert "ratio.p99" not in document.figures  # of 50 queries
    assert _children() == []


@pytest.mark.parametrize(
    ("seconds", "both_s", "planned"),
    [
        (60, 0.1, (60, 9)),
        (60, 0.01, (545, 10)),
        (60, 0.6, (50, 1)),
        (60, 30, (20, 1)),
        (60, 1e-5, (1000, 5998)),
        (0.1, 1e-3, (50, 1)),
    ],
)
def test_rounds_that_there_is_time_for(
    seconds: float, both_s: float, planned: tuple[int, int]
) -> None:
    assert plan_rounds(seconds, both_s) == planned


@pytest.mark.parametrize("way", ["dies", "is interrupted"])
def test_a_comparison_that_is_cut_short_is_of_the_rounds_that_are_known(
    spec: dict[str, object], way: str
) -> None:
    stop = threading.Event()

    def cut(done: int, rounds: int) -> None:
        if done == LEAST + 2:
            if way == "dies":
                os.kill(_children()[1], signal.SIGSEGV)
            else:
                stop.set()

    document = measure_ab(spec, spec, stop.is_set, rounds=10_000, per_round=5, progress=cut)
    assert not document.complete
    assert ("died of SIGSEGV" if way == "dies" else f"after {LEAST + 2} of") in document.fault
    assert len(document.rounds["a"]) == len(document.rounds["b"]) >= LEAST + 2
    assert as_line(document).startswith("INCOMPLETE (")
    assert _children() == []


def test_a_comparison_of_too_few_rounds_is_one_error(spec: dict[str, object]) -> None:
    def kill(done: int, rounds: int) -> None:
        if done == 2:
            os.kill(_children()[0], signal.SIGKILL)

    with pytest.raises(DeviceError, match="died of SIGKILL"):
        measure_ab(spec, spec, never, rounds=10_000, per_round=5, progress=kill)


def test_a_machine_under_full_load_is_noticed(spec: dict[str, object]) -> None:
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        document = measure(spec, Scenario(name="SingleStream", seconds=2.5, queries=100), never)
    finally:
        for each in busy:
            each.kill()
            each.wait()
    assert document.complete
    assert any("figures are of a loaded machine" in note for note in document.notes)
    assert max(each.others for each in document.series) > 0.2


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no such model file"):
        Worker({"kind": "model", "model": str(tmp_path / "no.onnx"), "threads": 1}, never).ready()
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    worker = Worker({"kind": "model", "model": str(tmp_path / "bad.onnx"), "threads": 1}, never)
    with pytest.raises(EngineError, match="ONNX Runtime refuses it"):
        worker.ready()
    worker.close()


def test_errors_have_the_exit_codes_of_the_command() -> None:
    assert session._error({"error": "x", "code": 3}).exit_code == DeviceError.exit_code
    assert session._error({"error": "x", "code": 2}).exit_code == InputError.exit_code
