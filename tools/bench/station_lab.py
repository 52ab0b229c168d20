"""Stations for the benches: simulated cameras, a stand-in for the model, real outputs."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.camera.capture import State
from edge.families import Inspector
from edge.io.base import Output
from edge.io.wiring import open_outputs
from edge.loop import Line
from edge.station import Region, Station, load_station
from edge.verdict import Verdict
from models.ppocr.geometry import box_quad
from models.results import Findings, TextLine
from models.stopwatch import Stopwatch
from tools.running import register_line

__all__ = ["Kept", "StandIn", "running", "station_of"]

CAMERA = """
[[cameras]]
name = "c{number}"
source = "line:?kind=marker&rate={rate}&phase={phase}&seed={number}{parts}"
queue = 64
[[regions]]
name = "print{number}"
camera = "c{number}"
model = "print"
mode = "fixed"
[[rules]]
name = "text{number}"
kind = "text"
region = "print{number}"
equals = "GOOD"
"""

HEAD = """
[station]
name = "bench"
deadline_ms = 1000
[models.print]
family = "ppocr"
rec = "stand-in.onnx"
dictionary = "stand-in.txt"
"""


class StandIn:
    """In a model's place: takes its time without the processor's, and finds fault with some.

    Parameters
    ----------
    seconds
        For a part.
    ng_every
        One part in so many is NG.
    """

    def __init__(self, seconds: float, ng_every: int = 20) -> None:
        self._seconds, self._ng_every = seconds, ng_every
        self._seen = 0

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        """A line of text."""
        self._seen += 1
        text = "BAD" if self._seen % self._ng_every == 0 else "GOOD"
        with watch("infer"):
            time.sleep(self._seconds)
        height, width = image.shape[:2]
        return Findings((TextLine(text, 0.99, box_quad(0, 0, width, height), (0.99,)),))


class Kept:
    """An output that remembers of each part what a bench needs: no picture, no findings."""

    name = "kept"
    pictures = False

    def __init__(self) -> None:
        # Arrays: what a bench of memory keeps itself must not show in its own figure.
        self.numbers = array("q")
        self.captured = array("d")
        """Triggers, ``time.monotonic()``, seconds."""
        self.latency = array("d")
        """From the trigger to the verdict, seconds."""
        self.infer = array("d")
        """Of which inference, seconds."""
        self.rejected_by_machine = 0

    def __len__(self) -> int:
        return len(self.infer)

    def verdict(self, verdict: Verdict) -> None:
        """Remember it."""
        self.numbers.append(verdict.number)
        self.captured.append(verdict.part.captured)
        self.latency.append(verdict.latency)
        self.infer.append(verdict.outcome.stages.get("infer", 0.0))
        self.rejected_by_machine += any(not reason.rule for reason in verdict.reasons)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Of no interest."""

    def close(self) -> None:
        """Nothing to close."""


def station_of(
    folder: Path, cameras: int, rate: float, *, parts: int = 0, more: str = ""
) -> Station:
    """A station of simulated cameras whose parts pass one camera after the other.

    Parameters
    ----------
    rate
        Parts a second of each camera.
    parts
        Of each camera; 0 goes on for ever.
    more
        Further tables: outputs, records, display.
    """
    register_line()
    limit = f"&parts={parts}" if parts else ""
    lanes = [
        CAMERA.format(number=n + 1, rate=rate, phase=n / cameras, parts=limit)
        for n in range(cameras)
    ]
    path = folder / "station.toml"
    path.write_text(HEAD + "".join(lanes) + more, "utf-8")
    return load_station(path)


@contextmanager
def running(
    station: Station, models: Mapping[str, Inspector], outputs: Sequence[Output]
) -> Iterator[Line]:
    """The station at work, with what it says itself and further outputs; its faults raise here."""
    faults: list[str] = []

    def show(name: str, fault: str | None) -> None:
        if fault is not None:
            faults.append(f"{name}: {fault}")

    line = Line(station, models, [*open_outputs(station, show), *outputs])
    thread = threading.Thread(target=line.run)
    thread.start()
    try:
        yield line
    finally:
        line.stop()
        thread.join()
    if faults:
        raise RuntimeError("; ".join(faults))
