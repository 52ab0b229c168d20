"""``lineguard flash`` as a user runs it, onto agents that are run as on a box."""

import csv
import json
import signal
import socket
from pathlib import Path

import pytest
from bundle_lab import make_key
from cli_lab import SECONDS, Done, lineguard, refused
from conftest import SpotsMaker
from flashing_lab import Cable, agent, arrived, await_bytes, release, started, trusting

TRUST = ("--trusted", "user/trusted")

BIG = 24_000_000
"""Bytes that take long enough over TCP to be interrupted."""

SLOW = 400_000
"""Bytes that take five seconds at 921600 baud."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the user works; he trusts ``KEY``, and so do the boxes ``one`` and ``two``."""
    for name in ("user", "one", "two"):
        trusting(tmp_path / name)
    return tmp_path


def flash(bundle: Path, *args: object, cwd: Path) -> Done:
    done = lineguard("flash", bundle, *TRUST, *args, cwd=cwd)
    assert "Traceback" not in done.err
    return done


def runs(root: Path) -> str:
    """Version that a box runs, by its own word."""
    status = lineguard("box", "status", "--root", root, "--json", cwd=root).json
    return next((slot["version"] for slot in status["slots"].values() if slot["active"]), "")


@pytest.mark.slow
def test_a_box_over_tcp(folder: Path, spots: SpotsMaker) -> None:
    one = release(folder / "a", spots, "1.0.0")
    two = release(folder / "a", spots, "2.0.0")
    bad = release(folder / "a", spots, "3.0.0", found=10)
    with agent(folder / "one") as (_, at):
        done = flash(one, "--port", at, cwd=folder)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("box ")
        assert " runs pcb 1.0.0 (slot a), p99 " in done.out
        again = flash(one, "--port", at, "--json", cwd=folder).json
        assert (again["name"], again["version"], len(again["id"])) == ("pcb", "1.0.0", 64)
        (box,) = again["boxes"]
        assert (box["box"], box["result"], box["bytes"]) == (at, "already", 0)

        (box,) = flash(two, "--port", at, "--json", cwd=folder).json["boxes"]
        assert (box["result"], box["before"]) == ("flashed", "pcb 1.0.0 (slot a)")
        assert box["after"] == "pcb 2.0.0 (slot b)"
        assert 0 < box["bytes"] < 10  # the rest was there

        done = flash(bad, "--port", at, cwd=folder)
        assert (done.code, done.out) == (3, "")
        (error,) = done.errors
        assert "pcb 3.0.0 failed its trial: board.png: expected green 0.90" in error
        assert error.endswith(" runs pcb 2.0.0 (slot b)")
        failed = flash(bad, "--port", at, "--json", cwd=folder)
        assert failed.code == 3
        assert failed.json["boxes"][0]["result"] == "failed"
        assert failed.json["boxes"][0]["after"] == "pcb 2.0.0 (slot b)"


