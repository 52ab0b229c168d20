"""The trial: one child per model and circumstances, whatever becomes of the child."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_lab import onnx

from edge.engines import open_engine, trial
from edge.engines.trial import trials_folder, try_model
from models.errors import EngineError

CLS = {"x": (1, 3, 48, 192)}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    path = tmp_path / "junk.onnx"
    path.write_bytes(b"junk" * 100)
    return path


def kept() -> list[Path]:
    folder = trials_folder()
    assert folder is not None
    return sorted(folder.glob("*")) if folder.is_dir() else []


def child_is(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(trial, "CHILD", (sys.executable, "-c", script))


def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "CHILD", ("no-such-program",))


def refused(path: Path, threads: int = 1) -> str:
    with pytest.raises(EngineError) as caught:
        try_model([path], "onnxruntime", threads, CLS)
    return str(caught.value)


def test_a_good_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    try_model([onnx("cls")], "onnxruntime", 1, CLS)
    assert len(kept()) == 1
    no_child(monkeypatch)
    try_model([onnx("cls")], "onnxruntime", 1, CLS)
    assert open_engine(onnx("cls"), threads=1, sample=CLS).name == "onnxruntime"


@pytest.mark.parametrize("change", ["threads", "sample", "version", "bytes"])
def test_other_circumstances_are_tried_again(
    change: str, monkeypatch: pytest.MonkeyPatch, junk: Path
) -> None:
    child_is(monkeypatch, "")
    try_model([junk], "onnxruntime", 1, CLS)
    no_child(monkeypatch)
    try_model([junk], "onnxruntime", 1, CLS)
    if change == "version":
        monkeypatch.setattr("importlib.metadata.version", lambda _: "1.2.3")
    if change == "bytes":
        junk.write_bytes(b"other")
    with pytest.raises(EngineError, match="cannot be tried"):
        try_model(
            [junk],
            "onnxruntime",
            2 if change == "threads" else 1,
            {"x": (1, 3, 48, 96)} if change == "sample" else CLS,
        )


def test_a_bad_answer_is_kept(monkeypatch: pytest.MonkeyPatch, junk: Path) -> None:
    first = refused(junk)
    assert "ONNX Runtime refuses it" in first
    no_child(monkeypatch)
    again = refused(junk)
    assert again.startswith(first)
    assert str(kept()[0]) in again  # the mend: what to delete
    moved = junk.rename(junk.with_name("moved.onnx"))
    assert refused(moved).startswith(str(moved))


@pytest.mark.parametrize(
    ("signal", "says"), [("SIGABRT", "aborts"), ("SIGSEGV", "memory"), ("SIGILL", "instruction")]
)
def test_a_death_is_told_and_kept(
    signal: str, says: str, monkeypatch: pytest.MonkeyPatch, junk: Path
) -> None:
    child_is(
        monkeypatch,
        "import os, signal, sys; print('first', file=sys.stderr); print('no kernel for op', "
        f"file=sys.stderr, flush=True); os.kill(os.getpid(), signal.{signal})",
    )
    message = refused(junk)
    assert says in message
    assert signal in message
    assert "'no kernel for op'" in message
    assert str(junk) in message
    assert len(kept()) == 1


def test_a_child_that_is_killed_from_outside_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, junk: Path
) -> None:
    child_is(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    assert "signal 9" in refused(junk)
    assert kept() == []


def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, junk: Path) -> None:
    told = junk.with_name("pid")
    child_is(
        monkeypatch,
        f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)",
    )
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 2.0)
    start = time.monotonic()
    assert "within 2 s" in refused(junk)
    assert time.monotonic() - start < 30
    assert kept() == []  # a busy box is no fault of the model
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


@pytest.mark.parametrize(
    "script", ["raise SystemExit(3)", "print('{}'); raise SystemExit(1)", "raise SystemError('oh')"]
)
def test_a_child_that_talks_nonsense(
    script: str, monkeypatch: pytest.MonkeyPatch, junk: Path
) -> None:
    child_is(monkeypatch, script)
    assert "exit code" in refused(junk)
    assert kept() == []


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b'{"reason": 3}', b'{"reason"'])
def test_a_spoilt_cache_is_no_answer(
    content: bytes, monkeypatch: pytest.MonkeyPatch, junk: Path
) -> None:
    child_is(monkeypatch, "")
    try_model([junk], "onnxruntime", 1, CLS)
    kept()[0].write_bytes(content)
    try_model([junk], "onnxruntime", 1, CLS)
    assert json.loads(kept()[0].read_bytes()) == {"reason": ""}


def test_a_cache_that_cannot_be_written_is_no_error(
    monkeypatch: pytest.MonkeyPatch, junk: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    child_is(monkeypatch, "")
    try_model([junk], "onnxruntime", 1, CLS)
    assert (tmp_path / "cache").is_file()


def test_a_library_that_is_not_installed_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch, junk: Path
) -> None:
    child_is(
        monkeypatch,
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from edge.engines.trial_child import main; sys.exit(main(sys.argv[1]))",
    )
    assert "pip install 'lineguard[box]'" in refused(junk)
    assert kept() == []


def test_where_answers_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", "/data/lg")
    assert trials_folder() == Path("/data/lg/trials")
    monkeypatch.delenv("LINEGUARD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert trials_folder() == tmp_path / "lineguard" / "trials"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/op")
    assert trials_folder() == Path("/home/op/.cache/lineguard/trials")


@pytest.mark.parametrize(
    ("suffix", "extra"), [(".onnx", "box"), (".nb", "host"), (".pdmodel", "host")]
)
def test_each_missing_library_names_its_extra(suffix: str, extra: str, tmp_path: Path) -> None:
    script = (
        "import sys\nfor n in ('onnxruntime', 'paddlelite', 'paddle'): sys.modules[n] = None\n"
        "from pathlib import Path\nfrom edge.engines.registry import ENGINES\n"
        "from models.errors import EngineError\n"
        f"try: ENGINES[{suffix!r}].make(Path('m{suffix}'), 1)\n"
        "except EngineError as e: print(e)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert f"lineguard[{extra}]" in said


def test_opening_imports_no_library_before_it_is_needed() -> None:
    script = (
        "import sys, edge.engines, edge.engines.trial_child\n"
        "print({'onnxruntime', 'paddlelite', 'paddle', 'threadpoolctl'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "set()"
