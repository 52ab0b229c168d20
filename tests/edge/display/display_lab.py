"""A display that is really served, over a line that does what the test says."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
from numpy.typing import NDArray
from verdict_lab import OK, RUN, WRONG_LOT, lab_station, lab_verdict

from edge.display.server import Serving, serve_demo
from edge.display.state import DisplayState
from edge.judge import Job
from edge.setting import Setting
from edge.station import Region
from edge.verdict import Outcome
from models.ppocr.geometry import box_quad
from models.results import Findings, TextLine
from models.stopwatch import Stopwatch

FOUND = {
    "label": Findings(
        (
            TextLine("LOT:L26I1A", 0.98, box_quad(10, 10, 90, 24)),
            TextLine("EXP:2027-05-02", 0.97, box_quad(10, 30, 100, 44)),
        )
    )
}
READ_WRONG = Outcome(WRONG_LOT.judgement, FOUND)


class ReadingModel:
    """Reads one line in every picture; may be told to wait."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.seen = 0

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        self.seen += 1
        self.go_on.wait(20)
        return Findings((TextLine("LOT:L2611A", 0.99, box_quad(0, 0, 8, 8), (0.99,)),))


class LabLine:
    """What the display asks of a line."""

    def __init__(self) -> None:
        self.model = ReadingModel()
        self.setting = Setting.of(RUN, lab_station(), {"print": self.model})
        self.waiting: dict[str, int] = {"plc": 3}
        self.stuck: list[str] = []
        self.running = True

    def change_job(self, job: Job) -> None:
        self.setting = self.setting.with_job(job)

    def trigger(self, camera: str) -> datetime | None:
        return datetime.now(timezone.utc) if self.running else None

    def summary(self) -> dict[str, Any]:
        return {"cameras": {"top": {"frames": 3, "dropped": 0}}}


@dataclass
class Lab:
    """A served display."""

    state: DisplayState
    line: LabLine
    serving: Serving
    http: httpx.Client

    @property
    def token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.serving.token}"}

    def show(self, number: int, outcome: Outcome = OK) -> str:
        """A part passes; gives its id."""
        verdict = lab_verdict(number, outcome)
        self.state.verdict(verdict)
        return str(verdict.id)

    def job(self, lot: str, version: int, **more: Any) -> httpx.Response:
        change = {"product": "Tea", "lot": lot, "by": "Wang Li", **more}
        headers = {**self.token, "If-Match": f'"{version}"'}
        return self.http.put("api/v1/job", json=change, headers=headers)


@contextmanager
def served(language: str = "en") -> Iterator[Lab]:
    """A display of the example station on a free port."""
    line = LabLine()
    state = DisplayState(lab_station())
    state.camera("top", "running", "")
    with (
        serve_demo(state, line, language) as serving,
        httpx.Client(base_url=serving.address, timeout=20, trust_env=False) as http,
    ):
        yield Lab(state, line, serving, http)


def png(width: int = 128, height: int = 96) -> bytes:
    """Noise as PNG."""
    image = np.frombuffer(os.urandom(height * width * 3), np.uint8).reshape(height, width, 3)
    done, encoded = cv2.imencode(".png", image)
    assert done
    return encoded.tobytes()


def picture_file(path: Path, text: str) -> None:
    """One line of black print on white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((96, 480, 3), 255, np.uint8)
    cv2.putText(image, text, (30, 65), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 3, cv2.LINE_AA)
    assert cv2.imwrite(str(path), image)
