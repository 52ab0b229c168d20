"""What a disk may look like after a power cut: every write of a board, played back.

QEMU logs them as the kernel's dm-log-writes does (``Documentation/admin-guide/device-mapper/
log-writes.rst``): a superblock, then an entry for each write with its data, and one for each flush
of the disk's cache. All numbers are little-endian, everything begins at a multiple of 512 bytes.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from board_tools import call

__all__ = ["WriteLog", "copy_disk", "extract"]

SECTOR = 512
MAGIC = 0x6A736677736872
SUPERBLOCK = struct.Struct("<QQQI")  # magic, version, entries, bytes of a sector
ENTRY = struct.Struct("<QQQQ")  # first sector, sectors, flags, bytes of a mark

FLUSH, DISCARD = 1, 4


@dataclass(frozen=True)
class _Write:
    """``size`` bytes of the log, from ``place``, go to ``at`` of the disk; or a flush."""

    at: int
    size: int
    place: int
    flush: bool


class WriteLog:
    """The writes of a board to its data disk, in order, up to the last flush.

    Parameters
    ----------
    log
        The board's ``writes``.
    before
        The disk as it was when the board was started.
    """

    def __init__(self, log: Path, before: Path) -> None:
        self._log, self._before = log, before
        self._writes = list(_read(log))

    def disks(self, target: Path, chance: random.Random | None = None) -> Iterator[int]:
        """Make ``target`` anew for every flush, and give the flush's number, from 0.

        Holds what was written until then; with ``chance``, also any of what was written from
        then to the next flush, since a disk's cache keeps no order.
        """
        current = target.with_suffix(".current")
        copy_disk(self._before, current)
        flushes = [place for place, write in enumerate(self._writes) if write.flush]
        with self._log.open("rb") as log:
            done = 0
            for number, (flush, following) in enumerate(
                zip(flushes, [*flushes[1:], len(self._writes)], strict=True)
            ):
                _apply(self._writes[done:flush], log.fileno(), current)
                done = flush
                copy_disk(current, target)
                if chance is not None:
                    loose = [each for each in self._writes[flush:following] if not each.flush]
                    kept = [each for each in loose if chance.random() < 0.5]
                    _apply(kept, log.fileno(), target)
                yield number
        current.unlink()

    def durable(self, target: Path) -> None:
        """Write the disk as it is sure to be found: up to the last flush, and nothing after it."""
        copy_disk(self._before, target)
        with self._log.open("rb") as log:
            _apply(self._writes, log.fileno(), target)


def copy_disk(source: Path, target: Path) -> None:
    """Copy an image, of which most is empty."""
    target.unlink(missing_ok=True)
    call("cp", "--sparse=always", source, target)


def extract(disk: Path, folder: Path) -> None:
    """Mend a disk as a kernel does that mounts it, and copy its files into a new folder.

    Raises
    ------
    RuntimeError
        It is beyond that.
    """
    call("e2fsck", "-fy", disk, good=(0, 1))  # 1: mended, as a journal that was played back is
    folder.mkdir()
    call("debugfs", "-R", f"rdump / {folder}", disk)


def _read(path: Path) -> Iterator[_Write]:
    with path.open("rb") as log:
        head = log.read(SUPERBLOCK.size)
        if not head:
            return  # the power went before the board had begun with its disk
        magic, _, count, sector = SUPERBLOCK.unpack(head)
        if (magic, sector) != (MAGIC, SECTOR):
            raise RuntimeError(f"{path}: is no log of writes")
        place, last = SECTOR, []
        for _ in range(count):
            log.seek(place)
            first, sectors, flags, _ = ENTRY.unpack(log.read(ENTRY.size))
            place += SECTOR
            size = 0 if flags & DISCARD else sectors * SECTOR
            last.append(_Write(first * SECTOR, size, place, bool(flags & FLUSH)))
            place += size
            if flags & FLUSH:  # what came after the last one is sure to be lost
                yield from last
                last = []


def _apply(writes: Sequence[_Write], log: int, disk: Path) -> None:
    with disk.open("r+b") as file:
        for write in writes:
            data = os.pread(log, write.size, write.place)
            os.pwrite(file.fileno(), data, write.at)
