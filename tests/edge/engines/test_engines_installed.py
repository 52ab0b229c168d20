from importlib import metadata
from pathlib import Path

import pytest
from lite_lab import build

from edge.engines.installed import installed_engines
from edge.engines.lite import library_version


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LINEGUARD_LITE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_python_packages_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_engines()["onnxruntime"] == metadata.version("onnxruntime")

    def none(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", none)
    assert installed_engines() == {}


def test_the_library_that_was_built_goes_before_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_LITE", str(build().folder.parent))
    version = library_version(build())
    assert version
    assert installed_engines()["paddle_lite"] == version.removeprefix("v")


def test_a_library_that_was_asked_for_and_is_not_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LINEGUARD_LITE", str(tmp_path / "empty"))
    assert "paddle_lite" not in installed_engines()
