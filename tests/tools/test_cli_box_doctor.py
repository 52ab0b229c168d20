"""``lineguard box doctor`` and ``profile``, as somebody at a board runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_lab import lineguard, refused


@pytest.mark.slow
def test_a_profile(tmp_path: Path) -> None:
    done = lineguard("box", "profile", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()[:2]] == ["board", "cores"]
    (tmp_path / "board.toml").write_text('board = "box 3"\nthreads = 1\n')
    said = lineguard("box", "profile", "--board", "board.toml", "--json", cwd=tmp_path).json
    assert (said["board"], said["threads"]) == ("box 3", 1)
    assert len(said["cores"]) >= 1


@pytest.mark.slow
def test_a_board_file_with_faults(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text('thread = 2\nflavours = ["int4"]\n')
    first, second = refused("box", "profile", "--board", "board.toml", cwd=tmp_path)
    assert first == 'board.toml:1: thread: unknown key: did you mean "threads"?'
    assert second.startswith("board.toml:2: flavours[0] = ")
    (tmp_path / "board.toml").write_text("cores = [1000]\n")
    (error,) = refused("box", "doctor", "--board", "board.toml", cwd=tmp_path)
    assert "there is no core 1000, only 0" in error


@pytest.mark.slow
def test_a_doctor(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text("[station]\n")
    done = lineguard("box", "doctor", "--station", "station.toml", "--json", cwd=tmp_path)
    assert (done.code, done.err, done.json["result"]) == (3, "", "fault")
    found = {each["name"]: each["level"] for each in done.json["findings"]}
    assert (found["station"], found["engine"]) == ("fault", "ok")
    assert done.json["profile"]["kernel"]
    shown = lineguard("box", "doctor", "--station", "station.toml", cwd=tmp_path)
    assert shown.code == 3
    assert "→ edit it" in shown.out
    assert shown.out.splitlines()[-1].count("fault") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["station.toml"]
