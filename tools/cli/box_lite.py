"""``lineguard box build-lite``: Paddle Lite's C++ library for the engine."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from models.errors import InputError
from tools.cli.output import JSON, console, print_json

__all__ = ["build_lite"]


def build_lite(
    release: Path = typer.Argument(help="Unpacked folder of a Paddle Lite release for Linux."),
    cxx: str | None = typer.Option(
        None, "--cxx", help="C++ compiler; else g++, or the cross compiler for the library."
    ),
    out: Path | None = typer.Option(
        None, "--out", help="Folder of builds; else $LINEGUARD_LITE, else in the user's cache."
    ),
    as_json: bool = JSON,
) -> None:
    """Compile what lets lineguard run .nb models with Paddle Lite's own C++ library.

    Nothing is compiled again that was before. Built with --out on a PC, the folder can be copied
    to the box, where LINEGUARD_LITE names it.

    Example: lineguard box build-lite inference_lite_lib.armlinux.armv8 --out lite
    """
    from edge.engines import lite

    folder = out or lite.builds_folder()
    if folder is None:
        raise InputError("build-lite: this user has no folder for it: say where: --out DIR")
    notes = Console(stderr=True)

    def tell(line: str) -> None:
        if notes.is_terminal:
            notes.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)

    build = lite.build_lite(lite.find_release(release), cxx, folder, tell)
    here = build.machine == lite.this_machine()
    version = lite.library_version(build) if here else None
    if as_json:
        facts = {"folder": str(folder), "machine": build.machine, "key": build.key}
        print_json({**facts, "compiler": build.compiler, "version": version})
        return
    loaded = f"loads here, Paddle Lite {version or 'of a version that it does not say'}"
    state = loaded if here else "for another machine, not loaded"
    console.print(
        f"{build.folder}: {build.machine}, {state}", markup=False, highlight=False, soft_wrap=True
    )
    if not here:
        told = f"copy {folder} to the box: in use where LINEGUARD_LITE names it"
    elif lite.builds_folder() != folder:
        told = f"in use where LINEGUARD_LITE={folder.resolve()}"
    else:
        return
    console.print(told, markup=False, highlight=False, soft_wrap=True)
