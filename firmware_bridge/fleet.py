"""One bundle onto many boxes: a few first, then the others, and no further if it goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal

from firmware_bridge.sender import Flashed, Step
from models.errors import LineguardError

__all__ = ["Flash", "Fleet", "Outcome", "Plan", "Result"]

Result = Literal["flashed", "already", "held", "failed", "skipped"]

Flash = Callable[[str, Callable[[Step], None]], Flashed]
"""Flashes the box of that name, and tells each step."""


@dataclass(frozen=True)
class Plan:
    """How to go about it.

    Attributes
    ----------
    parallel
        Boxes at once, at most.
    canary
        How many of the first must all succeed before any other is begun.
    max_failures
        When more have failed, no other is begun.
    """

    parallel: int = 8
    canary: int = 0
    max_failures: int = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one box; fields as in a report.

    Attributes
    ----------
    box
        Its name here.
    name
        Its own name.
    before, after
        What it inspected with; these three are empty if it has not said.
    seconds
        How long it took.
    bytes
        Of files, handed to the line.
    p99_ms
        In the trial, if there was one.
    reason
        Why it failed, or was left out.
    """

    box: str
    result: Result
    name: str = ""
    before: str = ""
    after: str = ""
    seconds: float = 0.0
    bytes: int = 0
    p99_ms: float | None = None
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether the box runs the bundle, or will as soon as its line is idle."""
        return self.result in {"flashed", "already", "held"}


class Fleet:
    """Flashes boxes, several at once.

    Parameters
    ----------
    boxes
        Their names, in the order in which they are begun.
    flash
        Called in another thread for each; an error of ours is that box's failure.
    plan
        How to go about it.
    tell
        Told each step of each box, from its thread.
    """

    def __init__(
        self,
        boxes: Sequence[str],
        flash: Flash,
        plan: Plan,
        tell: Callable[[str, Step], None] = lambda box, step: None,
    ) -> None:
        self._boxes, self._flash, self._plan, self._tell = boxes, flash, plan, tell
        self._failed = 0
        self._stop = ""
        self._mutex = threading.Lock()

    def run(self) -> Iterator[Outcome]:
        """Give each outcome as soon as it is known, those of canaries before all others.

        Whoever stops taking them leaves the boxes that were begun to themselves.
        """
        canaries = self._boxes[: self._plan.canary]
        yield from self._run(canaries)
        if self._failed:
            self._stop = "a canary failed: mend it first"
        yield from self._run(self._boxes[len(canaries) :])

    def _run(self, boxes: Sequence[str]) -> Iterator[Outcome]:
        pool = ThreadPoolExecutor(self._plan.parallel, "flash")
        done = False
        try:
            for future in as_completed([pool.submit(self._one, box) for box in boxes]):
                yield future.result()
            done = True
        finally:
            pool.shutdown(wait=done, cancel_futures=True)

    def _one(self, box: str) -> Outcome:
        if self._stop:
            return Outcome(box, "skipped", reason=self._stop)
        before, last = "", Step("connect")

        def tell(step: Step) -> None:
            nonlocal before, last
            before, last = before or step.runs, step
            self._tell(box, step)

        begin = time.monotonic()
        try:
            flashed = self._flash(box, tell)
        except LineguardError as error:
            self._count_failure()
            seconds = time.monotonic() - begin
            known = (last.box, before, last.runs, seconds, last.sent)
            return Outcome(box, "failed", *known, reason=str(error))
        result: Result = "already" if flashed.already else "held" if flashed.held else "flashed"
        seconds = time.monotonic() - begin
        known = (flashed.box, flashed.before, flashed.runs, seconds, flashed.sent)
        return Outcome(box, result, *known, flashed.p99_ms)

    def _count_failure(self) -> None:
        with self._mutex:
            self._failed += 1
            if self._failed > self._plan.max_failures:
                self._stop = f"{self._failed} boxes failed: find out why first"
