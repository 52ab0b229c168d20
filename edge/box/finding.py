"""What a check has found, and what checks are given to look at."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from edge.box.profile import Profile
from edge.box.root import Root, printable

__all__ = ["Case", "Check", "Finding", "Level", "bad", "fine", "user", "warn"]

Level: TypeAlias = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    level
        ``fault``: the box cannot inspect, or not rightly; ``warning``: it can, but somebody should
        see to it.
    name
        What was looked at.
    found
        What there is.
    mend
        What to do about it; empty if nothing.
    zh
        Both in Chinese, of what a running station shows to its operators; else empty.
    """

    level: Level
    name: str
    found: str
    mend: str = ""
    zh: str = ""

    @property
    def en(self) -> str:
        """What there is and what to do about it, in one line."""
        return f"{self.found}: {self.mend}" if self.mend else self.found


@dataclass(frozen=True)
class Case:
    """What is examined.

    Attributes
    ----------
    root, profile
        The machine.
    slots
        Folder of ``lineguard agent``; none if ``None``.
    station
        Its station file; none if ``None``.
    records
        Folder of its records; none if ``None``.
    now
        The clock, seconds since 1970.
    """

    root: Root
    profile: Profile
    slots: Path | None = None
    station: Path | None = None
    records: Path | None = None
    now: float = field(default_factory=time.time)


Check: TypeAlias = Callable[[Case], Iterator[Finding]]
"""Looks at one thing, changes nothing, and needs no rights that the station has not."""


def fine(name: str, found: str) -> Finding:
    """Nothing to be done."""
    return Finding("ok", name, printable(found))


def warn(name: str, found: str, mend: str, zh: str = "") -> Finding:
    """Somebody should see to it."""
    return Finding("warning", name, printable(found), mend, printable(zh))


def bad(name: str, found: str, mend: str, zh: str = "") -> Finding:
    """It does not work so."""
    return Finding("fault", name, printable(found), mend, printable(zh))


def user() -> str:
    """Who we are, for commands that somebody may copy."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this number, as in a container
        return "lineguard"
