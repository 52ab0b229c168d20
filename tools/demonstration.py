"""The demonstration: a station on the simulated line, its verdicts compared with the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

from edge.camera.capture import State
from edge.io.base import Output
from edge.loop import Line, open_models
from edge.station import Station, load_station
from edge.verdict import Verdict
from tools.line import TODAY, PartTruth
from tools.running import register_line, stopped_by_signals

__all__ = ["GOAL", "Agreement", "demo_clock", "demo_station", "run_demo"]

GOAL = 0.99
"""Share of verdicts that must equal the truth for the demonstration to count as passed."""


class Agreement:
    """Counts how verdicts compare with the truth; an output of the loop.

    Attributes
    ----------
    parts, agreed, escapes, false_rejects
        Judged; equal to the truth; NG parts that passed; OK parts that were rejected.
    """

    name = "agreement"
    pictures = False

    def __init__(self) -> None:
        self.parts = self.agreed = self.escapes = self.false_rejects = 0
        self.wrong: list[str] = []

    def verdict(self, verdict: Verdict) -> None:
        """Compare one."""
        if any(reason.code == "stopped" for reason in verdict.reasons):
            return  # Ctrl-C came before it was judged
        truth = verdict.part.truth
        assert isinstance(truth, PartTruth)  # noqa: S101 - the simulated line's frames carry one
        self.parts += 1
        self.agreed += verdict.ok == truth.ok
        self.escapes += verdict.ok and not truth.ok
        self.false_rejects += truth.ok and not verdict.ok
        if verdict.ok != truth.ok:
            said = "; ".join(reason.text() for reason in verdict.reasons) or "OK"
            true = truth.fault or "OK"
            self.wrong.append(f"{verdict.part.camera} #{verdict.number}: is {true}, judged {said}")

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Not counted."""

    def close(self) -> None:
        """Nothing to finish."""

    @property
    def share(self) -> float:
        """Verdicts equal to the truth, 0 to 1."""
        return self.agreed / self.parts if self.parts else 0.0


def demo_station(parts: int, seed: int, rate: float) -> Station:
    """The demonstration's station: ``parts`` shared out to its cameras, each at ``rate`` a second.

    Every camera needs at least one part, so ``parts`` is at least the number of cameras.
    """
    register_line()
    station = load_station(Path(__file__).with_name("demo.toml"))
    count = len(station.cameras)
    cameras = tuple(
        camera.model_copy(
            update={
                "source": f"{camera.source}&rate={rate}&seed={seed}"
                f"&phase={index / count:.2f}&parts={parts // count + (index < parts % count)}"
            }
        )
        for index, camera in enumerate(station.cameras)
    )
    return station.model_copy(update={"cameras": cameras})


def demo_clock() -> Callable[[], datetime]:
    """The line's own clock: noon of its date at the start, whatever the machine's says."""
    noon, start = datetime.combine(TODAY, time_of_day(12)).astimezone(), time.monotonic()
    return lambda: noon + timedelta(seconds=time.monotonic() - start)


def run_demo(
    station: Station,
    outputs: Sequence[Output],
    clock: Callable[[], datetime],
    around: Callable[[Line], AbstractContextManager[object]] = nullcontext,
) -> tuple[dict[str, Any], Agreement]:
    """Run it to its end, or until it is stopped by a signal; ``around`` it, whatever shows it.

    Returns
    -------
    The summary, and what it was counted from.
    """
    agreement = Agreement()
    line = Line(station, open_models(station), [*outputs, agreement], clock=clock)
    with around(line), stopped_by_signals(line):
        line.run()
    counted = line.summary()
    summary = {
        "parts": counted["parts"],
        "agreement": round(agreement.share, 4),
        "escapes": agreement.escapes,
        "false_rejects": agreement.false_rejects,
        "late": counted["late"],
        "ok": counted["ok"],
        "ng": counted["ng"],
        "latency_ms": counted["latency_ms"],
        "disagreements": agreement.wrong,
    }
    return summary, agreement
