"""A whole station under the bench: trigger to outputs, cameras that stall or end."""

import json
import queue
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from verdict_lab import lab_verdict

from edge.camera import register
from edge.camera.base import EndOfStream, Frame
from edge.io.base import Signalled
from models.errors import CameraError
from tools.measure.line import Signals, run_line

STATION = """
[station]
name = "measured"
deadline_ms = 20000
[job]
lot = "L2611A"
[models.print]
family = "ppocr"
rec = "zoo:ppocrv4-rec-onnx"
dictionary = "zoo:ppocr-keys"
[[cameras]]
name = "top"
source = "stalling:0"
stall_s = 0.5
[[regions]]
name = "label"
camera = "top"
model = "print"
mode = "fixed"
[[rules]]
name = "lot"
kind = "code"
region = "label"
pattern = '^LOT ?(?P<lot>\\w+)$'
[[outputs]]
kind = "jsonl"
path = "verdicts.jsonl"
"""


class Stalling:
    """Shows ``frames`` pictures, and then nothing, or its end."""

    name, fps = "stalling:0", 0.0

    def __init__(self, frames: int, ends: bool) -> None:
        self._frames, self._ends = frames, ends
        self._number = 0
        self._closed = threading.Event()

    def open(self) -> None:
        """Nothing to open."""

    def read(self) -> Frame:
        if self._number == self._frames:
            if self._ends:
                raise EndOfStream("all shown")
            self._closed.wait(60)
            raise CameraError("stalling:0: closed")
        time.sleep(0.01)
        self._number += 1
        return Frame(np.full((48, 160, 3), 255, np.uint8), time.monotonic(), self._number)

    def close(self) -> None:
        self._closed.set()


def run(folder: Path, camera: Stalling, seconds: float) -> tuple[list[Mapping[str, Any]], str]:
    """What the station told, and the error that it ended with."""
    register("stalling", lambda source: camera)
    path = folder / "station.toml"
    path.write_text(STATION)
    commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    commands.put({"seconds": seconds, "queries": 3, "samples": 1})
    told: list[Mapping[str, Any]] = []
    try:
        run_line({"kind": "line", "station": str(path)}, commands, told.append)
    except CameraError as error:
        return told, str(error)
    return told, ""


def queries(told: list[Mapping[str, Any]]) -> list[tuple[int, int, dict[str, int]]]:
    return [query for message in told for query in message.get("queries", ())]


def test_a_camera_that_ends_leaves_every_part(tmp_path: Path) -> None:
    told, error = run(tmp_path, Stalling(6, ends=True), 3600)
    assert error == ""
    parts = queries(told)
    assert len(parts) == 6
    assert told[0]["ready"]["name"] == "measured"
    for _, took, stages in parts:
        assert {"capture", "wait", "pre", "infer", "post", "judge", "publish"} == set(stages)
        assert sum(stages.values()) <= took * 1.01
    assert told[-1]["line"]["parts"] == 6
    lines = (tmp_path / "verdicts.jsonl").read_text().splitlines()
    assert len(lines) == 6
    written = [json.loads(line)["latency_ms"] for line in lines]
    measured = [took / 1e6 for _, took, _ in parts]
    # the verdict stood before it came to the outputs
    assert all(m >= w - 0.1 for m, w in zip(measured, written, strict=True))


def test_a_camera_that_stalls_ends_the_bench_with_what_is_known(tmp_path: Path) -> None:
    told, error = run(tmp_path, Stalling(5, ends=False), 3600)
    assert error.startswith("camera top was lost (")
    assert 1 <= len(queries(told)) <= 5


def test_it_ends_when_it_has_run_for_as_long_as_asked(tmp_path: Path) -> None:
    told, error = run(tmp_path, Stalling(10**6, ends=True), 0.1)
    assert error == ""
    assert len(queries(told)) >= 3


def test_signals_are_timed_from_the_trigger_whichever_comes_first() -> None:
    signals = Signals()
    one, two, three = (lab_verdict(n) for n in (1, 2, 3))
    signals.told(Signalled(one.id, "plc", "OK", time.time()))  # quicker than we are
    assert signals.take() == ([], [])
    for each in (one, two, three):
        signals.verdict(each)
    signals.told(Signalled(two.id, "plc", "OK", time.time()))
    signals.told(Signalled(three.id, "plc", "OK", time.time(), error="no answer"))
    parts, told = signals.take()
    assert len(parts) == 3
    assert sorted(told, key=str)[0][0] == "plc"
    assert [took is None for _, took in told] == [False, False, True]
    assert all(took is None or took > 0 for _, took in told)
    assert signals.take() == ([], [])
