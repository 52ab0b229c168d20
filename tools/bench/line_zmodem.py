"""A model over one and the same cable, by ``lineguard flash`` and by ZMODEM, turn about.

ZMODEM is ``sz`` and ``rz`` of lrzsz, which says its files are whole by a CRC-32 of each part. It
neither compresses, nor signs, nor reads back what it has written.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from models.errors import TransferError
from models.zoo import resolve
from tools.bench.line import Progress
from tools.bench.line_cable import Cable
from tools.bench.line_flash import agent, over_cable, parcel_of

__all__ = ["OPTIONS", "RATE", "against_zmodem", "zmodem"]

RATE = 3_000_000

OPTIONS: dict[str, tuple[str, ...]] = {
    "sz": (),
    "sz -8": ("-8",),
    "sz -w 8192": ("-w", "8192"),
}
"""As it comes; the best of those tried on a clean line; the best of those tried with errors.
Tried as well: -4, -B auto, -L 256, -L 512, --start-8k, -l 4096, -w 4096, -w 16384."""

FLIPS = {0.0: (1,), 1e-6: (1, 2)}
"""Seeds for each chance that a bit flips: a model of 7 MB meets 55 of the one and two of those."""

GIVE_UP = 4
"""How many times longer than the line needs, then it counts as failed."""


def against_zmodem(model: str, progress: Progress) -> dict[str, Any]:
    """Send a model with each, from the start of the program or the session to the end.

    Returns
    -------
    For each chance of a flipped bit and each way of sending: median seconds of those that came
    through, how many did not, and how many times as long as ``lineguard flash`` it took.
    """
    if shutil.which("sz") is None or shutil.which("rz") is None:
        raise FileNotFoundError("sz and rz: not here: install Debian's lrzsz")
    network = resolve(model).read_bytes()
    seconds: dict[tuple[float, str], list[float | None]] = {}
    turns = {
        f"{name} {flip} {seed}": (name, flip, seed)
        for flip, seeds in FLIPS.items()
        for seed in seeds
        for name in ("lineguard", *OPTIONS)
    }
    sent = 0
    for turn in progress(turns):
        name, flip, seed = turns[turn]
        with tempfile.TemporaryDirectory() as scratch, Cable(flip=flip, seed=seed) as cable:
            if name == "lineguard":
                took, sent = _lineguard(network, cable, Path(scratch))
            else:
                took = zmodem(network, cable, RATE, OPTIONS[name], Path(scratch))
        seconds.setdefault((flip, name), []).append(took)
    return {
        "model": Path(model).name,
        "bytes": len(network),
        "sent": sent,
        "rate": RATE,
        "lines": {
            str(flip): {
                name: _row(seconds[flip, name], seconds[flip, "lineguard"], len(network))
                for name in ("lineguard", *OPTIONS)
            }
            for flip in FLIPS
        },
    }


def _row(took: list[float | None], ours: list[float | None], size: int) -> dict[str, Any]:
    good = [each for each in took if each is not None]
    best = [each for each in ours if each is not None]
    if not good or not best:
        return {"runs": len(took), "failed": len(took) - len(good)}
    middle = statistics.median(good)
    return {
        "runs": len(took),
        "failed": len(took) - len(good),
        "seconds": round(middle, 2),
        "share": round(100 * size * 10 / RATE / middle, 2),
        "times": round(middle / statistics.median(best), 3),
    }


def _lineguard(network: bytes, cable: Cable, folder: Path) -> tuple[float | None, int]:
    """Seconds with the opening of the session, and bytes sent; ``None`` if it failed."""
    with parcel_of(folder / "model.lgb", network) as parcel, agent(cable.box, folder / "box"):
        try:
            run = over_cable(parcel, cable, RATE)
        except TransferError:
            return None, 0
    return run.seconds + run.opening, run.sent


def zmodem(
    data: bytes, cable: Cable, rate: int, options: tuple[str, ...], folder: Path
) -> float | None:
    """Send ``data`` with ``sz`` from one end to ``rz`` at the other.

    Returns
    -------
    Seconds from the start of ``sz`` to its end; ``None`` if it failed or took too long. The end of
    ``rz`` is not waited for: ``sz`` throws the last two bytes of a session away on a terminal that
    cannot be drained, and ``rz`` would wait for them.
    """
    sent, got = folder / "model.onnx", folder / "got" / "model.onnx"
    sent.write_bytes(data)
    got.parent.mkdir()
    ends = [_open(path, rate) for path in (cable.host, cable.box)]
    receiver = subprocess.Popen(
        [str(shutil.which("rz")), "-q", "-b"],
        stdin=ends[1],
        stdout=ends[1],
        cwd=got.parent,
        stderr=subprocess.DEVNULL,
    )
    begin = time.monotonic()
    sender = subprocess.Popen(
        [str(shutil.which("sz")), "-q", "-b", *options, str(sent)],
        stdin=ends[0],
        stdout=ends[0],
        stderr=subprocess.DEVNULL,
    )
    try:
        sender.wait(10 + GIVE_UP * len(data) * 10 / rate)
        took = time.monotonic() - begin
    except subprocess.TimeoutExpired:
        took = 0.0
    for child in (sender, receiver):
        child.kill()
        child.wait()
    for end in ends:
        os.close(end)
    good = sender.returncode == 0 and got.is_file() and got.read_bytes() == data
    return took if good and took else None


def _open(path: str, rate: int) -> int:
    """A terminal, set to a baud."""
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY)
    attributes = termios.tcgetattr(terminal)
    attributes[4] = attributes[5] = getattr(termios, f"B{rate}")
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    return terminal
