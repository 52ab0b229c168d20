"""Boxes as they are run: agents in processes of their own, bundles for them, and a cable."""

from __future__ import annotations

import os
import platform
import random
import select
import signal
import subprocess
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from bundle_lab import make_bundle, make_key
from cli_lab import ENV, LINEGUARD, SECONDS
from conftest import SpotsMaker

from models.bundle import trust
from models.images import encode_image

KEY = make_key()

HARDWARE = {"x86_64": "x86-64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def release(
    folder: Path,
    spots: SpotsMaker,
    version: str,
    *,
    found: int = 230,
    noise: int = 0,
    **fields: Any,
) -> Path:
    """A bundle with a real network, a picture with a spot, and so many bytes of anything."""
    folder.mkdir(exist_ok=True)
    network = spots(folder)
    board = np.zeros((96, 128, 3), np.uint8)
    board[64:72, 64:72, 1] = found
    payload = {
        "board.png": encode_image(board),
        "det/spots.json": network.with_suffix(".json").read_bytes(),
        "det/spots.onnx": network.read_bytes(),
        "noise.bin": random.Random(7).randbytes(noise) + version.encode(),
    }
    spot = {"label": "green", "score": 0.9, "box": [60.0, 60.0, 76.0, 76.0]}
    said: dict[str, Any] = {
        "hardware": (HARDWARE,),
        "engine": {"name": "onnxruntime", "min": "1", "max": "99"},
        "models": {
            "spots": {
                "family": "ppyoloe",
                "det": "det/spots.onnx",
                "labels": ["red", "green", "blue"],
            }
        },
        "golden": ({"image": "board.png", "model": "spots", "defects": [spot]},),
        "bounds": {"p99_ms": 10_000.0},
        **fields,
    }
    return make_bundle(folder, payload, version=version, **said)


def trusting(root: Path) -> Path:
    """Make the folder of a box, or of a user, that trusts ``KEY``."""
    trust(KEY.public, root / "trusted")
    return root


@contextmanager
def agent(root: Path, port: str = "tcp://127.0.0.1:0") -> Iterator[tuple[Any, str]]:
    """An agent, and where it listens; killed at the end, as by a power cut."""
    command = [LINEGUARD, "agent", "--port", port, "--root", str(root)]
    process = subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("listening at "), said
        yield process, said.split()[-1]
    finally:
        process.kill()
        process.wait(SECONDS)


@contextmanager
def started(*args: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, running; killed at the end if it still does."""
    process = subprocess.Popen(
        [LINEGUARD, *map(str, args)],
        cwd=cwd,
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has it ignored, and so would the command.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def arrived(root: Path) -> int:
    """Bytes that lie in a box's parts of files."""
    sizes = 0
    for part in root.glob("incoming/*/*.part"):
        try:
            sizes += part.stat().st_size
        except FileNotFoundError:
            continue
    return sizes


def await_bytes(root: Path, least: int, sender: subprocess.Popen[str]) -> None:
    """Return when so many bytes have come, with the sender still at it."""
    end = time.monotonic() + SECONDS
    while arrived(root) < least:
        assert time.monotonic() < end
        assert sender.poll() is None, sender.communicate()
        time.sleep(0.01)


class Cable:
    """Two pseudo-terminals; what is written to one is read from the other."""

    def __init__(self, folder: Path) -> None:
        self.host, self.box = folder / "ttyHOST", folder / "ttyBOX"
        self.plug()

    def plug(self) -> None:
        self._ends: list[int] = []
        self._plugged = True
        masters = []
        for path in (self.host, self.box):
            master, slave = os.openpty()
            tty.setraw(slave)
            path.symlink_to(os.ttyname(slave))
            masters.append(master)
            self._ends += [master, slave]  # the slave open all the time: data waits in an adapter
        self._thread = threading.Thread(target=self._carry, args=masters, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Both ends vanish, as a USB adapter does."""
        self._plugged = False
        self._thread.join()
        for descriptor in self._ends:
            os.close(descriptor)
        for path in (self.host, self.box):
            path.unlink()

    def _carry(self, one: int, two: int) -> None:
        poll = select.poll()
        poll.register(one, select.POLLIN)
        poll.register(two, select.POLLIN)
        while self._plugged:
            for descriptor, _ in poll.poll(20):
                os.write(two if descriptor == one else one, os.read(descriptor, 4096))
