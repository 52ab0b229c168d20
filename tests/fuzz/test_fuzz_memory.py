"""Nothing that comes over a line or in a bundle takes more than 64 MiB."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import hostile
import pytest

LIMIT = 64
"""MiB by which a process may grow, what it was given included."""


@pytest.mark.slow
@pytest.mark.parametrize("name", hostile.WORST)
def test_the_worst_takes_little(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(hostile.__file__)), name],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < LIMIT
