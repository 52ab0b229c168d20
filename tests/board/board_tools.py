"""Programs of Debian that the rig is made and run with."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PYTHON", "call", "find", "missing"]

PYTHON = "python3.11"
"""The one of Debian 12, and of the box's lock file."""

PACKAGES = {
    "apt-get": "apt",
    "cpio": "cpio",
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "e2fsck": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "modprobe": "kmod",
    PYTHON: PYTHON,
    "qemu-system-aarch64": "qemu-system-arm",
}
"""Where each program comes from."""

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Debian keeps mke2fs and the like out of a user's way."""


def missing() -> list[str]:
    """Debian packages that this machine lacks."""
    return sorted(
        {package for name, package in PACKAGES.items() if not shutil.which(name, path=PATH)}
    )


def find(program: str) -> str:
    """Path of a program.

    Raises
    ------
    RuntimeError
        It is not installed.
    """
    path = shutil.which(program, path=PATH)
    if path is None:
        raise RuntimeError(f"{program}: is not here: apt-get install {' '.join(missing())}")
    return path


def call(
    program: str,
    *arguments: str | Path,
    good: tuple[int, ...] = (0,),
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program; gives what it says.

    Raises
    ------
    RuntimeError
        It ends with no ``good`` exit code.
    """
    done = subprocess.run(
        [find(program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": PATH} | dict(env or {}),
        check=False,
    )
    if done.returncode not in good:
        said = f"{done.stdout}{done.stderr}"
        raise RuntimeError(f"{program}: exit code {done.returncode}:\n{said}")
    return done.stdout
