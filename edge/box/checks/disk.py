"""Disks: room, whether they can be written, and how worn they are.

Sources: proc(5) for ``mounts``; JEDEC JESD84-B51 7.4.43 to 45 for ``life_time`` (tenths of its life
that are used) and ``pre_eol_info``; Documentation/ABI/testing/sysfs-fs-ext4 for ``errors_count``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.box.finding import Case, Finding, bad, fine, user, warn
from edge.box.root import Root, printable

__all__ = ["check_disks"]

STATE = "var/lib/lineguard"
"""Where an installed box keeps all that changes."""

NEEDED_MIB = 20
"""For a bundle on its way; less, and flashing is refused."""

SHORT_MIB = 200
"""For some days of records and pictures."""

WORN = 8
"""Tenths of its life."""

OVER = 11
"""``life_time`` above ten tenths."""


@dataclass(frozen=True)
class _Mount:
    point: str
    source: str
    options: frozenset[str]


def check_disks(case: Case) -> Iterator[Finding]:
    """Look at the disks of the system, of the bundles and of the station file."""
    root = case.root
    mounts = list(_mounts(root))
    folders = {
        "system": root.path,
        "state": root.file(STATE),
        "bundles": case.slots,
        "station": case.station.absolute().parent if case.station else None,
    }
    wanted = {name: folder for name, folder in folders.items() if folder and folder.is_dir()}
    seen: dict[str, str] = {}
    for name, folder in wanted.items():
        mount = _mount(root, mounts, folder)
        point = mount.point if mount else str(folder)
        writes = name != "system" or len(wanted) == 1
        yield from _writable(name, folder, mount, writes)
        if point not in seen:
            seen[point] = name
            if not (mount and "ro" in mount.options):
                yield from _room(name, folder)
            if mount:
                yield from _wear(root, name, mount)


def _writable(name: str, folder: Path, mount: _Mount | None, writes: bool) -> Iterator[Finding]:
    label = f"disk ({name})"
    if mount and "ro" in mount.options:
        if writes:
            mend = "see why by `dmesg | grep -i -e ext4 -e mmc`; then `mount -o remount,rw`"
            yield bad(
                label, f"{mount.point} is read-only: nothing can be recorded or flashed", mend
            )
        else:
            yield fine(label, f"{mount.point} is read-only, and nothing of ours is written there")
    elif name != "system" and not os.access(folder, os.W_OK):
        mend = f"run this as the user of the station, or `sudo chown -R {user()} {folder}`"
        yield warn(label, f"{folder} may not be written by {user()}", mend)


def _room(name: str, folder: Path) -> Iterator[Finding]:
    label = f"disk ({name})"
    try:
        told = os.statvfs(folder)
    except (OSError, ValueError) as error:
        yield warn(label, f"{folder}: does not answer ({error})", "look at `dmesg`")
        return
    total, free = (blocks * told.f_frsize // 2**20 for blocks in (told.f_blocks, told.f_bavail))
    found = f"{printable(str(folder))}: {free} of {total} MiB free"
    mend = "delete old records and evidence, or shorten their [records] keep times"
    if total == 0:  # an image that is mounted to be read
        return
    if told.f_files and not told.f_favail:
        yield bad(label, f"{found}, but no more files can be made", mend)
    elif free < NEEDED_MIB:
        yield bad(label, found, mend)
    elif free < SHORT_MIB:
        yield warn(label, found, mend)
    else:
        yield fine(label, found)


def _wear(root: Root, name: str, mount: _Mount) -> Iterator[Finding]:
    label = f"disk ({name})"
    part = mount.source.rpartition("/")[2]
    disk = re.sub(r"p[0-9]+$", "", part) if re.match(r"(mmcblk|nvme)", part) else part
    renew = "back the records up and change it soon"
    text = root.line(f"sys/block/{disk}/device/life_time")
    tenths = [int(each, 16) for each in re.findall(r"0x[0-9a-fA-F]{1,2}\b", text)]
    worst = max(tenths, default=0)
    spare = root.number(f"sys/block/{disk}/device/pre_eol_info")
    if worst >= OVER or spare == 3:
        yield bad(label, f"{disk} has outlived its rated life", renew)
    elif worst >= WORN or spare == 2:
        yield warn(label, f"{disk}: {10 * worst}% of its rated life are used", renew)
    elif worst:
        yield fine(label, f"{disk}: at most {10 * worst}% of its rated life are used")
    if errors := root.number(f"sys/fs/ext4/{part}/errors_count") or 0:
        mend = f"let it be checked at the next start: `sudo tune2fs -C 99 -c 1 {mount.source}`"
        yield bad(label, f"{part}: its file system has met {errors} errors", mend)


def _mounts(root: Root) -> Iterator[_Mount]:
    text = root.text("proc/self/mounts") or root.text("proc/mounts")
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4 and fields[1].startswith("/"):
            point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[1])
            yield _Mount(printable(point), printable(fields[0]), frozenset(fields[3].split(",")))


def _mount(root: Root, mounts: list[_Mount], folder: Path) -> _Mount | None:
    """The mount that a folder is on: the longest that it begins with, of equals the last."""
    try:
        real = folder.resolve()
        place = Path("/") / real.relative_to(root.path.resolve())
    except (OSError, ValueError, RuntimeError):
        return None
    above = {str(place), *map(str, place.parents)}
    on = [mount for mount in mounts if mount.point in above]
    return max(reversed(on), key=lambda mount: len(mount.point), default=None)
