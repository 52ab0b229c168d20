"""Services as systemd sees them: a real child, a real socket, and the files that start it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import ENV, LINEGUARD, files, lineguard, picture, refused, save, write_station
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


def test_install_writes_what_it_shows(tmp_path: Path) -> None:
    station(tmp_path)
    args = ("service", "install", "--station", "station.toml", "--port", "/dev/ttyS1")
    before = files(tmp_path)
    shown = lineguard(*args, "--root", "box", "--dry-run", cwd=tmp_path)
    assert (shown.code, shown.err) == (0, "")
    assert files(tmp_path) == before
    done = lineguard(*args, "--root", "box", "--into", "image", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    for name in (
        "etc/systemd/system/lineguard-station.service",
        "etc/systemd/system/lineguard-agent.service",
        "etc/sysusers.d/lineguard.conf",
    ):
        text = (tmp_path / "image" / name).read_text()
        assert f"# /{name}\n{text}\n" in shown.out
        assert f"written: image/{name}\n" in done.out
    assert f"ExecStart={LINEGUARD} run {tmp_path / 'station.toml'}\n" in shown.out
    assert "systemctl enable --now lineguard-station lineguard-agent" in done.out
    assert f"mkdir -p {tmp_path} && chown -R lineguard: {tmp_path}\n" in done.out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "what? give --station, or --port and --root"),
        (("--port", "/dev/ttyS1"), "--port: the agent needs a folder: give --root"),
        (("--station", "none.toml"), "none.toml: does not exist: begin with"),
        (("--port", "a b", "--root", "box"), "has characters that mean something to systemd"),
        (("--station", "station.toml", "--port", "tcp://x:y", "--root", "b"), "is no tcp://HOST"),
    ],
)
def test_install_refuses(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    station(tmp_path)
    (error,) = refused("service", "install", "--into", "image", *args, cwd=tmp_path)
    assert says in error


def test_install_where_it_may_not_write(tmp_path: Path) -> None:
    station(tmp_path)
    (tmp_path / "image").write_text("a file")
    args = ("service", "install", "--station", "station.toml", "--into", "image")
    (error,) = refused(*args, cwd=tmp_path, code=3)
    assert "cannot be written" in error
