"""Debian's programs that boxes are made with."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from models.errors import DeviceError, InputError

__all__ = ["PROGRAMS", "missing_packages", "need_programs", "run_program"]

PROGRAMS = {
    "cpio": "cpio",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "mcopy": "mtools",
    "mmd": "mtools",
    "mkfs.vfat": "dosfstools",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "python3.11": "python3.11-minimal",
    "sfdisk": "fdisk",
    "systemctl": "systemd",
    "systemd-sysusers": "systemd",
    "tar2sqfs": "squashfs-tools-ng",
    "umoci": "umoci",
}
"""Each with the package that it is in."""

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Debian keeps mke2fs and the like out of a user's way."""


def missing_packages() -> list[str]:
    """Packages that this machine lacks."""
    return sorted({package for name, package in PROGRAMS.items() if not _which(name)})


def need_programs() -> None:
    """Tell what is missing before anything is begun.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    lacking = missing_packages()
    if lacking:
        raise InputError(f"box image: needs more: sudo apt-get install {' '.join(lacking)}")


def run_program(
    program: str,
    *arguments: str | Path,
    cwd: Path | None = None,
    reads: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> bytes:
    """Run one of :data:`PROGRAMS`; gives its standard output.

    Parameters
    ----------
    program
        Its name.
    arguments
        After it.
    cwd
        Folder that it is run in.
    reads
        File that is its standard input.
    settings
        Environment variables beside ours.

    Raises
    ------
    DeviceError
        It fails, with the last line that it says.
    InputError
        It is not installed.
    """
    path = _which(program)
    if path is None:
        raise InputError(f"{program}: is not here: sudo apt-get install {PROGRAMS[program]}")
    with (reads or Path(os.devnull)).open("rb") as source:
        done = subprocess.run(
            [path, *arguments],
            cwd=cwd,
            env=os.environ
            | {"LC_ALL": "C.UTF-8", "PATH": PATH, "TZ": "UTC"}
            | dict(settings or {}),
            stdin=source,
            capture_output=True,
            check=False,
        )
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        why = "; ".join(said[-3:]) or "no reason given"
        raise DeviceError(f"{program}: exit code {done.returncode} ({why}): see to it")
    return done.stdout


def _which(program: str) -> str | None:
    return shutil.which(program, path=PATH)
