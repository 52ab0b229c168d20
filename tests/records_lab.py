"""Records to test with: verdicts of every sort, and a place to keep them."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
from verdict_lab import OK, RUN, WRONG_LOT, lab_station

from edge.camera.base import Frame
from edge.deadline import Deadline
from edge.judge import Job
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.records.row import row_of, settings_of
from edge.records.store import Batch, Store
from edge.setting import Setting
from edge.station import RecordsTable
from edge.verdict import Outcome, Part, Verdict

START = datetime(2026, 11, 22, 8, tzinfo=timezone.utc)

PATIENCE_S = 30.0
"""More than anything here takes on a busy machine."""

SETTING = Setting(RUN, lab_station(), {})


def part_verdict(
    number: int,
    outcome: Outcome = OK,
    *,
    lot: str | None = "L2611A",
    time_of: datetime = START,
    camera: str = "top",
    setting: Setting = SETTING,
    shape: tuple[int, int] = (48, 64),
    picture: bool = True,
) -> Verdict:
    """Part ``number``, its picture as bright as its number."""
    if lot != setting.station.job.lot:
        setting = setting.with_job(Job(product="Tea", lot=lot))
    now = time.monotonic()
    frame = Frame(np.full((*shape, 3), number % 256, np.uint8), now, number) if picture else None
    part = Part(setting, camera, now, time_of, Deadline(now + 10), now, frame)
    return Verdict(number, part, outcome, 0.0123, 0.001)


@dataclass
class Faults:
    """Remembers what was told of the disk."""

    now: dict[str, str | None] = field(default_factory=dict)
    told: list[tuple[str, str | None]] = field(default_factory=list)

    def __call__(self, what: str, fault: str | None) -> None:
        self.now[what] = fault
        self.told.append((what, fault))


def table(folder: Path, **keys: object) -> RecordsTable:
    return RecordsTable.model_validate({"path": str(folder), **keys})


def record(folder: Path, verdicts: list[Verdict], **keys: object) -> None:
    """Leave records of these verdicts."""
    output = RecordsOutput(table(folder, **keys))
    for verdict in verdicts:
        output.verdict(verdict)
    output.close()


def write_rows(folder: Path, verdicts: list[Verdict]) -> None:
    """The same in one transaction, without pictures."""
    settings = settings_of(SETTING)
    store = Store(folder / "records.db")
    store.write(Batch([row_of(each, settings, None) for each in verdicts]))
    store.close()


def ids(folder: Path, query: Query | None = None) -> list[str]:
    """Ids of what was recorded, oldest first."""
    with Records(folder) as records:
        numbers = records.sequence(query or Query())
        return [each["id"] for start in range(0, len(numbers), 500)
                for each in records.read(numbers[start : start + 500])]  # fmt: skip


def until(done: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def whole_picture(path: Path) -> bool:
    data = path.read_bytes()
    return data.endswith(b"\xff\xd9") and cv2.imread(str(path)) is not None


def mixed(count: int, ng_every: int = 3) -> list[Verdict]:
    return [part_verdict(n, OK if n % ng_every else WRONG_LOT) for n in range(1, count + 1)]


def without_frame(verdict: Verdict) -> Verdict:
    return replace(verdict, part=replace(verdict.part, frame=None))
