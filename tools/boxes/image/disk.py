"""Disks with partitions, as files: nothing is mounted, nobody is root, and no byte is by chance.

UEFI specification 2.10, 5.3 (GUID partition table); ``sfdisk(8)``, ``mke2fs(8)``, ``mkfs.vfat(8)``,
``mtools(1)``, ``tar2sqfs(1)``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.boxes.programs import run_program

__all__ = [
    "LINUX",
    "MEGABYTE",
    "UEFI",
    "Partition",
    "make_data",
    "make_disk",
    "make_start",
    "make_tree",
]

MEGABYTE = 1 << 20
SECTOR = 512

UEFI = "C12A7328-F81F-11D2-BA4B-00C04FC93EC9"
"""Partition that firmware reads. The Raspberry Pi 4's own does so, too."""

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


@dataclass(frozen=True)
class Partition:
    """What one holds.

    Attributes
    ----------
    name
        Stands in the partition table.
    kind
        :data:`UEFI` or :data:`LINUX`.
    content
        File of its file system.
    """

    name: str
    kind: str
    content: Path


def make_disk(target: Path, partitions: Sequence[Partition], seed: uuid.UUID) -> None:
    """Write a disk; the partitions follow each other at whole megabytes.

    Parameters
    ----------
    target
        File to write; holes where nothing is.
    partitions
        In their order.
    seed
        All identifiers of the disk follow from it.
    """
    script = ["label: gpt", f"label-id: {uuid.uuid5(seed, 'disk')}", "unit: sectors"]
    start = MEGABYTE
    places = []
    for each in partitions:
        size = _whole(each.content.stat().st_size)
        ident = uuid.uuid5(seed, each.name)
        extent = f"start={start // SECTOR}, size={size // SECTOR}"
        script.append(f'{extent}, type={each.kind}, uuid={ident}, name="{each.name}"')
        places.append(start)
        start += size
    with target.open("wb") as disk:
        disk.truncate(start + MEGABYTE)  # the table again, at its end
    table = target.with_name(f"{target.name}.table")
    table.write_text("\n".join(script) + "\n")
    try:
        run_program("sfdisk", "--quiet", target, reads=table)
    finally:
        table.unlink()
    with target.open("r+b") as disk:
        for place, each in zip(places, partitions, strict=True):
            _copy(each.content, disk.fileno(), place)


def make_start(
    target: Path, files: Mapping[str, Path], megabytes: int, seed: uuid.UUID, when: int
) -> None:
    """Write what firmware reads: a FAT32 file system with ``files`` by their paths.

    Raises
    ------
    DeviceError
        They do not fit.
    """
    _empty(target, megabytes)
    serial = uuid.uuid5(seed, "start").hex[:8]
    settings = {"MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": str(when)}
    how = ("--invariant", "-F", "32", "-s", "1", "-n", "LINEGUARD", "-i", serial)
    run_program("mkfs.vfat", *how, target, settings=settings)
    folders = {path.as_posix() for name in files for path in Path(name).parents} - {"."}
    for name in sorted(folders):
        run_program("mmd", "-i", target, f"::{name}", settings=settings)
    for name, source in sorted(files.items()):
        run_program("mcopy", "-i", target, source, f"::{name}", settings=settings)


def make_tree(target: Path, system: Path, when: int) -> None:
    """Write the archive ``system`` as a squashfs, which nothing can write to."""
    how = ("--quiet", "--force", "-c", "zstd", "-X", "level=9", "-b", "256K", "-j", "1")
    settings = {"SOURCE_DATE_EPOCH": str(when)}
    run_program("tar2sqfs", *how, target, reads=system, settings=settings)


def make_data(target: Path, megabytes: int, seed: uuid.UUID, when: int) -> None:
    """Write an empty ext4 file system, which can grow to a thousand times its size."""
    _empty(target, megabytes)
    ident = uuid.uuid5(seed, "data")
    exact = f"hash_seed={ident},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    how = (
        "-q",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-m",
        "1",
        "-L",
        "lineguard-data",
        "-U",
        str(ident),
        "-E",
        exact,
    )
    run_program("mke2fs", *how, target, settings={"E2FSPROGS_FAKE_TIME": str(when)})


def _empty(target: Path, megabytes: int) -> None:
    with target.open("wb") as file:
        file.truncate(megabytes * MEGABYTE)


def _whole(size: int) -> int:
    return -(-size // MEGABYTE) * MEGABYTE


def _copy(source: Path, disk: int, place: int) -> None:
    """Leave holes where there are only zeros."""
    nothing = bytes(MEGABYTE)
    with source.open("rb") as file:
        while block := file.read(MEGABYTE):
            if block != nothing[: len(block)]:
                os.pwrite(disk, block, place)
            place += len(block)
