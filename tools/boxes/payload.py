"""What a box gets of lineguard: the same files in a Debian package and in an image of a disk."""

from __future__ import annotations

import calendar
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from edge.service.system import (
    MODELS,
    PREFIX,
    configuration,
    program_files,
    system_files,
)
from models.errors import InputError
from models.zoo import check_file, zoo_model
from tools.boxes.wheels import Target, fetch_wheels, unpack_wheel

__all__ = ["build_time", "settle", "write_payload"]

TRUSTED = "etc/lineguard/trusted"
"""Public keys: whose bundles are taken."""


def write_payload(
    root: Path,
    *,
    architecture: str,
    python: str,
    wheel: Path,
    lock: Path,
    models: Path | None,
    cache: Path,
) -> None:
    """Put all that a box needs below ``root``: program, launcher, models, units and rules.

    Nothing is compiled, no service enabled, no user made: see ``setup.sh`` of ``edge.service``.
    What comes out follows from what goes in, to the last byte, mode and time.

    Parameters
    ----------
    root
        Folder that stands for ``/``; made if missing. What is there already is left alone.
    architecture
        As Debian names it: ``arm64``, ``armhf`` or ``amd64``.
    python
        Of the box: ``3.11`` or ``3.13``.
    wheel
        Of lineguard.
    lock
        Requirements with hashes: ``locks/box.txt``.
    models
        Folder that has :data:`edge.service.system.MODELS`; without them a box needs a bundle, or
        a network.
    cache
        Folder of what was downloaded before.

    Raises
    ------
    DeviceError
        A package cannot be downloaded.
    InputError
        There is no such machine, or a file is not what it must be.
    ModelError
        A model is missing or altered.
    """
    target = Target(architecture, python)
    when = build_time(wheel)
    written = list(_write(root, target, wheel, fetch_wheels(lock, target, cache), models))
    trusted = root / TRUSTED
    trusted.mkdir(parents=True, exist_ok=True)
    settle(root, [*written, trusted], when)


def build_time(wheel: Path) -> int:
    """Seconds since 1970 that every file gets: ``$SOURCE_DATE_EPOCH``, else the wheel's own.

    https://reproducible-builds.org/specs/source-date-epoch/

    Raises
    ------
    InputError
        The file is no wheel.
    """
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if told.isascii() and told.isdigit():
        return int(told)
    try:
        with zipfile.ZipFile(wheel) as archive:
            newest = max(member.date_time for member in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{wheel}: is no wheel ({error}): build it with `pip wheel`") from error
    return calendar.timegm((*newest, 0, 0, 0))


def settle(root: Path, paths: list[Path], when: int) -> None:
    """Give files, and the folders that lead to them, the modes and times that they shall have."""
    folders = {above for path in paths for above in path.parents if above.is_relative_to(root)}
    folders |= {path for path in paths if path.is_dir() and not path.is_symlink()}
    for path in [*paths, *sorted(folders, reverse=True)]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        os.utime(path, (when, when), follow_symlinks=False)


def _write(
    root: Path, target: Target, wheel: Path, wheels: list[Path], models: Path | None
) -> Iterator[Path]:
    prefix = root / PREFIX.relative_to("/")
    site = prefix / f"lib/python{target.python}/site-packages"
    for each in [*wheels, wheel]:
        yield from unpack_wheel(each, site)
    for name, (text, mode) in program_files().items():
        yield _put(prefix / name, text, mode)
    for name, text in (system_files() | configuration()).items():
        yield _put(root / name, text)
    # A virtual environment, made by hand: Python finds it by this file (PEP 405).
    system = "true" if target.narrow else "false"  # ours come first, Debian's second
    venv = f"home = /usr/bin\ninclude-system-site-packages = {system}\n"
    yield _put(prefix / "pyvenv.cfg", f"{venv}version = {target.python}\n")
    yield _link(prefix / "bin/python3", f"/usr/bin/python{target.python}")
    yield _link(root / "usr/bin/lineguard", f"{PREFIX}/bin/lineguard")
    if models is not None:
        for name in MODELS:
            for file in zoo_model(name).files:
                check_file(models / file.name, file)
                path = prefix / "models" / file.name
                path.parent.mkdir(exist_ok=True)
                yield Path(shutil.copyfile(models / file.name, path))


def _put(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def _link(path: Path, to: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(to)
    return path
