"""A station with a challenge, whose parts come when the test places them."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from challenge_lab import CHALLENGE, Time
from loop_lab import Collected, LabCamera, LabModel, station

from edge.camera.base import EndOfStream, Frame
from edge.challenge.desk import ChallengeDesk
from edge.challenge.result import Challenged
from edge.challenge.validity import Clocks
from edge.io.base import Output
from edge.loop import Line
from edge.station import Station
from edge.verdict import Verdict
from models.errors import ImageError

PATIENCE_S = 20.0

GOOD, BAD, BROKEN = 1, 66, 99
"""What a part is like: the brightness of its picture."""


def challenged(tmp_path: Path, every: str = "start", more: str = "", **keys: object) -> Station:
    """The station file of :mod:`loop_lab` with a challenge of two parts."""
    LabCamera(0)  # for the source to be checked
    text = CHALLENGE.format(every=every, more=more)
    return station(tmp_path, more=text, **keys)  # type: ignore[arg-type]


class HandCamera(LabCamera):
    """Shows what the test places."""

    def __init__(self) -> None:
        super().__init__(0)
        self.placed: queue.Queue[int | None] = queue.Queue()

    def read(self) -> Frame:
        while True:
            try:
                part = self.placed.get(timeout=0.05)
                break
            except queue.Empty:
                continue
        if part is None:
            raise EndOfStream("taken away")
        self._number += 1
        if part == BROKEN:
            raise ImageError("cut off")
        image = np.full((8, 8, 3), part, np.uint8)
        return Frame(image, time.monotonic(), self._number, truth=part)


@dataclass
class Bench:
    """A line that runs, and who stands at it."""

    line: Line
    desk: ChallengeDesk
    camera: HandCamera
    out: Collected
    ended: list[Challenged]

    def place(self, part: int) -> Verdict:
        """A part passes; gives its verdict."""
        before = len(self.out.verdicts)
        self.camera.placed.put(part)
        until(lambda: len(self.out.verdicts) > before)
        return self.out.verdicts[before]

    def at_step(self, step: int) -> None:
        until(lambda: self.desk.snapshot()["step"] == step)

    def unlocked(self) -> None:
        until(lambda: not self.desk.locked and self.line.setting.lock is None)

    def run(self, *parts: int) -> list[Verdict]:
        """Start a challenge and place these, one after the other."""
        self.desk.start("Wang Li")
        seen = []
        for step, part in enumerate(parts, 1):
            self.at_step(step)
            seen.append(self.place(part))
        until(lambda: not self.desk.snapshot()["running"])
        return seen


@contextmanager
def running(
    station: Station,
    path: Path,
    *outputs: Output,
    model: LabModel | None = None,
    clocks: Callable[[], Clocks] | None = None,
    record: Callable[[Challenged], None] = lambda told: None,
) -> Iterator[Bench]:
    """The station at work; stopped at the end."""
    camera, out, ended = HandCamera(), Collected(), list[Challenged]()
    table, display = station.challenge, station.display
    assert table is not None
    assert display is not None

    def keep(told: Challenged) -> None:
        ended.append(told)
        record(told)

    desk = ChallengeDesk(
        table, display.shifts, path / "c.json", record=keep, clocks=clocks or Time()
    )
    model = model or LabModel(lambda n: "BAD" if n == BAD else "GOOD")
    line = Line(station, {"m": model}, [*outputs, out, desk])
    desk.follow(line)
    thread = threading.Thread(target=line.run)
    thread.start()
    try:
        yield Bench(line, desk, camera, out, ended)
    finally:
        line.stop()
        camera.placed.put(None)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)
