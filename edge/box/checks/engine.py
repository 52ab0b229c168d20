"""Inference engines: which are installed, in which version, and whether they compute."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

from edge.box.finding import Case, Finding, bad, fine

__all__ = ["NAMES", "check_engines"]

NAMES = {"onnxruntime": "ONNX Runtime", "paddle_lite": "Paddle Lite"}
"""Engines that a bundle can be for."""

CHILD = (sys.executable, "-m", "edge.box.engine_child")

SELF_TEST_S = 40.0
"""For loading a library of 20 MB from the slowest card, and two products."""

_MEND = {
    "onnxruntime": "install the package for this processor again: pip install 'lineguard[box]'",
    "paddle_lite": "build Paddle Lite for this processor, see docs/box.md",
}


def check_engines(case: Case) -> Iterator[Finding]:
    """Test each in a child: a library for another processor kills whoever loads it."""
    found = [_test(name) for name in NAMES]
    yield from (each for each in found if each is not None)
    if not any(found):
        yield bad("engine", "none is installed: nothing can be inspected", _MEND["onnxruntime"])


def _test(name: str) -> Finding | None:
    """What its self-test says; ``None`` if it is not installed."""
    try:
        child = subprocess.run(
            [*CHILD, name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SELF_TEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return bad("engine", f"{NAMES[name]}: no answer within {SELF_TEST_S:g} s", _MEND[name])
    except OSError as error:
        found = f"{NAMES[name]}: cannot be tested ({error.strerror})"
        return bad("engine", found, f"{CHILD[0]} must be able to start")
    if child.returncode == 1:
        return None
    if child.returncode < 0:
        try:
            death = signal.Signals(-child.returncode).name
        except ValueError:
            death = f"signal {-child.returncode}"
        return bad("engine", f"{NAMES[name]}: its self-test died of {death}", _MEND[name])
    try:
        said = json.loads(child.stdout.splitlines()[-1])
        version, problem = str(said["version"]), str(said["problem"])
    except (ValueError, IndexError, KeyError, TypeError):
        last = (child.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"])[-1]
        return bad("engine", f"{NAMES[name]}: cannot be loaded: {last[:120]}", _MEND[name])
    if problem:
        return bad("engine", f"{NAMES[name]} {version}: {problem}", _MEND[name])
    return fine("engine", f"{NAMES[name]} {version}: self-test passed")
