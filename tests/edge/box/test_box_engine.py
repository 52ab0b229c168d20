"""The self-test of engines: one that computes, one that is missing, one that kills its process."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest
from boards_lab import case_of, make_board
from selftest_model import make_model

from edge.box.checks import engine as checking
from edge.box.checks.engine import check_engines
from edge.box.engine_child import SELF_TEST
from edge.box.finding import Finding


def test_the_model_is_what_its_script_makes() -> None:
    assert onnx.load(SELF_TEST) == make_model()


def look(tmp_path: Path) -> list[Finding]:
    return list(check_engines(case_of(make_board(tmp_path, "rpi4"))))


@pytest.mark.slow
def test_the_engines_of_this_machine(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert {each.level for each in found} == {"ok"}
    assert found[0].found == f"ONNX Runtime {onnxruntime.__version__}: self-test passed"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.kill(os.getpid(), 4)", "ONNX Runtime: its self-test died of SIGILL"),
        ("raise SystemExit('libgomp.so.1: cannot open')", "none is installed"),
        ("import sys; print('x', file=sys.stderr); sys.exit(2)", "cannot be loaded: x"),
        ("print('no json')", "ONNX Runtime: cannot be loaded: nothing"),
        ('print(\'{"version": "1.2", "problem": "computes wrongly"}\')', "1.2: computes"),
        ("import time; time.sleep(60)", "ONNX Runtime: no answer within 0.5 s"),
    ],
)
def test_engines_that_fail(
    code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "CHILD", (sys.executable, "-c", code))
    if "sleep" in code:
        monkeypatch.setattr(checking, "SELF_TEST_S", 0.5)
    found = look(tmp_path)
    assert {each.level for each in found} == {"fault"}
    assert words in found[0].found
