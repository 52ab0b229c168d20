"""``lineguard box package``: what a box installs, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from tools.cli.output import JSON, console, print_json

__all__ = ["package"]


def package(
    architecture: Literal["arm64", "armhf", "amd64"] = typer.Option("arm64", help="Of the box."),
    debian: Literal["bookworm", "trixie"] = typer.Option("bookworm", help="That the box runs."),
    out: Path = typer.Option(Path(), help="Folder that the package is written to."),
    models: bool = typer.Option(True, help="With the models that read print."),
    as_json: bool = JSON,
) -> None:
    """Build the Debian package of a box from this checkout; same inputs, same bytes.

    Example: lineguard box package --architecture arm64 --debian bookworm --out dist
    """
    import tempfile

    from models.zoo import models_folder
    from tools.boxes.package import build_package
    from tools.boxes.wheels import LOCK, build_wheel, wheels_cache

    with tempfile.TemporaryDirectory(prefix="lineguard-wheel-") as scratch:
        built = build_package(
            out,
            architecture=architecture,
            debian=debian,
            wheel=build_wheel(Path(scratch)),
            lock=LOCK,
            models=models_folder() if models else None,
            cache=wheels_cache(),
        )
    size = built.path.stat().st_size
    if as_json:
        told = {"path": str(built.path), "bytes": size, "installed_bytes": built.installed}
        print_json(told)
        return
    console.print(
        f"{built.path}: {size / 1e6:.0f} MB, {built.installed / 1e6:.0f} MB on a box",
        soft_wrap=True,
        highlight=False,
    )
