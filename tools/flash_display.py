"""How flashes go, on a terminal: a line for each box that is being flashed, and one for its end."""

from __future__ import annotations

import threading

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from typing_extensions import Self

from firmware_bridge.fleet import Outcome
from firmware_bridge.sender import Step

__all__ = ["FlashDisplay", "ending"]

MAX_NOTE = 60
"""Characters of a reason that a line has room for."""

WORDS = {
    "connect": "connecting",
    "offer": "asking what it has",
    "plan": "packing",
    "send": "sending",
    "check": "checking",
    "stage": "storing",
    "trial": "in its trial",
    "done": "done",
    "failed": "failed",
}


def ending(outcome: Outcome) -> str:
    """How a box has ended, in a line."""
    if not outcome.good:
        return outcome.reason
    name = outcome.name or outcome.box
    if outcome.result == "held":
        return f"box {name} has it and waits for an idle line; it runs {outcome.after}"
    already = " already" if outcome.result == "already" else ""
    p99 = "" if outcome.p99_ms is None else f", p99 {outcome.p99_ms:.1f} ms"
    return f"box {name} runs {outcome.after}{already}{p99}"


class FlashDisplay:
    """Progress of several boxes, told from any thread; nothing where nobody watches.

    Parameters
    ----------
    boxes
        How many there are in all.
    """

    def __init__(self, boxes: int) -> None:
        console = Console(stderr=True)
        self._boxes, self._ended = boxes, 0
        self._lines: dict[str, TaskID] = {}
        self._mutex = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=False,  # it may lead elsewhere
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, box: str, step: Step) -> None:
        """Show how far a box is."""
        note = f" again: {step.note[:MAX_NOTE]}" if step.note else ""
        words = f"{box}  {WORDS[step.phase]}{note}"
        with self._mutex:
            if box not in self._lines:
                self._lines[box] = self._progress.add_task(words, total=None)
            line = self._lines[box]
        self._progress.update(
            line, description=words, completed=step.done, total=step.total or None
        )

    def end(self, outcome: Outcome) -> None:
        """Show how a box has ended."""
        self._ended += 1
        if outcome.box in self._lines:
            self._progress.remove_task(self._lines.pop(outcome.box))
        if self._boxes > 1 and self._progress.console.is_terminal:
            self._progress.console.print(
                f"{self._ended}/{self._boxes}  {outcome.box}: {outcome.result}: {ending(outcome)}",
                markup=False,
                highlight=False,
            )
