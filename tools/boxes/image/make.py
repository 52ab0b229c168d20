"""An image from its inputs: the system, what starts it, a disk of both, and room for data."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.station import load_station
from models.errors import InputError
from models.zoo import models_folder
from tools.boxes.image.boards import Board, find_board
from tools.boxes.image.debian import ARCHITECTURE, PYTHON, make_system
from tools.boxes.image.disk import (
    LINUX,
    MEGABYTE,
    UEFI,
    Partition,
    make_data,
    make_disk,
    make_start,
    make_tree,
)
from tools.boxes.image.initramfs import make_initramfs
from tools.boxes.image.oci import make_oci
from tools.boxes.image.start import start_files
from tools.boxes.image.tars import pack, settle_times, take
from tools.boxes.payload import build_time, write_payload
from tools.boxes.programs import need_programs
from tools.boxes.wheels import LOCK, build_wheel, wheels_cache
from tools.running import register_line

__all__ = ["Image", "make_image"]

SYSTEM = Path(__file__).with_name("system")
FIRST = Path(__file__).with_name("first")

STATION = "usr/share/lineguard/station"
"""Copied to where stations lie, at the first start."""

LEFT_OUT = (
    *("boot", "etc/.pwd.lock", "etc/apt", "etc/cron.d", "etc/cron.daily", "etc/group-"),
    *("etc/gshadow-", "etc/init.d", "etc/initramfs-tools", "etc/kernel", "etc/passwd-"),
    *("etc/shadow-", "usr/share/bash-completion", "usr/share/bug", "usr/share/info"),
    *("usr/share/lintian", "usr/share/zsh", "var/cache/apt", "var/lib/apt", "var/lib/dpkg"),
)
"""Of Debian: what a box does not need, or what says when and where it was unpacked."""

START_MB, DATA_MB = 128, 256

NAMESPACE = uuid.UUID("3a5f1e0c-6d0b-4c39-9b0e-3f6a0d8d7e21")
"""Identifiers of an image follow from this and its content."""


@dataclass(frozen=True)
class Image:
    """What was made.

    Attributes
    ----------
    board
        What it is for.
    path, bytes, sha256
        The disk: its file, its size, its hash.
    name
        Of its system, 8 hex digits: stands in the names of its partitions.
    oci
        File of the OCI archive, if one was asked for.
    """

    board: Board
    path: Path
    bytes: int
    sha256: str
    name: str
    oci: Path | None

    def facts(self) -> dict[str, Any]:
        """For machines."""
        return {
            "board": self.board.name,
            "path": str(self.path),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "name": self.name,
            "oci": str(self.oci) if self.oci else None,
        }

    def lines(self) -> list[str]:
        """For people."""
        size = f"{self.bytes / MEGABYTE:.0f} MB"
        lines = [f"{self.path}: {self.board.title}, {size}", f"sha256: {self.sha256}"]
        return [*lines, f"{self.oci}: the same system as an OCI archive"] if self.oci else lines


def make_image(
    board_name: str,
    out: Path,
    *,
    station: Path | None,
    trusted: Path | None,
    keys: Path | None,
    megabytes: int | None,
    oci: Path | None,
    tell: Callable[[str], None],
) -> Image:
    """Make the disk image of a board; the parameters are those of ``lineguard box image``.

    Raises
    ------
    ConfigError, InputError
        The station file is no good, there is no such board, or a file or program is missing.
    DeviceError
        A download or a program fails.
    """
    board = find_board(board_name)
    station = station or FIRST
    register_line()
    load_station(station / "station.toml")
    trusted_keys = [] if trusted is None else _trusted(trusted)
    logins = None if keys is None else _read_keys(keys)
    need_programs()
    folder = out.absolute().parent  # some programs are run in folders of their own
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lineguard-image-", dir=folder) as name:
        scratch = Path(name)
        tell("the program, for the box's Python")
        when = _write_added(scratch, station, trusted_keys, logins)
        tell(f"Debian, for {ARCHITECTURE}")
        pack(scratch / "added", scratch / "added.tar", when)
        make_system(board, scratch / "added.tar", scratch / "debian.tar", wheels_cache() / "debian")
        tell("the disk")
        system = scratch / "system.tar"
        when = settle_times(scratch / "debian.tar", system, _left_out)
        ident = _hash(system)[:8]
        files = _start(scratch, board, ident, when)
        _write_disk(scratch, files, ident, when, megabytes)
        if oci is not None:
            _write_oci(scratch, oci.absolute(), when)
        shutil.move(scratch / "disk.img", out)
    return Image(board, out, out.stat().st_size, _hash(out), ident, oci)


def _write_added(scratch: Path, station: Path, trusted: list[Path], logins: str | None) -> int:
    """Write all that is not Debian's to ``SCRATCH/added``; gives its time."""
    added = scratch / "added"
    wheel = build_wheel(scratch / "wheel")
    write_payload(
        added,
        architecture=ARCHITECTURE,
        python=PYTHON,
        wheel=wheel,
        lock=LOCK,
        models=models_folder(),
        cache=wheels_cache(),
    )
    shutil.copytree(SYSTEM, added, dirs_exist_ok=True)
    shutil.copytree(station, added / STATION)
    for key in trusted:
        shutil.copy(key, added / "etc/lineguard/trusted")
    if logins is not None:
        (added / "etc/ssh/authorized_keys").write_text(logins, "utf-8")
    return build_time(wheel)


