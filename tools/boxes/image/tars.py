"""Archives of whole systems: who owns what in them is kept, though nobody here is root."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["pack", "settle_times", "take"]

EPOCH = "usr/lib/clock-epoch"
"""Its time is the system's: that of the newest file of Debian's."""


def pack(folder: Path, target: Path, when: int, owner: tuple[int, int] = (0, 0)) -> None:
    """Write all of ``folder`` as an archive.

    Parameters
    ----------
    folder
        Its files can be read by all, and run if its owner can.
    target
        File to write.
    when
        Time of all members, seconds since 1970.
    owner
        Their user and group.
    """

    def settled(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid = owner
        member.uname = member.gname = ""
        member.mtime = when
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        return member

    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            archive.add(path, name, recursive=False, filter=settled)


def settle_times(source: Path, target: Path, left_out: Callable[[str], bool]) -> int:
    """Copy a system's archive; no file in it is newer than the system.

    Parameters
    ----------
    source, target
        Files.
    left_out
        Whether a member, by its name seen from ``/``, stays behind.

    Returns
    -------
    int
        The system's time, seconds since 1970.
    """
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        members = {_name(member): member for member in old.getmembers()}
        when = int(members[EPOCH].mtime)
        for name, member in sorted(members.items()):
            if not name or left_out(name):
                continue
            member.name = name
            member.mtime = min(int(member.mtime), when)
            member.pax_headers = {}
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return when


def take(source: Path, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Unpack the wanted regular files of a system's archive into ``folder``, as files of ours."""
    with tarfile.open(source) as archive:
        for member in archive:
            name = _name(member)
            if not member.isreg() or not wanted(name):
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None  # noqa: S101 - it is a regular file
            with content, path.open("wb") as file:
                shutil.copyfileobj(content, file)


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").removeprefix(".")
