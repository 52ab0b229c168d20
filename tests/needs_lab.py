"""Programs that tests need: without them, skipped by hand, failed in CI."""

import os
from pathlib import Path

import pytest


def needs(program: str | None, package: str) -> None:
    """Skip the test if ``program`` is not there, unless CI has to install ``package``."""
    if "CI" not in os.environ and not (program and Path(program).exists()):
        pytest.skip(f"needs Debian's {package}")