def _start(scratch: Path, board: Board, ident: str, when: int) -> dict[str, Path]:
    """What the first partition holds, by its paths there."""
    taken = scratch / "taken"
    wanted = ("boot/vmlinuz-", "usr/lib/modules/", "usr/bin/busybox", *board.firmware)
    take(scratch / "debian.tar", taken, lambda path: path.startswith(wanted))
    (kernel,) = (taken / "boot").glob("vmlinuz-*")
    version = kernel.name.removeprefix("vmlinuz-")
    initramfs = scratch / "initramfs"
    make_initramfs(taken / "usr", version, scratch / "early", initramfs, when)
    return start_files(board, taken, kernel, initramfs, ident, scratch / "start")


def _write_disk(
    scratch: Path, files: dict[str, Path], ident: str, when: int, megabytes: int | None
) -> None:
    seed = uuid.uuid5(NAMESPACE, ident)
    start, tree, data = (scratch / name for name in ("start.img", "system.img", "data.img"))
    make_start(start, files, START_MB, seed, when)
    make_tree(tree, scratch / "system.tar", when)
    taken = START_MB + -(-tree.stat().st_size // MEGABYTE) + 2
    room = DATA_MB if megabytes is None else megabytes - taken
    if room < DATA_MB:
        raise InputError(f"--size {megabytes}: too small: give {taken + DATA_MB} or more")
    make_data(data, room, seed, when)
    partitions = [
        Partition(f"lineguard-{ident}-start", UEFI, start),
        Partition(f"lineguard-{ident}-system", LINUX, tree),
        Partition(f"lineguard-{ident}-data", LINUX, data),
    ]
    make_disk(scratch / "disk.img", partitions, seed)


def _write_oci(scratch: Path, oci: Path, when: int) -> None:
    """The system, and over it the station where the system looks for it."""
    users = scratch / "users"
    take(scratch / "system.tar", users, lambda path: path == "etc/passwd")
    lines = (users / "etc/passwd").read_text("utf-8").splitlines()
    (user,) = (line.split(":") for line in lines if line.startswith("lineguard:"))
    state = scratch / "state/var/lib/lineguard"
    shutil.copytree(scratch / "added" / STATION, state)
    pack(scratch / "state", scratch / "state.tar", when, (int(user[2]), int(user[3])))
    (scratch / "oci").mkdir()
    layers = [scratch / "system.tar", scratch / "state.tar"]
    make_oci(scratch / "oci.tar", layers, ARCHITECTURE, scratch / "oci", when)
    oci.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(scratch / "oci.tar", oci)


def _left_out(name: str) -> bool:
    return name in LEFT_OUT or name.startswith(tuple(f"{each}/" for each in LEFT_OUT))


def _trusted(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.pub"))
    if not found:
        raise InputError(f"{folder}: holds no *.pub: `lineguard keys trust` puts keys there")
    return found


def _read_keys(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}): give a public SSH key") from error
    if "PRIVATE KEY" in text or not text.strip():
        raise InputError(f"{path}: is no public key: give the file that ends in .pub")
    return text


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(MEGABYTE):
            digest.update(block)
    return digest.hexdigest()
