"""Every change that the box makes to its disk, and nothing else.

They stand in one place so that tests can take the power away after each of them
(``tests/firmware_bridge/power.py``): whatever is written goes through ``os`` of this module or of
:mod:`models.atomic`. All of them raise ``OSError`` as it comes.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "Lock",
    "Part",
    "append_line",
    "free_bytes",
    "holds",
    "links_work",
    "make_folder",
    "own",
    "pieces",
    "place",
    "point",
    "remove",
    "rename",
    "sha256_of",
    "sync",
    "write_new",
]

PIECE = 1 << 20
"""Bytes read at once: enough for any disk's speed, little of a box's memory."""

_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS})
"""Of link: a FAT card, a file with too many names, another disk below a folder."""


class Lock:
    """The one writer of a folder; goes with the process that holds it, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._taken = 0

    def take(self) -> bool:
        """Whether it is ours, now once more than before; another's is not waited for."""
        if not self._taken:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        self._taken += 1
        return True

    def release(self) -> None:
        """Undo one :meth:`take`; others may write after the last."""
        self._taken -= 1
        if not self._taken:
            os.close(self._descriptor)


class Part:
    """A file that grows at its end; what it holds is on the disk after :meth:`sync` only.

    Parameters
    ----------
    path
        Made if it is missing. Must have no other name: a file of a slot would change with it.
    at
        Bytes of it that are kept.
    """

    def __init__(self, path: Path, at: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        os.ftruncate(self._descriptor, at)
        os.lseek(self._descriptor, at, os.SEEK_SET)

    def write(self, data: bytes | memoryview) -> int:
        """Append; gives how many bytes, always all."""
        written = 0
        while written < len(data):
            written += os.write(self._descriptor, memoryview(data)[written:])
        return written

    def sync(self) -> None:
        """Wait for the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it; no more can be written."""
        os.close(self._descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, and wait for the disk; its folder is not synced."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: bytes) -> None:
    """Append a line and wait for the disk; behind what a cut has left, on a line of its own."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make one folder, durably, unless it is there."""
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return
    sync(path.parent)


def place(source: Path, target: Path) -> None:
    """Give a file one more name, or copy it where that is not to be had. ``target`` is new."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        part = Part(target, 0)
        try:
            for piece in pieces(source):
                part.write(piece)
            part.sync()
        finally:
            part.close()


def links_work(file: Path) -> bool:
    """Whether the disk that ``file`` lies on gives a file more than one name."""
    other = file.with_name(f".{file.name}.link")
    try:
        os.link(file, other)
    except FileExistsError:
        pass
    except OSError:
        return False
    os.unlink(other)
    return True


def point(link: Path, target: str) -> None:
    """Make ``link`` a symbolic link to ``target``, at once and durably."""
    if link.is_symlink() and os.readlink(link) == target:
        return
    new = link.with_name(f".{link.name}.new")
    remove(new)
    os.symlink(target, new)
    rename(new, link)


def rename(old: Path, new: Path) -> None:
    """Rename within a folder, at once and durably."""
    os.replace(old, new)
    sync(new.parent)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing if it is not there."""
    if path.is_symlink() or path.is_file():
        os.unlink(path)
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            remove(inner)
        os.rmdir(path)
    elif path.exists():
        os.unlink(path)


def pieces(path: Path) -> Iterator[bytes]:
    """What a plain file holds, from the disk where the kernel can be brought to ask it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        # A card that lies about what it has written is found out now, not after the next cut.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(PIECE):
            yield piece


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    hashed = hashlib.sha256()
    for piece in pieces(path):
        hashed.update(piece)
    return hashed.hexdigest()


def holds(path: Path, size: int, sha256: str) -> bool:
    """Whether a plain file of that size and content lies there."""
    try:
        return path.lstat().st_size == size and sha256_of(path) == sha256
    except OSError:
        return False


def own(path: Path) -> None:
    """Remove a file that has a second name, before somebody writes to it.

    The second name is a slot's, and a cut can bring the first one back.
    """
    if path.exists() and path.lstat().st_nlink > 1:
        os.unlink(path)


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written there by this user."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
