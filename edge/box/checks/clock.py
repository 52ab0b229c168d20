"""The clock: whether it can be right, whether it is kept right, and what it will be after a cut.

A part's record carries this time, so does each line of the journal. Sources: adjtimex(2), which
says ``TIME_ERROR`` while nobody disciplines the clock; systemd-timesyncd(8) for its two files;
Documentation/ABI/testing/rtc-cdev and https://docs.kernel.org/admin-guide/rtc.html.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from edge.box.finding import Case, Finding, bad, fine, warn
from edge.box.root import Root

__all__ = ["check_clock"]

BUILT = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()
"""This program did not exist before."""

MARKS = ("usr/lib/clock-epoch", "var/lib/systemd/timesync/clock", "var/lib/chrony/drift")
"""Files that were written while the clock was right: when the system was built, or last synced."""

NEVER = datetime(2080, 1, 1, tzinfo=timezone.utc).timestamp()
"""A file from after this was written while the clock was wrong."""

RTC_APART = 120.0
"""Seconds between clock and RTC that no clock loses in a day."""

_TIME_ERROR = 5
_TIMEX = 512
"""Bytes, more than ``struct timex`` has anywhere; all zeros only ask."""


def check_clock(case: Case) -> Iterator[Finding]:
    """Compare it with what it cannot be, and ask who sets it."""
    root = case.root
    at = f"{datetime.fromtimestamp(case.now, timezone.utc):%Y-%m-%d %H:%M} UTC"
    marks = [_written(root.file(name)) for name in MARKS]
    marks.append(_written(Path(__file__)) if root.live else 0.0)
    earliest = max([BUILT, *(mark for mark in marks if mark < NEVER)])
    synced = _synced(root)
    rtc = root.names("sys/class/rtc/rtc*")
    mend = "connect it to a time server (`timedatectl set-ntp true`), or set it by `date -s`"
    mend_zh = "请连接时间服务器（timedatectl set-ntp true），或用 date -s 校准"
    if case.now < earliest - RTC_APART:
        last = f"{datetime.fromtimestamp(earliest, timezone.utc):%Y-%m-%d}"
        found = f"says {at}, but it is {last} at least{'' if rtc else ': there is no RTC'}"
        none = "" if rtc else "，且没有实时时钟"
        yield bad("clock", found, mend, f"时钟显示 {at}，实际不早于 {last}{none}：{mend_zh}")
    elif synced:
        yield fine("clock", f"{at}, kept by a time server{'' if rtc else '; no RTC'}")
    elif not rtc:
        found = f"{at}; no time server, and no RTC: it stands still while the board is off"
        zh = f"没有时间服务器，也没有实时时钟，断电期间时钟停走：{mend_zh}"
        yield warn("clock", found, mend, zh)
    else:
        zh = f"没有时间服务器校准时钟：{mend_zh}"
        yield warn("clock", f"{at}; no time server sets it", mend, zh)
    for name in rtc[:1]:
        told = root.number(f"{name}/since_epoch")
        if told is not None and abs(told - case.now) > RTC_APART and case.now >= earliest:
            found = f"its RTC is {abs(told - case.now):.0f} s off: so is the clock after a cut"
            apart = f"实时时钟相差 {abs(told - case.now):.0f} 秒"
            zh = f"{apart}：请用 hwclock --systohc 校准，或更换电池"
            yield warn("clock", found, "set it by `hwclock --systohc`, or change its battery", zh)


def _written(path: Path) -> float:
    """When a file was written last; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except (OSError, ValueError):
        return 0.0


def _synced(root: Root) -> bool:
    """Whether somebody keeps the clock right."""
    if root.exists("run/systemd/timesync/synchronized"):
        return True
    if not root.live:
        return False
    try:
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    except (OSError, AttributeError):  # a C library without it
        return False
    return 0 <= state < _TIME_ERROR
