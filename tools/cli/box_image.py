"""``lineguard box image``: a disk that boots into an inspecting station."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from tools.cli.output import JSON, console, print_json

__all__ = ["image"]


def image(
    board: str = typer.Option(help="qemu-virt, generic-arm64 or rpi4.", show_default=False),
    out: Path = typer.Option(help="File of the disk; it is written over.", show_default=False),
    station: Path | None = typer.Option(
        None, help="Folder with station.toml and its files; a demonstration if left out."
    ),
    trusted: Path | None = typer.Option(
        None, help="Folder of the public keys whose bundles the box takes; none if left out."
    ),
    ssh_key: Path | None = typer.Option(
        None, help="Public SSH keys of those who may log in as root; nobody if left out."
    ),
    size: int | None = typer.Option(
        None, min=1, help="Megabytes of the disk; the smallest if left out. It grows on the box."
    ),
    oci: Path | None = typer.Option(
        None, "--oci", help="The same system as an OCI archive, too.", show_default=False
    ),
    as_json: bool = JSON,
) -> None:
    """Make a disk image for a board: it starts by itself, and inspects.

    System and program are never written; all state is on a partition of its own, which grows to
    the size of the disk at the first start. The same inputs give the same bytes.

    Example: lineguard box image --board rpi4 --out box.img --station line1 --trusted keys
    """
    from tools.boxes.image.make import make_image

    notes = Console(stderr=True)
    made = make_image(
        board,
        out,
        station=station,
        trusted=trusted,
        keys=ssh_key,
        megabytes=size,
        oci=oci,
        tell=lambda line: notes.print(line, style="dim", markup=False, highlight=False),
    )
    if as_json:
        print_json(made.facts())
        return
    for line in made.lines():
        console.print(line, markup=False, highlight=False, soft_wrap=True)
