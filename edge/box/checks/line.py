"""What tells the machine its verdicts: serial ports and GPIO chips, and whether we may use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from edge.box.devices import holders
from edge.box.finding import Case, Finding, fine, user, warn

__all__ = ["allowed", "check_gpio", "check_serial", "is_console"]

SHOWN = 3
"""Holders of a port that are shown: those of a console are many."""


def check_serial(case: Case) -> Iterator[Finding]:
    """Look at each serial port."""
    free = []
    for port in case.profile.serial:
        if finding := allowed(case, "serial port", port, warn):
            yield finding
            continue
        shown = f"{port} (the kernel's console)" if is_console(case, port) else port
        if by := holders(case.root, port):
            yield fine("serial port", f"{shown}: in use by {', '.join(by[:SHOWN])}")
        else:
            free.append(shown)
    if free or not case.profile.serial:
        yield fine("serial port", ", ".join(free) or "none")


def check_gpio(case: Case) -> Iterator[Finding]:
    """Look at each GPIO chip, the one of the pin header first."""
    chips = case.profile.gpio
    refused = [f for chip in chips if (f := allowed(case, "GPIO", chip.device, warn))]
    yield from refused[:1]
    header = [f"{chip.device} is the pin header ({chip.label})" for chip in chips if chip.header]
    others = [f"{chip.device} ({chip.label})" for chip in chips if not chip.header]
    if not refused:
        yield fine("GPIO", ", ".join([*header, *others][:6]) or "no chip that the kernel knows of")


def allowed(case: Case, name: str, device: str, say: Callable[..., Finding]) -> Finding | None:
    """What stands against using a device, said by :func:`warn` or :func:`bad`; else ``None``."""
    root = case.root
    if not root.exists(device):
        mend = "plug it in, look at `dmesg`; the udev rules of lineguard give it a lasting name"
        return say(name, f"{device} is not there", mend, f"找不到 {device}：请插好设备并查看 dmesg")
    if root.may(device):
        return None
    group = _group(case, device)
    mend = f"`sudo usermod -aG {group} {user()}`, and log in again"
    zh = f"用户 {user()} 没有权限使用 {device}：请加入 {group} 组后重新登录"
    return say(name, f"{device} may not be used by {user()}", mend, zh)


def is_console(case: Case, port: str) -> bool:
    """Whether the kernel writes its messages to a serial port, among whatever we write."""
    active = case.root.line("sys/class/tty/console/active").split()
    return port.rpartition("/")[2] in active


def _group(case: Case, device: str) -> str:
    """The group that may use a device, by its name in ``/etc/group``."""
    try:
        number = case.root.file(device).stat().st_gid
    except (OSError, ValueError):
        number = -1
    for line in case.root.text("etc/group").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(number) and number > 0:
            return re.sub(r"[^\w-]", "", fields[0])
    return "gpio" if "gpio" in device else "dialout"
