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
    """Look at the disks of the system, the bundles, the station file and the records."""
    root = case.root
    mounts = list(_mounts(root))
    folders = {
        "system": root.path,
        "state": root.file(STATE),
        "bundles": case.slots,
        "station": case.station.absolute().parent if case.station else None,
        "records": case.records,
    }
    wanted = {name: folder for name, folder in folders.items() if folder and folder.is_dir()}
    seen: set[str] = set()
    locked: set[str] = set()
    for name, folder in wanted.items():
        mount = _mount(root, mounts, folder)
        point = mount.point if mount else str(folder)
        writes = name != "system" or len(wanted) == 1
        if point not in locked:
            found = list(_writable(name, folder, mount, writes))
            yield from found
            locked |= {point} if any(each.level == "fault" for each in found) else set()
        if point not in seen:
            seen.add(point)
            if not (mount and "ro" in mount.options):
                yield from _room(name, folder)
            if mount:
                yield from _wear(root, name, mount)


def _writable(name: str, folder: Path, mount: _Mount | None, writes: bool) -> Iterator[Finding]:
    label = f"disk ({name})"
    if mount and "ro" in mount.options:
        if writes:
            mend = "see why by `dmesg | grep -i -e ext4 -e mmc`; then `mount -o remount,rw`"
            found = f"{mount.point} is read-only: nothing can be recorded or flashed"
            zh = f"{mount.point} 为只读，无法保存记录或更新模型：请查看 dmesg，再重新以读写方式挂载"
            yield bad(label, found, mend, zh)
        else:
            yield fine(label, f"{mount.point} is read-only, and nothing of ours is written there")
    elif name != "system" and not os.access(folder, os.W_OK):
        try:
            owner = folder.owner()
        except (KeyError, OSError):  # a number without a name; or the folder is gone
            owner = "root"
        if owner == "root":
            mend = f"give it to the user of the station: `sudo chown -R USER {folder}`"
        else:
            mend = f"run this as its owner: `sudo -u {owner} lineguard box doctor`"
        zh = f"用户 {user()} 不能写入 {folder}（所有者：{owner}）：请以工位用户运行"
        yield warn(label, f"{folder} may not be written by {user()}", mend, zh)


def _room(name: str, folder: Path) -> Iterator[Finding]:
    label = f"disk ({name})"
    try:
        told = os.statvfs(folder)
    except (OSError, ValueError) as error:
        zh = f"{folder} 没有响应（{error}）：请查看 dmesg"
        yield warn(label, f"{folder}: does not answer ({error})", "look at `dmesg`", zh)
        return
    total, free = (blocks * told.f_frsize // 2**20 for blocks in (told.f_blocks, told.f_bavail))
    found = f"{printable(str(folder))}: {free} of {total} MiB free"
    mend = "delete old records and evidence, or shorten their [records] keep times"
    zh = f"{folder} 剩余 {free} MiB（共 {total} MiB）：请删除旧记录和图像，或缩短保存时间"
    if total == 0:  # an image that is mounted to be read
        return
    if told.f_files and not told.f_favail:
        yield bad(label, f"{found}, but no more files can be made", mend, f"无法再新建文件，{zh}")
    elif free < NEEDED_MIB:
        yield bad(label, found, mend, zh)
    elif free < SHORT_MIB:
        yield warn(label, found, mend, zh)
    else:
        yield fine(label, found)


def _wear(root: Root, name: str, mount: _Mount) -> Iterator[Finding]:
    label = f"disk ({name})"
    part = mount.source.rpartition("/")[2]
    disk = re.sub(r"p[0-9]+$", "", part) if re.match(r"(mmcblk|nvme)", part) else part
    renew, renew_zh = "back the records up and change it soon", "请备份记录并尽快更换"
    text = root.line(f"sys/block/{disk}/device/life_time")
    tenths = [int(each, 16) for each in re.findall(r"0x[0-9a-fA-F]{1,2}\b", text)]
    worst = max(tenths, default=0)
    spare = root.number(f"sys/block/{disk}/device/pre_eol_info")
    if worst >= OVER or spare == 3:
        zh = f"{disk} 已超过额定寿命：{renew_zh}"
        yield bad(label, f"{disk} has outlived its rated life", renew, zh)
    elif worst >= WORN or spare == 2:
        zh = f"{disk} 额定寿命已用 {10 * worst}%：{renew_zh}"
        yield warn(label, f"{disk}: {10 * worst}% of its rated life are used", renew, zh)
    elif worst:
        yield fine(label, f"{disk}: at most {10 * worst}% of its rated life are used")
    if errors := root.number(f"sys/fs/ext4/{part}/errors_count") or 0:
        mend = f"let it be checked at the next start: `sudo tune2fs -C 99 -c 1 {mount.source}`"
        zh = f"{part} 的文件系统出现过 {errors} 次错误：请在下次启动时检查"
        yield bad(label, f"{part}: its file system has met {errors} errors", mend, zh)


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
