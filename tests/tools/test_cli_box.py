"""What is said of a box that is not there, or not to be had. The rest: ``test_cli_agent.py``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_lab import lineguard, refused


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "log", "rollback", "confirm"])
def test_a_box_is_at_one_place(command: str, tmp_path: Path) -> None:
    words = "box: say where it is: --root DIR on the box itself, or --port ADDRESS"
    assert refused("box", command, cwd=tmp_path) == [words]
    assert refused("box", command, "--root", "x", "--port", "y", cwd=tmp_path) == [words]
    assert refused("box", command, "--root", "x", cwd=tmp_path) == [
        "x: no such folder: give the --root of the agent"
    ]
    (error,) = refused("box", command, "--port", "/dev/no-such-port", cwd=tmp_path, code=3)
    assert error.startswith("/dev/no-such-port: ")


@pytest.mark.slow
def test_a_box_without_a_bundle(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    done = lineguard("box", "status", "--root", root, cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    assert ": EMPTY, " in done.out
    assert lineguard("box", "log", "--root", root, "--json", cwd=tmp_path).json == {"entries": []}
    (error,) = lineguard("box", "rollback", "--root", root, cwd=tmp_path).errors
    assert error == f"{root}: there is no other confirmed bundle: flash one"
    (error,) = lineguard("box", "confirm", "--root", root, cwd=tmp_path).errors
    assert error == f"{root}: no bundle is staged: flash one"
    told = lineguard("box", "log", "--root", root, cwd=tmp_path).out
    assert "refused" in told
    assert "rollback: state: there is no other confirmed bundle" in told


@pytest.mark.slow
def test_a_box_with_a_fault_says_so(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    slot = {"state": "CONFIRMED", "manifest": "0" * 64, "tries": 0, "held": False}
    empty = {"state": "EMPTY", "manifest": None, "tries": 0, "held": False}
    state = {"format": 1, "active": "a", "counter": 3, "slots": {"a": slot, "b": empty}}
    (root / "state.json").write_text(json.dumps(state))
    done = lineguard("box", "status", "--root", root, "--json", cwd=tmp_path)
    assert (done.code, done.json["state"], done.json["counter"]) == (1, "FAULT", 3)
    assert "slot b: nothing confirmed lies there" in done.json["fault"]
    shown = lineguard("box", "status", "--root", root, cwd=tmp_path).out
    assert "fault: slot a: " in shown
