"""A box of another distribution than Debian: the system's files, written by the program itself.

What a package's scripts do, `setup.sh`, `stop.sh` and `purge.sh` do here: the same lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath

from edge.service.system import (
    MODELS,
    PREFIX,
    STATE,
    configuration,
    program_files,
    script,
    system_files,
)
from models.atomic import write_atomic
from models.errors import DeviceError, InputError
from models.zoo import check_file, zoo_model

__all__ = ["LINK", "install", "installed_files", "uninstall"]

LINK = "usr/local/bin/lineguard"
"""The command, for everybody."""

OURS = ("etc/systemd/journald.conf.d", "etc/lineguard/trusted", "etc/lineguard")
"""Folders that go, if they are empty."""

_PLAIN = re.compile(r"[\w@:/.,+=~-]+")
"""What means nothing to systemd: no space, quote, backslash, ``$`` or ``%``."""

HOMES = ("/home", "/root")

PACKAGED = "var/lib/dpkg/info/lineguard.list"
"""There if Debian's package is installed."""

SCRIPT_S = 300.0
"""For services to stop or start: systemd gives each of them up after two minutes."""


def installed_files(prefix: PurePosixPath) -> dict[str, tuple[str, int]]:
    """Text and mode of what is written and taken away again, by its path seen from ``/``."""
    files = {name: (text, 0o644) for name, text in system_files(prefix, "etc").items()}
    for name, told in program_files(prefix).items():
        files[str(prefix.relative_to("/") / name)] = told
    return files


def install(root: Path, prefix: PurePosixPath, models: Path) -> list[Path]:
    """Make a box of a system on which the program is already.

    Parameters
    ----------
    root
        The system: ``/``, or the root of an image that is made.
    prefix
        The program's virtual environment, seen from ``root``.
    models
        Folder that may have :data:`MODELS`: then they are copied to the program.

    Returns
    -------
    list
        What was written.

    Raises
    ------
    InputError
        The program is not there, or where the service could not read it; or a package is
        installed.
    StorageError
        A file cannot be written.
    DeviceError
        The system's own programs fail.
    """
    _check(root, prefix)
    written = []
    for name, (text, mode) in installed_files(prefix).items():
        write_atomic(root / name, text.encode())
        (root / name).chmod(mode)
        written.append(root / name)
    for name, text in configuration().items():
        if not (root / name).exists():  # the plant's own
            write_atomic(root / name, text.encode())
            written.append(root / name)
    (root / OURS[1]).mkdir(parents=True, exist_ok=True)
    written += _copy_models(models, root / prefix.relative_to("/") / "models")
    link = root / LINK
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(prefix / "bin/lineguard")
    _run("setup", root, again="")
    return [*written, link]


def uninstall(root: Path, prefix: PurePosixPath, *, keep_records: bool) -> str:
    """Take away what :func:`install` wrote, and what came to be since then.

    Parameters
    ----------
    root, prefix
        As for :func:`install`. The program goes with its folder only if that is :data:`PREFIX`.
    keep_records
        Otherwise everything goes.

    Returns
    -------
    str
        What the scripts say.

    Raises
    ------
    InputError
        A package is installed.
    DeviceError
        The system's own programs fail.
    """
    if (root / PACKAGED).exists():
        raise InputError("lineguard came as a package: `apt purge lineguard` takes it away")
    _run("stop", root)
    for name in installed_files(prefix):
        (root / name).unlink(missing_ok=True)
    link = root / LINK
    if link.is_symlink() and os.readlink(link) == str(prefix / "bin/lineguard"):
        link.unlink()
    if not keep_records:
        shutil.rmtree(root / STATE.relative_to("/"), ignore_errors=True)
    said = _run("purge", root)
    for name in OURS:
        folder = root / name
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    place = root / prefix.relative_to("/")
    shutil.rmtree(place if prefix == PREFIX else place / "models", ignore_errors=True)
    return said


def _check(root: Path, prefix: PurePosixPath) -> None:
    if (root / PACKAGED).exists():
        raise InputError("lineguard came as a package: all is installed")
    if not _PLAIN.fullmatch(str(prefix)):
        raise InputError(
            f"{prefix}: has characters that mean something to systemd: "
            "use letters, digits and . _ - / : only"
        )
    if any(prefix.is_relative_to(home) for home in HOMES):
        raise InputError(
            f"{prefix}: a service cannot read it there: "
            f"make its virtual environment elsewhere, `python3 -m venv {PREFIX}`"
        )
    place = root / prefix.relative_to("/")
    if not (place / "pyvenv.cfg").is_file():
        raise InputError(
            f"{place}: is no virtual environment: make one, `python3 -m venv {PREFIX}`, "
            "and install lineguard[box] into it"
        )


def _copy_models(models: Path, target: Path) -> list[Path]:
    files = [file for name in MODELS for file in zoo_model(name).files]
    if models.resolve() == target.resolve() or not all((models / f.name).is_file() for f in files):
        return []
    for file in files:
        check_file(models / file.name, file)
        write_atomic(target / file.name, (models / file.name).read_bytes())
    return [target / file.name for file in files]


def _run(name: str, root: Path, **values: str) -> str:
    """Run a script for another root, or for this system; gives what it says."""
    own = root.resolve() == Path("/")
    try:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", script(name)],
            env=os.environ | {"DPKG_ROOT": "" if own else str(root.resolve())} | values,
            capture_output=True,
            text=True,
            timeout=SCRIPT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"{name}: took over {SCRIPT_S:.0f} s: see `journalctl -e`") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DeviceError(f"{name}: a program of the system fails ({said}): see to it, then again")
    return done.stdout.strip()
