"""Parts and verdicts to test with what takes them."""

import tempfile
import time
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np

from edge.camera.base import Frame
from edge.deadline import Deadline
from edge.judge import Judgement, Reason
from edge.setting import Setting
from edge.station import Station, example_station, load_station
from edge.verdict import Outcome, Part, Verdict

RUN = "20261122T080000-ab12"

OK = Outcome(Judgement(True))
WRONG_LOT = Outcome(
    Judgement(False, (Reason("lot", "mismatch", {"read": "L26I1A", "expected": "L2611A"}),))
)


@cache
def lab_station() -> Station:
    """The example station; its models are never opened."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "station.toml"
        path.write_text(example_station())
        return load_station(path)


def lab_part(camera: str = "top", *, seconds: float = 10.0, picture: bool = True) -> Part:
    """A part that came just now, with a grey picture, and ``seconds`` until its deadline."""
    now = time.monotonic()
    frame = Frame(np.full((96, 128, 3), 128, np.uint8), now, 0) if picture else None
    setting = Setting(RUN, lab_station(), {})
    clock = datetime.now(timezone.utc)
    return Part(setting, camera, now, clock, Deadline(now + seconds), now, frame)


def lab_verdict(number: int, outcome: Outcome = OK, camera: str = "top") -> Verdict:
    """The verdict of such a part."""
    return Verdict(number, lab_part(camera), outcome, 0.123, 0.001)
