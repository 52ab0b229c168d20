"""Changing what is made, from several pages at once: whoever did not see the last change is told.

A change says which version it was made from (RFC 9110, 13.1.1, ``If-Match``); it is refused if the
job is another by then.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from edge.judge import Job
from edge.setting import Setting

__all__ = ["Control", "JobDesk", "OutdatedError"]

PRODUCTS = 12
"""Products that pages offer to choose from: those that were made last."""


class Control(Protocol):
    """What the display asks of the running line."""

    @property
    def setting(self) -> Setting:
        """What the next part is judged by."""

    @property
    def waiting(self) -> Mapping[str, int]:
        """Output -> verdicts that it still has to tell."""

    @property
    def stuck(self) -> list[str]:
        """Threads that have ended or stand still."""

    def change_job(self, job: Job) -> None:
        """From the next part on, make something else."""

    def trigger(self, camera: str) -> datetime | None:
        """A part is before a camera now: its time; ``None`` if it is turned away."""

    def summary(self) -> dict[str, Any]:
        """Counts since the start, and what each camera lost."""


class OutdatedError(Exception):
    """The job was changed by somebody else in the meantime."""


@dataclass(frozen=True)
class _Change:
    by: str
    at: datetime


class JobDesk:
    """The one place where pages change the job; safe from several threads."""

    def __init__(self, line: Control, clock: Callable[[], datetime]) -> None:
        self._line, self._clock = line, clock
        self._lock = threading.Lock()
        self._job = line.setting.station.job
        self._version = 1
        self._change: _Change | None = None
        self._products: deque[str] = deque([self._job.product], PRODUCTS)

    def read(self) -> dict[str, Any]:
        """``product``, ``lot``, ``version``, and ``by`` and ``at`` of the last change here."""
        with self._lock:
            return self._read()

    def change(self, job: Job, by: str, version: int) -> dict[str, Any]:
        """Make something else from the next part on.

        Raises
        ------
        OutdatedError
            ``version`` is not that of the job that is made now; nothing has changed.
        """
        with self._lock:
            self._follow()
            if version != self._version:
                raise OutdatedError
            self._line.change_job(job)
            self._note(job)
            self._change = _Change(by, self._clock())
            return self._read()

    def _read(self) -> dict[str, Any]:
        self._follow()
        change = self._change
        return {
            "product": self._job.product,
            "lot": self._job.lot,
            "version": self._version,
            "by": change.by if change else None,
            "at": change.at.isoformat(timespec="seconds") if change else None,
            "products": [product for product in self._products if product],
        }

    def _follow(self) -> None:
        """See what was changed elsewhere than here."""
        job = self._line.setting.station.job
        if job != self._job:
            self._note(job)
            self._change = None

    def _note(self, job: Job) -> None:
        self._job, self._version = job, self._version + 1
        if job.product in self._products:
            self._products.remove(job.product)
        self._products.appendleft(job.product)
