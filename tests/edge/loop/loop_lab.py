"""A station to test the loop with: a camera and a model that do what the test says."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.camera import register
from edge.camera.base import EndOfStream, Frame
from edge.camera.capture import State
from edge.station import Region, Station, load_station
from edge.verdict import Verdict
from models.errors import ImageError
from models.ppocr.geometry import box_quad
from models.results import Findings, TextLine
from models.stopwatch import Stopwatch

STATION = """
[station]
name = "test"
deadline_ms = {deadline_ms}
[[cameras]]
name = "top"
source = "lab:0"
policy = "{policy}"
queue = {queue}
{camera}
[models.m]
family = "ppocr"
rec = "unused.onnx"
dictionary = "unused.txt"
[[regions]]
name = "print"
camera = "top"
model = "m"
mode = "fixed"
[[rules]]
name = "text"
kind = "text"
region = "print"
equals = "GOOD"
{more}
"""


def station(
    tmp_path: Path,
    deadline_ms: int = 1000,
    policy: str = "every",
    queue: int = 8,
    more: str = "",
    camera: str = "",
) -> Station:
    register("lab", lambda source: LabCamera.current)
    path = tmp_path / "station.toml"
    text = STATION.format(
        deadline_ms=deadline_ms, policy=policy, queue=queue, more=more, camera=camera
    )
    path.write_text(text)
    return load_station(path)


class LabCamera:
    """Gives ``count`` frames, ``interval`` seconds apart; numbers in ``bad`` cannot be decoded."""

    current: "LabCamera"

    def __init__(
        self, count: int, interval: float = 0.0, bad: tuple[int, ...] = (), fps: float = 0.0
    ) -> None:
        self.name, self.fps = "lab:0", fps
        self._count, self._interval, self._bad = count, interval, bad
        self._number = -1
        LabCamera.current = self

    def open(self) -> None:
        pass

    def read(self) -> Frame:
        self._number += 1
        if self._number >= self._count:
            raise EndOfStream("all shown")
        time.sleep(self._interval)
        if self._number in self._bad:
            raise ImageError(f"frame {self._number}: cut off")
        image = np.full((8, 8, 3), self._number % 256, np.uint8)
        return Frame(image, time.monotonic(), self._number, truth=self._number)

    def close(self) -> None:
        pass


class LabModel:
    """Reads what ``text`` says of the frame's number; may take its time, or fail."""

    def __init__(self, text: Callable[[int], str] = lambda n: "GOOD", seconds: float = 0.0) -> None:
        self._text, self._seconds = text, seconds
        self.seen: list[int] = []
        self.release = threading.Event()

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        number = int(image[0, 0, 0])
        self.seen.append(number)
        self.release.wait(self._seconds)
        quad = box_quad(0, 0, 8, 8)
        with watch("infer"):
            return Findings((TextLine(self._text(number), 0.99, quad, (0.99,)),))


@dataclass
class Collected:
    """An output that remembers."""

    name: str = "collected"
    pictures: bool = True
    verdicts: list[Verdict] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    closed: bool = False

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def camera(self, camera: str, state: State, reason: str) -> None:
        self.states.append(state)

    def close(self) -> None:
        self.closed = True

    @property
    def codes(self) -> Counter[str]:
        return Counter(r.code for v in self.verdicts for r in v.reasons)
