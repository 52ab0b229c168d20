"""Services as systemd sees them: a real child, a real socket."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import ENV, LINEGUARD, picture, save, write_station
from notify_lab import PATIENCE_S, Manager

HERE = Path(__file__).parent


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def station(folder: Path) -> None:
    save(folder / "parts/0.png", picture())
    write_station(folder, "folder:parts?fps=10&loop=1")


def started(folder: Path, manager: Manager, *args: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [str(each) for each in args],
        cwd=folder,
        env=ENV | manager.environment(1.0) | {"PYTHONPATH": os.getcwd()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_station_is_ready_lives_and_stops(tmp_path: Path, manager: Manager) -> None:
    station(tmp_path)
    process = started(tmp_path, manager, LINEGUARD, "run", "station.toml")
    try:
        manager.until(lambda line: line == "READY=1")
        manager.until(lambda line: line == "WATCHDOG=1")
        manager.until(lambda line: line.startswith("STATUS=cli: ") and " 0 parts" not in line)
        process.send_signal(signal.SIGTERM)
        manager.until(lambda line: line == "STOPPING=1")
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_lane_that_hangs_gives_no_sign_of_life(tmp_path: Path, manager: Manager) -> None:
    station(tmp_path)
    process = started(tmp_path, manager, sys.executable, HERE / "hung_station.py")
    try:
        manager.until(lambda line: line == "READY=1")
        manager.until(lambda line: line == "WATCHDOG=1")
        (tmp_path / "hang").touch()
        said = manager.until(lambda line: line.startswith("STATUS=stuck: "))
        assert "inference of top stands still for" in said
        assert "WATCHDOG=1" not in manager.hear(3)
        process.send_signal(signal.SIGTERM)  # and a stop goes through all the same
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_an_agent_is_ready_lives_and_stops(tmp_path: Path, manager: Manager) -> None:
    args = ("agent", "--port", "tcp://127.0.0.1:0", "--root", "box")
    process = started(tmp_path, manager, LINEGUARD, *args)
    try:
        manager.until(lambda line: line == "READY=1")
        manager.until(lambda line: line.startswith("STATUS=listening at tcp://127.0.0.1:"))
        manager.until(lambda line: line == "WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        manager.until(lambda line: line == "STOPPING=1")
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
