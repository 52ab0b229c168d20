"""A box as it is run: the agent, a host that flashes it over TCP, and the plug that is pulled."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_lab import make_bundle, make_key
from cli_lab import ENV, LINEGUARD, SECONDS, lineguard, refused
from conftest import SpotsMaker

from firmware_bridge.channel import Channel, request
from firmware_bridge.transport import connect
from models.bundle import Bundle, manifest_id, open_bundle, trust
from models.images import encode_image

KEY = make_key()

HARDWARE = {"x86_64": "x86-64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def make(folder: Path, spots: SpotsMaker, version: str, found: int = 230, **fields: Any) -> Bundle:
    """A bundle with a real network, and a picture with a spot of some brightness."""
    folder.mkdir(exist_ok=True)
    network = spots(folder)
    board = np.zeros((96, 128, 3), np.uint8)
    board[64:72, 64:72, 1] = found
    payload = {
        "board.png": encode_image(board),
        "det/spots.json": network.with_suffix(".json").read_bytes(),
        "det/spots.onnx": network.read_bytes(),
    }
    spot = {"label": "green", "score": 0.9, "box": [60.0, 60.0, 76.0, 76.0]}
    labels = ["red", "green", "blue"]
    path = make_bundle(
        folder,
        payload,
        version=version,
        hardware=(HARDWARE,),
        engine={"name": "onnxruntime", "min": "1", "max": "99"},
        models={"spots": {"family": "ppyoloe", "det": "det/spots.onnx", "labels": labels}},
        golden=({"image": "board.png", "model": "spots", "defects": [spot]},),
        bounds={"p99_ms": 10_000.0},
        **fields,
    )
    return open_bundle(path, [KEY.public])


@contextmanager
def agent(root: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The agent at a free port of this machine; killed at the end if it runs still."""
    process = subprocess.Popen(
        [LINEGUARD, "agent", "--port", "tcp://127.0.0.1:0", "--root", str(root)],
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("listening at tcp://"), process.communicate(timeout=SECONDS)
        yield process, said.split()[-1]
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def ask(channel: Channel, m: str, **fields: Any) -> dict[str, Any]:
    return request(channel, {"m": m, **fields}, SECONDS)


def send(channel: Channel, new: Bundle) -> bytes:
    """Send what the box lacks; gives the transfer's id."""
    said = ask(channel, "offer", envelope=new.envelope)
    transfer: bytes = said["transfer"]
    for index, file in enumerate(said["files"]):
        if file["need"]:
            size = new.manifest.files[index].bytes - file["at"]
            about = {"transfer": transfer, "index": index}
            ask(channel, "file", **about, at=file["at"], coding="raw", base=b"", bytes=size)
            for chunk in new.read(index, file["at"]):
                channel.send({"m": "data", "d": chunk})
            assert ask(channel, "check", **about)["ok"] is True
    return transfer


def trial(channel: Channel) -> dict[str, Any]:
    """Wait for the end of the trial."""
    for _ in range(SECONDS * 10):
        status = ask(channel, "status")
        if status["trial"]["state"] != "running":
            return status
        time.sleep(0.1)
    raise AssertionError("the trial never ends")


def flash(address: str, new: Bundle) -> dict[str, Any]:
    channel = connect(address)
    try:
        ask(channel, "stage", transfer=send(channel, new))
        assert ask(channel, "activate", hold=False)["state"] == "TRIAL"
        return trial(channel)
    finally:
        channel.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    trust(KEY.public, tmp_path / "root" / "trusted")
    return tmp_path / "root"


@pytest.mark.slow
def test_a_box_is_flashed_asked_and_rolled_back(
    root: Path, tmp_path: Path, spots: SpotsMaker
) -> None:
    one = make(tmp_path / "one", spots, "1.0.0")
    two = make(tmp_path / "two", spots, "2.0.0")
    bad = make(tmp_path / "bad", spots, "3.0.0", found=10)
    with agent(root) as (process, address):
        at = ("--port", address)
        done = lineguard("box", "status", *at, "--json", cwd=tmp_path)
        assert (done.code, done.json["state"]) == (1, "EMPTY")
        assert flash(address, one)["trial"]["state"] == "passed"
        assert flash(address, two)["trial"]["state"] == "passed"
        status = flash(address, bad)
        assert status["trial"]["state"] == "failed"
        assert status["trial"]["reason"].startswith("board.png: expected green 0.90 at [60, 60")
        done = lineguard("box", "status", *at, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert f"READY, {HARDWARE}, onnxruntime " in done.out
        assert "trial: failed: board.png: expected green 0.90" in done.out
        done = lineguard("box", "rollback", *at, "--json", cwd=tmp_path)
        assert (done.code, done.err) == (3, "error: " + done.err.removeprefix("error: "))
        assert "there is no other confirmed bundle" in done.err
        assert flash(address, one)["trial"]["state"] == "passed"
        done = lineguard("box", "rollback", *at, "--json", cwd=tmp_path)
        (now,) = (slot for slot in done.json["slots"].values() if slot["active"])
        assert now["version"] == "2.0.0"
        assert now["manifest"] == manifest_id(two.manifest.to_cbor())
        # The same without a line, while the agent runs.
        assert "READY" in lineguard("box", "status", "--root", root, cwd=tmp_path).out
        told = lineguard("box", "log", "--root", root, "--json", cwd=tmp_path).json["entries"]
        events = [entry["event"] for entry in told]
        assert events.count("confirmed") == 3
        assert events[-1] == "rollback"
        newer = lineguard("box", "log", *at, "--after", told[-2]["n"], cwd=tmp_path).out
        assert "rollback" in newer
        assert "confirmed" not in newer
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert os.readlink(root / "current") in "ab"


@pytest.mark.slow
def test_a_staged_bundle_is_confirmed_by_hand(
    root: Path, tmp_path: Path, spots: SpotsMaker
) -> None:
    one = make(tmp_path / "one", spots, "1.0.0")
    with agent(root) as (_, address):
        channel = connect(address)
        ask(channel, "stage", transfer=send(channel, one))
        assert ask(channel, "activate", hold=True)["state"] == "STAGED"
        done = lineguard("box", "confirm", "--port", address, cwd=tmp_path)
        assert (done.code, done.err) == (0, "")
        assert "trial: passed, p99 " in done.out
        assert ask(channel, "status")["slots"]["a"]["active"] is True
        channel.close()


@pytest.mark.slow
def test_without_an_agent_too(root: Path, tmp_path: Path, spots: SpotsMaker) -> None:
    bad = make(tmp_path / "bad", spots, "1.0.0", found=10)
    with agent(root) as (_, address):
        channel = connect(address)
        ask(channel, "stage", transfer=send(channel, bad))
        channel.close()
    done = lineguard("box", "confirm", "--root", root, "--json", cwd=tmp_path)
    assert done.code == 1
    assert done.json["slots"]["a"]["state"] == "EMPTY"


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["transfer", "trial"])
def test_the_plug_is_pulled(root: Path, tmp_path: Path, spots: SpotsMaker, moment: str) -> None:
    """The agent is killed in the middle; the box runs what it ran, and goes on where it was."""
    one = make(tmp_path / "one", spots, "1.0.0")
    two = make(tmp_path / "two", spots, "2.0.0")
    with agent(root) as (process, address):
        flash(address, one)
        channel = connect(address)
        if moment == "trial":
            ask(channel, "stage", transfer=send(channel, two))
            ask(channel, "activate", hold=False)
        else:
            said = ask(channel, "offer", envelope=two.envelope)
            assert [file["need"] for file in said["files"]] == [False, False, False]
        process.kill()
        process.wait()
        channel.close()
    assert os.readlink(root / "current") == "a"
    with agent(root) as (_, address):
        channel = connect(address)
        now = ask(channel, "status")
        assert now["state"] == "READY"
        if moment == "trial":
            assert trial(channel)["trial"]["state"] == "passed"  # of itself
            assert ask(channel, "status")["slots"]["b"]["active"] is True
        channel.close()
        assert flash(address, two)["trial"]["state"] == "passed"


@pytest.mark.slow
def test_two_agents_of_one_box(root: Path, tmp_path: Path, spots: SpotsMaker) -> None:
    """One at the serial line, one at the network: the second host hears that the box is busy."""
    one = make(tmp_path / "one", spots, "1.0.0")
    with agent(root) as (_, first), agent(root) as (_, second):
        channel = connect(first)
        ask(channel, "offer", envelope=one.envelope)
        other = connect(second)
        assert ask(other, "hello", host="x")["busy"] is True
        channel.close()
        other.close()
        assert flash(second, one)["trial"]["state"] == "passed"
        done = lineguard("box", "status", "--port", first, "--json", cwd=tmp_path)
        assert done.json["slots"]["a"]["active"] is True


def test_an_agent_that_cannot_listen_says_so(root: Path, tmp_path: Path) -> None:
    done = lineguard("agent", "--port", "/dev/no-such-port", "--root", root, cwd=tmp_path)
    assert done.code == 3
    (error,) = done.errors
    assert "/dev/no-such-port" in error


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (error,) = refused(
        "agent", "--port", "tcp://127.0.0.1:0", "--root", "file/root", cwd=tmp_path, code=3
    )
    assert error == "file/root: cannot be made (Not a directory): check --root"
