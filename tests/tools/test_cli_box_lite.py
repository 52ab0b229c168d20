"""``lineguard box build-lite``: the stand-in's release, compiled by the command."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_lab import lineguard, refused
from needs_lab import needs

from edge.engines.lite import this_machine
from edge.engines.lite.child import LIBRARY

STANDIN = Path(__file__).parents[1] / "edge" / "engines" / "lite_standin"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    compiler = shutil.which("g++")
    needs(compiler, "g++")
    cxx = tmp_path / "release" / "cxx"
    (cxx / "lib").mkdir(parents=True)
    (cxx / "include").mkdir()
    shutil.copy(STANDIN / "paddle_api.h", cxx / "include")
    source, library = str(STANDIN / "standin.cc"), str(cxx / "lib" / LIBRARY)
    subprocess.run([str(compiler), "-O1", "-fPIC", "-shared", source, "-o", library], check=True)
    return tmp_path / "release"


@pytest.mark.slow
def test_it_builds_and_says_where(release: Path, tmp_path: Path) -> None:
    done = lineguard("box", "build-lite", release, "--out", "lite", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.json["machine"] == this_machine()
    assert done.json["version"] == "v2.13-rc"
    facts = json.loads((tmp_path / "lite" / this_machine() / "lite.json").read_text())
    assert facts["key"] == done.json["key"]
    said = lineguard("box", "build-lite", release, "--out", "lite", cwd=tmp_path).out
    assert f"{this_machine()}, loads here, Paddle Lite v2.13-rc" in said
    assert f"LINEGUARD_LITE={tmp_path / 'lite'}" in said
    env = {"LINEGUARD_LITE": str(tmp_path / "lite")}
    assert "in use where" not in lineguard("box", "build-lite", release, cwd=tmp_path, **env).out


@pytest.mark.slow
def test_what_it_refuses(tmp_path: Path) -> None:
    (error,) = refused("box", "build-lite", "missing", cwd=tmp_path)
    assert error == "missing: no such folder: unpack a release of Paddle Lite for Linux"
    (tmp_path / "empty").mkdir()
    (error,) = refused("box", "build-lite", "empty", "--out", "lite", cwd=tmp_path)
    assert error.startswith(f"empty: holds no cxx/lib/{LIBRARY}: ")
