"""The devices that a station uses: there, allowed, and nobody else's."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edge.box.checks.line import allowed, is_console
from edge.box.devices import holders, is_held
from edge.box.finding import Case, Finding, bad
from edge.box.video import ask_camera

if TYPE_CHECKING:
    from edge.station.schema import Station

__all__ = ["by_name", "by_process", "check_devices"]

OURS = ("lineguard", "python")
"""What the processes of a station are called."""

SHOWN = 3
"""Holders of a device that are shown."""


def by_name(who: str) -> bool:
    """Whether ``name (pid)`` is a station, for a doctor who is none."""
    return who.startswith(OURS)


def by_process(who: str) -> bool:
    """Likewise for the station itself: whoever else has its devices is none of it."""
    return False


def check_devices(
    case: Case, station: Station, is_ours: Callable[[str], bool]
) -> Iterator[Finding]:
    """Look at each device that a station file names; yields faults alone.

    What this process or, by ``is_ours``, the station has open is not touched.
    """
    for name, device, shared in _devices(station):
        if finding := allowed(case, name, device, bad):
            yield finding
        elif is_console(case, device):
            mend = "take console= of it out of the kernel's command line, or take another port"
            zh = f"{device} 是内核控制台：请从内核命令行去掉 console=，或换一个串口"
            yield bad(name, f"{device} is the kernel's console", mend, zh)
        elif not shared and not is_held(case.root, device):
            yield from _taken(case, name, device, is_ours)


def _taken(case: Case, name: str, device: str, is_ours: Callable[[str], bool]) -> Iterator[Finding]:
    """Whether another program has it."""
    by = holders(case.root, device)
    others = [each for each in by if not is_ours(each)]
    who, who_zh = ", ".join(others[:SHOWN]), "、".join(others[:SHOWN])
    if not by and name.startswith("camera") and _is_busy(case, device):
        who, who_zh = "another user's process", "其他用户的进程"
    if who:
        mend = f"stop it: `sudo fuser -v {device}` shows it; one program at a time has it"
        zh = f"{device} 被 {who_zh} 占用：请停止该程序（用 sudo fuser -v {device} 查看）"
        yield bad(name, f"{device} is in use by {who}", mend, zh)


def _is_busy(case: Case, device: str) -> bool:
    """Whether a camera that nobody seems to have streams for somebody."""
    try:
        return ask_camera(str(case.root.file(device))).busy
    except OSError as error:
        return error.errno == errno.EBUSY


def _devices(station: Station) -> Iterator[tuple[str, str, bool]]:
    """Whose device it is, its path, and whether several programs may have it.

    Of cameras, triggers and outputs.
    """
    asking: list[tuple[str, object]] = []
    for camera in station.cameras:
        device = camera.source.removeprefix("v4l2:").partition("?")[0]
        if device.startswith("/dev/"):
            yield f"camera {camera.name}", device, False
        asking.append((f"trigger of {camera.name}", camera.trigger))
    asking += [(f"output {output.kind}", output) for output in station.outputs]
    for name, table in asking:
        for key in ("port", "chip", "address"):
            place = getattr(table, key, None)
            if isinstance(place, str) and place.startswith("/dev/"):
                yield name, place, key == "chip"
