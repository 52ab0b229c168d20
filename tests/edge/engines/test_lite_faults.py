"""The library dies, hangs or talks nonsense, at any moment: an error, and another life."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from lite_lab import build, write_model

from edge.engines.lite import LiteEngine, child
from edge.engines.lite import engine as supervision
from edge.engines.lite.process import DeadError, LiteProcess
from models.errors import EngineError

IMAGE = np.ones((1, 3, 4, 4), np.float32)
LARGE = np.ones((1, 3, 512, 512), np.float32)


def model(folder: Path, *lines: str) -> Path:
    return write_model(folder / "model.nb", *lines)


@pytest.fixture
def trigger(tmp_path: Path) -> Path:
    """While this file exists, the model does what it must not."""
    return tmp_path / "trigger"


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    build()  # before counting
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert children() == []
    assert len(os.listdir("/proc/self/fd")) <= before


def children() -> list[str]:
    """Processes of ours, dead or alive, in which a library runs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
            zombie = stat.rpartition(")")[2].split()[0] == "Z"
            if zombie or child.__file__.encode() in command:
                found.append(stat)
    return found


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    """Whether it lives; a zombie, which somebody else has to collect, does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def pid_of(engine: LiteEngine) -> int:
    assert engine._process is not None
    return engine._process.pid


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (
            "abort",
            "it aborts the process (SIGABRT), last said '[F stand-in] no kernel for op: abort'",
        ),
        ("segv", "by a bad memory access (SIGSEGV), last said"),
        ("exit", "its process ended with exit code 3, last said"),
    ],
)
def test_a_death_in_a_run(what: str, says: str, tmp_path: Path, trigger: Path) -> None:
    engine = LiteEngine(model(tmp_path, "add 1", f"run {what} {trigger}"), 1, build())
    assert engine.run({"x": IMAGE})["x.out"].max() == 3
    trigger.touch()
    with pytest.raises(EngineError) as caught:
        engine.run({"x": LARGE})
    assert str(caught.value).startswith(f"{tmp_path / 'model.nb'}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    trigger.unlink()
    assert engine.run({"x": IMAGE})["x.out"].max() == 3  # the next call is served
    assert engine.deaths == 1
    engine.close()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("abort", "SIGABRT"),
        ("null", "Paddle Lite refuses it (it gives no predictor)"),
        ("throw", "Paddle Lite refuses it (thrown by the stand-in)"),
    ],
)
def test_a_death_or_a_no_at_loading(what: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        LiteEngine(model(tmp_path, f"load {what}"), 1, build())
    assert says in str(caught.value)


def test_what_is_thrown_ends_no_process(tmp_path: Path, trigger: Path) -> None:
    engine = LiteEngine(model(tmp_path, f"run throw {trigger}"), 1, build())
    pid = pid_of(engine)
    trigger.touch()
    with pytest.raises(EngineError, match=r"failed on it \(thrown by the stand-in\)"):
        engine.run({"x": LARGE})
    trigger.unlink()
    engine.run({"x": LARGE})
    assert (pid_of(engine), engine.deaths) == (pid, 0)
    engine.close()


@pytest.mark.parametrize("when", ["load", "run"])
def test_a_hang(when: str, tmp_path: Path, trigger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = model(tmp_path, f"{when} hang {trigger}")
    if when == "run":
        engine = LiteEngine(path, 1, build())
        pid = pid_of(engine)
    trigger.touch()
    monkeypatch.setattr(supervision, f"{'OPEN' if when == 'load' else when.upper()}_SECONDS", 1.0)
    with pytest.raises(EngineError, match="no answer in time and was killed") as caught:
        _ = LiteEngine(path, 1, build()) if when == "load" else engine.run({"x": IMAGE})
    assert isinstance(caught.value.__cause__, TimeoutError)  # a busy box: no fault of the model
    monkeypatch.undo()
    trigger.unlink()
    if when == "run":
        assert not is_there(pid)
        assert engine.run({"x": IMAGE})["x.out"].max() == 2
        engine.close()


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGTERM"])
def test_it_is_killed_between_two_calls(sent: str, tmp_path: Path) -> None:
    engine = LiteEngine(model(tmp_path), 1, build())
    pid = pid_of(engine)
    os.kill(pid, signal.Signals[sent])
    until(lambda: not is_there(pid))
    with pytest.raises(EngineError, match=f"killed by signal {signal.Signals[sent]:d}") as caught:
        engine.run({"x": LARGE})
    assert isinstance(caught.value.__cause__, InterruptedError)
    assert engine.run({"x": LARGE})["x.out"].max() == 2
    engine.close()


def test_it_is_killed_at_any_moment_of_a_call(tmp_path: Path) -> None:
    engine = LiteEngine(model(tmp_path, "add 1"), 1, build())
    said: list[str] = []
    for delay in range(6):
        engine._not_before, engine._in_a_row = 0.0, 0
        try:
            engine.run({"x": IMAGE})  # so that it is there and loaded
            killer = threading.Timer(delay / 2000, os.kill, (pid_of(engine), signal.SIGKILL))
            killer.start()
            assert engine.run({"x": LARGE})["x.out"].min() == 3
        except EngineError as error:
            said.append(str(error))
        killer.join()
    assert said
    assert all("killed by signal 9" in each for each in said)
    engine.close()


def test_after_some_deaths_it_waits_and_then_gives_up(
    tmp_path: Path,
    trigger: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = LiteEngine(model(tmp_path, f"run abort {trigger}"), 1, build())
    trigger.touch()
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    said = []
    for pause in (*supervision.PAUSES, None):
        with pytest.raises(EngineError, match="SIGABRT") as caught:
            engine.run({"x": IMAGE})
        said.append(str(caught.value).rpartition(": ")[2])
        if pause:
            with pytest.raises(EngineError, match=f"is started again in {pause:.1f} s"):
                engine.run({"x": IMAGE})
            now += pause
    assert said[0] == "it is started again"
    assert said[1] == "started again in 0.5 s"
    assert "given up" in said[-1]
    trigger.unlink()
    now += 1e6
    with pytest.raises(EngineError, match="died 5 times in a row and is not started again"):
        engine.run({"x": IMAGE})
    assert engine.deaths == 5
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage().rpartition("(")[2] for record in told] == [
        f"death {n} of this engine)" for n in range(1, 6)
    ]
    engine.close()


def test_an_answer_forgives_the_deaths_before(
    tmp_path: Path, trigger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "PAUSES", (0.0,))
    engine = LiteEngine(model(tmp_path, f"run abort {trigger}"), 1, build())
    for _ in range(3):
        trigger.touch()
        with pytest.raises(EngineError, match="it is started again"):
            engine.run({"x": IMAGE})
        trigger.unlink()
        engine.run({"x": IMAGE})
    assert engine.deaths == 3
    engine.close()


def test_a_model_that_is_gone_when_it_is_started_again(tmp_path: Path, trigger: Path) -> None:
    engine = LiteEngine(model(tmp_path, f"run abort {trigger}", f"load null {trigger}"), 1, build())
    trigger.touch()
    with pytest.raises(EngineError, match="SIGABRT"):
        engine.run({"x": IMAGE})
    with pytest.raises(EngineError, match="it refuses it now"):
        engine.run({"x": IMAGE})
    assert engine.deaths == 2
    engine.close()


@pytest.mark.parametrize("when", ["load", "run"])
def test_a_library_that_prints_a_lot_waits_for_nobody(
    when: str, tmp_path: Path, trigger: Path
) -> None:
    trigger.touch()
    engine = LiteEngine(model(tmp_path, f"{when} log {trigger}"), 1, build())
    assert engine.run({"x": IMAGE})["x.out"].max() == 2  # a megabyte: more than any pipe holds
    engine.close()


def test_an_interrupted_call_leaves_no_answer_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LiteEngine(model(tmp_path, "add 1"), 1, build())
    live = engine._process
    assert live is not None

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "_answer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        engine.run({"x": IMAGE * 7})
    assert engine.run({"x": IMAGE})["x.out"].max() == 3
    engine.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"no json",
        b"[]",
        b"3",
        b'{"answers": 3}',
        b'{"answers": [[9, [1]]]}',
        b'{"answers": [[0, [-1]]]}',
        b'{"answers": [[0, [1000000]]]}',
        b'{"answers": [[0, ["a"]]]}',
        b'{"outputs": []}',
    ],
)
def test_an_answer_that_makes_no_sense(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        "import socket, sys\n"
        "link = socket.socket(fileno=int(sys.argv[2]))\n"
        f"link.recv(65536); link.send({answer!r}); link.recv(1)\n"
    )
    monkeypatch.setattr(child, "__file__", str(script))
    live = LiteProcess(build().shim, 1)
    with pytest.raises(DeadError, match="nonsense"):
        live.run([(0, IMAGE)], 120.0)
    assert not is_there(live.pid)


def test_inputs_that_fit_into_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LiteEngine(model(tmp_path), 1, build())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EngineError, match="bytes of shared memory cannot be had: No space left"):
        engine.run({"x": LARGE})
    monkeypatch.undo()
    assert engine.run({"x": LARGE})["x.out"].max() == 2
    engine.close()


def test_no_process_is_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-such-python"))
    with pytest.raises(EngineError, match="no process can be started for it"):
        LiteProcess(build().shim, 1)


def test_a_shim_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "libshim.so").write_bytes(b"\x7fELF and no more")
    live = LiteProcess(tmp_path / "libshim.so", 1)
    live.open(tmp_path / "model.nb", 1)
    with pytest.raises(EngineError, match=r"cannot be loaded .*build it again"):
        live.opened(120.0)


def test_an_engine_that_nobody_closes(tmp_path: Path) -> None:
    engine = LiteEngine(model(tmp_path), 1, build())
    pid = pid_of(engine)
    del engine
    gc.collect()
    assert not is_there(pid)


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_outlives_a_killed_station(busy: bool, tmp_path: Path, trigger: Path) -> None:
    path = model(tmp_path, f"run hang {trigger}")
    trigger.touch()
    facts = json.dumps([str(path), str(build().folder)])
    station = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import json, sys, numpy as np\n"
            "from pathlib import Path\n"
            "from edge.engines.lite import LiteEngine\n"
            "from edge.engines.lite.built import read_build\n"
            f"path, folder = json.loads({facts!r})\n"
            "engine = LiteEngine(Path(path), 1, read_build(Path(folder)))\n"
            "print(engine._process.pid, flush=True)\n"
            f"{'engine.run(dict(x=np.ones((1, 3, 4, 4), np.float32)))' if busy else 'input()'}\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert station.stdout is not None
    pid = int(station.stdout.readline())
    assert is_there(pid)
    if busy:
        until(lambda: waits(pid))
    station.kill()
    station.wait()
    until(lambda: not is_there(pid))
    assert station.stdin is not None
    station.stdin.close()
    station.stdout.close()


def waits(pid: int) -> bool:
    """Whether its main thread sleeps."""
    return Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_deaths_do_not_leak(tmp_path: Path, trigger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "PAUSES", (0.0,) * 10)
    engine = LiteEngine(model(tmp_path, f"run abort {trigger}"), 1, build())
    trigger.touch()
    counted = []
    for _ in range(4):
        with pytest.raises(EngineError, match="SIGABRT"):
            engine.run({"x": IMAGE})
        gc.collect()  # pytest keeps the error with its frames, and those the shared memory
        counted.append(len(os.listdir("/proc/self/fd")))
    assert len(set(counted)) == 1
    engine.close()
