"""What a fuzzer guided by coverage has found worth keeping, replayed: it must find nothing."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tools.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")


@pytest.mark.parametrize("target", TARGETS)
def test_replay(target: str) -> None:
    files = sorted((CORPUS / target).iterdir())
    assert len(files) > 5
    tracemalloc.start()
    try:
        for file in files:
            TARGETS[target](file.read_bytes())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


def test_it_stays_small() -> None:
    files = [file for file in CORPUS.rglob("*") if file.is_file()]
    assert {file.parent.name for file in files} == set(TARGETS)
    assert len(files) <= 200
    assert sum(file.stat().st_size for file in files) <= 300_000


def test_without_atheris_it_says_where_to_read_on() -> None:
    # Also where it is installed: no target was named.
    command = [sys.executable, "-m", "tools.fuzz.decoders"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(("atheris is not installed here: ", "name a target: "))
