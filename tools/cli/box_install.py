"""``lineguard box install`` and ``uninstall``: a box of another distribution than Debian."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path, PurePosixPath

import typer

from models.errors import InputError
from tools.cli.output import console

__all__ = ["install", "uninstall"]

ROOT = typer.Option(Path("/"), help="Below this: the root of an image that is made.")
PREFIX = typer.Option(
    PurePosixPath(sys.prefix),
    parser=PurePosixPath,
    metavar="DIR",
    help="The program's virtual environment there; this one's if left out.",
    show_default=False,
)

NEEDS = ("systemctl", "systemd-sysusers", "systemd-tmpfiles")


def install(
    root: Path = ROOT,
    prefix: PurePosixPath = PREFIX,
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the files, write nothing."),
) -> None:
    """Make a box of this machine: user, devices, services; for Debian there is a package.

    The agent starts at once, the station as soon as /var/lib/lineguard/station.toml is there. Both
    run as the user lineguard, see nothing of the box that they do not need, and are started anew
    when they fail or hang. Needs root.

    Example: sudo /opt/lineguard/bin/lineguard box install
    """
    from edge.service.install import install, installed_files
    from edge.service.system import configuration, script
    from models.zoo import models_folder

    if dry_run:
        shown = {name: text for name, (text, _) in installed_files(prefix).items()}
        for name, text in (shown | configuration()).items():
            print(f"# {root / name}\n{text}")
        print(f"# then\n{script('setup')}", end="")
        return
    _check(root, "install")
    for path in install(root, prefix, models_folder()):
        console.print(f"written: {path}", soft_wrap=True, highlight=False)
    console.print("next: /var/lib/lineguard/station.toml, then `lineguard box doctor`")


def uninstall(
    root: Path = ROOT,
    prefix: PurePosixPath = PREFIX,
    keep_records: bool = typer.Option(
        True, "--keep-records/--drop-records", help="Records of parts, and their pictures."
    ),
) -> None:
    """Take lineguard away again: services, user, bundles, settings. Needs root.

    Example: sudo lineguard box uninstall
    """
    from edge.service.install import uninstall

    _check(root, "uninstall")
    said = uninstall(root, prefix, keep_records=keep_records)
    print(said or "nothing is left")  # rich loads parts of itself later: they are gone


def _check(root: Path, what: str) -> None:
    """Before anything is written."""
    if root.resolve() == Path("/") and os.geteuid():
        raise InputError(f"box {what}: changes the system: run it as root, with sudo")
    if lacking := [name for name in NEEDS if not shutil.which(name)]:
        raise InputError(
            f"{lacking[0]}: is not here: without systemd, let your own init start "
            "`lineguard agent` and `lineguard run`"
        )
