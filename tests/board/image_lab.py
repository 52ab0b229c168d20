"""An image to start boxes from, made once for each state of the program, and kept."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from board_lab import LABELS, Factory
from board_model import cut_part
from board_tools import find

from tools.boxes.image.make import make_image

__all__ = ["BUNDLED", "Made", "made"]

ROOT = Path(__file__).resolve().parents[2]

INPUTS = ("edge", "firmware_bridge", "locks/box.txt", "models", "pyproject.toml", "tools")
"""What an image follows from, beside what Debian has."""

PARTS = {"1-open.png": (319, 407), "2-sound.png": (10, 10)}
"""Corners of parts of 64x64 pixels: with one defect, and without."""

HEAD = """
[station]
name = "image"
deadline_ms = 60000
[[cameras]]
name = "top"
source = "folder:/var/lib/lineguard/parts?fps=0.5&loop=1"
[[regions]]
name = "board"
camera = "top"
model = "pcb"
[[rules]]
name = "sound"
kind = "no_defect"
region = "board"
[records]
path = "records"
max_mb = 20
[display]
host = "0.0.0.0"
"""

OWN = f"""
[models.pcb]
family = "ppyoloe"
det = "det.onnx"
labels = {LABELS}
"""

BUNDLED = HEAD + '[bundle]\nroot = "/var/lib/lineguard"\n'
"""A station whose model is what the box was flashed with."""


@dataclass(frozen=True)
class Made:
    """Files that belong together.

    Attributes
    ----------
    image
        Of qemu-virt, with a station of its own.
    key
        Private SSH key that logs in.
    factory
        Makes bundles that it takes.
    """

    image: Path
    key: Path
    factory: Factory


@functools.cache
def made() -> Made:
    """Make the image if need be: a minute on a quiet machine, once what it is made of is here."""
    cache = Path(os.environ.get("LINEGUARD_BOARD") or Path.home() / ".cache/lineguard/board")
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache.parent / "image" / _key()
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be making it
        if not folder.is_dir():
            for old in folder.parent.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as scratch:
                _make(Path(scratch) / "done")
                (Path(scratch) / "done").rename(folder)
    return Made(folder / "box.img", folder / "id", Factory(folder / "factory"))


def _make(folder: Path) -> None:
    factory = Factory(folder / "factory")
    subprocess.run(
        [find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / "id"], check=True
    )
    station = folder / "station"
    (station / "parts").mkdir(parents=True)
    (station / "station.toml").write_text(HEAD + OWN)
    for suffix in (".onnx", ".json"):
        shutil.copy(factory.network.with_suffix(suffix), station)
    for name, (x, y) in PARTS.items():
        cut_part(station / "parts" / name, x, y)
    make_image(
        "qemu-virt",
        Path(os.path.relpath(folder / "box.img")),  # as one types it
        station=station,
        trusted=factory.trusted,
        keys=folder / "id.pub",
        megabytes=None,
        oci=None,
        tell=print,
    )


def _key() -> str:
    """Changes with whatever the image is made from."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in INPUTS:
        for path in sorted([ROOT / name, *(ROOT / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