@pytest.mark.slow
def test_the_agent_is_killed_and_started_again(folder: Path, spots: SpotsMaker) -> None:
    new = release(folder / "a", spots, "1.0.0", noise=BIG)
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    root = folder / "one"
    with (
        agent(root, at) as (process, _),
        started("flash", new, *TRUST, "--port", at, "--json", cwd=folder) as sender,
    ):
        await_bytes(root, BIG // 8, sender)
        process.kill()
        process.wait()
        had = arrived(root)
        assert had < BIG
        with agent(root, at):
            out, err = sender.communicate(timeout=SECONDS)
    assert (sender.returncode, err) == (0, "")
    (box,) = json.loads(out)["boxes"]
    assert box["after"] == "pcb 1.0.0 (slot a)"
    assert BIG < box["bytes"] < 2 * BIG - had + 2_000_000
    assert runs(root) == "1.0.0"


@pytest.mark.slow
def test_the_host_is_interrupted(folder: Path, spots: SpotsMaker) -> None:
    new = release(folder / "a", spots, "1.0.0", noise=BIG)
    root = folder / "one"
    with agent(root) as (_, at):
        args = ("flash", new, *TRUST, "--port", at, "--report", "r.json")
        with started(*args, cwd=folder) as sender:
            await_bytes(root, BIG // 64, sender)  # early: a busy machine looks late
            sender.send_signal(signal.SIGINT)
            out, err = sender.communicate(timeout=SECONDS)
        assert (sender.returncode, out, err) == (130, "", "")
        had = arrived(root)
        assert 0 < had < BIG
        (box,) = flash(new, "--port", at, "--json", cwd=folder).json["boxes"]
        assert box["bytes"] < BIG - had + 200_000
    assert runs(root) == "1.0.0"


@pytest.mark.slow
def test_a_serial_line_that_is_unplugged(folder: Path, spots: SpotsMaker) -> None:
    new = release(folder / "a", spots, "1.0.0", noise=SLOW)
    root = folder / "one"
    cable = Cable(folder)
    with agent(root, str(cable.box)):
        args = ("flash", new, *TRUST, "--port", cable.host, "--json")
        with started(*args, cwd=folder) as sender:
            await_bytes(root, SLOW // 4, sender)
            cable.unplug()
            had = arrived(root)
            cable.plug()
            out, err = sender.communicate(timeout=SECONDS)
        cable.unplug()
    assert (sender.returncode, err) == (0, "")
    (box,) = json.loads(out)["boxes"]
    assert box["after"] == "pcb 1.0.0 (slot a)"
    assert SLOW < box["bytes"] < 2 * SLOW - had + 300_000
    assert runs(root) == "1.0.0"


@pytest.mark.slow
def test_a_delta_over_a_serial_line(folder: Path, spots: SpotsMaker) -> None:
    """Of the bundle beside it without asking, and of another one that is named, over TCP too."""
    one, two = (release(folder / "a", spots, version, noise=SLOW) for version in ("1.0.0", "2.0.0"))
    three = release(folder / "b", spots, "3.0.0", noise=SLOW)
    root = folder / "one"
    with agent(root) as (_, at):
        (box,) = flash(one, "--port", at, "--json", cwd=folder).json["boxes"]
        assert box["bytes"] > SLOW
        (box,) = flash(three, "--port", at, "--base", one, "--json", cwd=folder).json["boxes"]
        assert box["bytes"] < 1000
    cable = Cable(folder)
    (folder / "a" / "pcb-0.0.1.lgb").write_text("not a bundle, and nobody has named it")
    with agent(root, str(cable.box)):
        (box,) = flash(two, "--port", cable.host, "--json", cwd=folder).json["boxes"]
        assert (box["after"], box["bytes"] < 1000) == ("pcb 2.0.0 (slot a)", True)
    cable.unplug()


@pytest.mark.slow
def test_a_fleet(folder: Path, spots: SpotsMaker) -> None:
    new = release(folder / "a", spots, "1.0.0")
    with agent(folder / "one") as (_, one), agent(folder / "two") as (_, two):
        (folder / "boxes.toml").write_text(
            "[fleet]\ncanary = 1\nmax_failures = 0\n"
            f'[[boxes]]\nname = "press-1"\nport = "{one}"\n'
            f'[[boxes]]\nname = "press-2"\nport = "{two}"\n'
            '[[boxes]]\nname = "gone"\nport = "tcp://127.0.0.1:1"\n'
        )
        done = flash(new, "--fleet", "boxes.toml", "--report", "r.csv", cwd=folder)
        assert (done.code, done.err) == (3, "")
        assert "2 of 3 boxes have pcb 1.0.0" in done.out
        with (folder / "r.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["box"] for row in rows] == ["press-1", "press-2", "gone"]
        assert [row["result"] for row in rows] == ["flashed", "flashed", "failed"]
        assert "nothing listens there" in rows[2]["reason"]
        assert rows[0]["after"] == "pcb 1.0.0 (slot a)"

        both = ("--port", one, "--port", two)
        done = flash(new, *both, "--report", "r.json", cwd=folder)
        assert (done.code, done.err) == (0, "")
        assert done.out.count("already") == 2
        said = json.loads((folder / "r.json").read_text())
        assert [row["result"] for row in said["boxes"]] == ["already", "already"]


@pytest.mark.slow
def test_a_box_that_waits_for_an_idle_line(folder: Path, spots: SpotsMaker) -> None:
    new = release(folder / "a", spots, "1.0.0")
    with agent(folder / "one") as (_, at):
        done = flash(new, "--port", at, "--hold", cwd=folder)
        assert (done.code, done.err) == (0, "")
        assert done.out.endswith(" has it and waits for an idle line; it runs nothing\n")


@pytest.fixture
def bundle(folder: Path, spots: SpotsMaker) -> Path:
    return release(folder / "a", spots, "1.0.0", noise=5000)


PORT = ("--port", "tcp://127.0.0.1:1")


def test_nobody_there(folder: Path, bundle: Path) -> None:
    (error,) = refused("flash", bundle, *TRUST, *PORT, cwd=folder, code=3)
    assert error.startswith("tcp://127.0.0.1:1: nothing listens there: start `lineguard agent`")
    (error,) = refused("flash", bundle, *TRUST, "--port", "/dev/none", cwd=folder, code=3)
    assert error.startswith("/dev/none: there is no such port")


def test_a_bundle_that_is_refused_before_sending(
    folder: Path, bundle: Path, spots: SpotsMaker
) -> None:
    (error,) = refused("flash", "none.lgb", *TRUST, *PORT, cwd=folder)
    assert error.startswith("none.lgb: cannot be read")
    strange = release(folder / "s", spots, "1.0.0", key=make_key(9))
    assert "whom nobody here trusts" in refused("flash", strange, *TRUST, *PORT, cwd=folder)[0]
    (error,) = refused("flash", bundle, *TRUST, *PORT, "--base", "user/none.lgb", cwd=folder)
    assert error.startswith("user/none.lgb: cannot be read")
    data = bytearray(bundle.read_bytes())
    data[-2000] ^= 1
    bundle.write_bytes(data)
    (error,) = refused("flash", bundle, *TRUST, *PORT, cwd=folder)
    assert "was altered" in error


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("", "flash: say where to: --port ADDRESS, or --fleet boxes.toml"),
        ("--port x --fleet y", "flash: say where to: --port ADDRESS, or --fleet boxes.toml"),
        ("--port x --port x", "flash: --port x is named twice: name each box once"),
        ("--port x --report r.txt", "r.txt: is neither .json nor .csv: name one of them"),
        ("--port x --report no/r.csv", "no/r.csv: is a folder, or in none: name a file"),
        ("--fleet none.toml", "none.toml: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_asked_makes_no_sense(args: str, words: str, tmp_path: Path) -> None:
    (error,) = refused("flash", "x.lgb", *args.split(), cwd=tmp_path)
    assert error.startswith(words)


def test_all_faults_of_a_fleet_file(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(
        "[fleet]\nparalel = 8\ncanary = -1\n"
        '[[boxes]]\nname = "a b"\nport = "tcp://x"\n'
        '[[boxes]]\nnmae = "a"\nport = "tcp://x"\n'
        "[[boxes]]\nname = 3\n"
    )
    errors = refused("flash", "x.lgb", "--fleet", "f.toml", cwd=tmp_path)
    assert [error.removeprefix("f.toml:") for error in errors] == [
        '2: fleet.paralel: unknown key: did you mean "parallel"?',
        "3: fleet.canary = -1: must be at least 0 (of the first boxes, which go before all others)",
        '5: boxes[0].name = "a b": may hold letters, digits, _ and - only (as people call it)',
        '6: boxes[0].port = "tcp://x": is no address: say tcp://HOST:PORT',
        '8: boxes[1].nmae: unknown key: did you mean "name"?',
        '9: boxes[1].port = "tcp://x": is no address: say tcp://HOST:PORT',
        '9: boxes[1].port = "tcp://x": is the port of boxes[0] already',
        "10: boxes[2].port: is missing (a serial port, or tcp://HOST:PORT)",
        "11: boxes[2].name = 3: must be a text in quotes (as people call it)",
    ]


@pytest.mark.parametrize("text", ["", "x", "boxes = []", "boxes = [1]", "\x00", "fleet = 3"])
def test_what_is_no_fleet_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(text)
    errors = refused("flash", "x.lgb", "--fleet", "f.toml", cwd=tmp_path)
    assert all(error.startswith("f.toml:") for error in errors)
