"""The system as an OCI archive: for boxes that run containers, and for scanners of what is in it.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md; umoci(1) writes it.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from tools.boxes.image.tars import pack
from tools.boxes.programs import run_program

__all__ = ["NAME", "make_oci"]

NAME = "lineguard"
"""Of the image in the archive."""

STATE = "/var/lib/lineguard"


def make_oci(target: Path, layers: list[Path], architecture: str, scratch: Path, when: int) -> None:
    """Write an OCI archive that runs the station as the user lineguard.

    Parameters
    ----------
    target
        File to write.
    layers
        Archives, not compressed; the lowest first.
    architecture
        As Debian names it, and the specification does.
    scratch
        An empty folder.
    when
        Time of the image, seconds since 1970.
    """
    created = f"{datetime.fromtimestamp(when, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    layout = scratch / "layout"
    image = f"{layout}:{NAME}"
    run_program("umoci", "init", "--layout", layout)
    run_program("umoci", "new", "--image", image)
    for layer in layers:
        told = ("--history.created", created, "--history.created_by", "lineguard box image")
        run_program("umoci", "raw", "add-layer", "--image", image, *told, layer)
    settings = {
        "--architecture": architecture,
        "--os": "linux",
        "--created": created,
        "--config.user": "lineguard",
        "--config.workingdir": STATE,
        "--config.volume": STATE,
        "--config.entrypoint": "/usr/bin/lineguard",
    }
    pairs = [each for pair in settings.items() for each in pair]
    command = ("--config.cmd", "run", "--config.cmd", f"{STATE}/station.toml")
    run_program("umoci", "config", "--no-history", "--image", image, *pairs, *command)
    run_program("umoci", "gc", "--layout", layout)
    pack(layout, target, when=when)
