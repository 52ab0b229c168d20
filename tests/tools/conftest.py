from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_trials(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what is learnt of broken models out of the user's cache."""
    pytest.MonkeyPatch().setenv("LINEGUARD_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a command runs; it may write nowhere else."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"
