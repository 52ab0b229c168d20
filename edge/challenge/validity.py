"""How long a challenge that was passed counts, also over a restart and with a clock that is wrong.

It ends when the wall clock *or* the clock of the machine says so, whichever is first: setting the
wall clock back gains nothing. After a reboot only the wall clock is left; if that is behind the
newest time that was ever seen, nobody knows how long ago the challenge was, and it is due.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.station.challenge import ChallengeTable
from models.atomic import write_atomic

__all__ = ["Clocks", "Passed", "due_after", "read_clocks", "restore", "table_digest"]

SLACK_S = 120.0
"""Seconds that a clock may be behind after a reboot: what NTP and a battery-less clock leave."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Clocks:
    """All clocks at one moment.

    Attributes
    ----------
    wall
        With time zone.
    boot
        Names this boot of the machine; empty if nobody knows.
    up
        Seconds since then, which never jump.
    """

    wall: datetime
    boot: str
    up: float


def read_clocks(wall: Callable[[], datetime]) -> Clocks:
    """What they say now."""
    try:
        boot = BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        boot = ""
    return Clocks(wall(), boot, time.monotonic())


def due_after(table: ChallengeTable, shifts: Sequence[str], now: datetime) -> float | None:
    """Seconds that a challenge counts which is passed ``now``; ``None``: until the station ends."""
    if table.every == "hours" and table.hours is not None:
        return table.hours * 3600
    if table.every == "start" or not shifts:
        return None
    local = now.astimezone()
    starts = (
        (local + timedelta(days=day)).replace(hour=int(h), minute=int(m), second=0, microsecond=0)
        for day in (0, 1)
        for h, _, m in (shift.partition(":") for shift in shifts)
    )
    return min((start - local).total_seconds() for start in starts if start > local)


def table_digest(table: ChallengeTable) -> str:
    """Names what was asked: a challenge with other parts was another challenge."""
    return hashlib.sha256(table.model_dump_json().encode()).hexdigest()[:16]


class Passed(BaseModel):
    """A challenge that was passed, and how long it counts; what is kept in the file.

    Attributes
    ----------
    digest
        Of the table.
    by, at
        Who passed it; when, seconds since 1970 by the wall clock.
    until
        When it ends, likewise.
    boot, until_up
        The same by the clock of the machine.
    seen
        The newest wall time that was seen while it counted.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    digest: str
    by: str
    at: float
    until: float
    boot: str
    until_up: float
    seen: float

    @classmethod
    def now(cls, digest: str, by: str, seconds: float, clocks: Clocks) -> Passed:
        """One that was passed just now."""
        wall = clocks.wall.timestamp()
        return cls(
            digest=digest,
            by=by,
            at=wall,
            until=wall + seconds,
            boot=clocks.boot,
            until_up=clocks.up + seconds,
            seen=wall,
        )

    def counts(self, clocks: Clocks) -> bool:
        """Whether it still counts; its boot is this one."""
        return clocks.wall.timestamp() < self.until and clocks.up < self.until_up

    def later(self, clocks: Clocks) -> Passed:
        """The same, which has seen the time."""
        seen = max(self.seen, clocks.wall.timestamp())
        return self.model_copy(update={"seen": seen})

    def save(self, path: Path) -> None:
        """Keep it; ``StorageError`` if the disk is full or gone."""
        write_atomic(path, self.model_dump_json(indent=1).encode() + b"\n")


def restore(path: Path, digest: str, clocks: Clocks) -> Passed | None:
    """The one that was passed last, if it still counts for certain."""
    try:
        kept = Passed.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    wall = clocks.wall.timestamp()
    if kept.digest != digest:
        return None
    if kept.boot != clocks.boot or not clocks.boot:
        if wall < kept.seen - SLACK_S:
            return None
        left = kept.until - wall
        kept = kept.model_copy(update={"boot": clocks.boot, "until_up": clocks.up + left})
    return kept if kept.counts(clocks) else None
