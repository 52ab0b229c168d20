"""Another bundle looks at the same parts, and nobody obeys it.

An output of the line, so that it sees a part when its verdict has been given. The candidate works
in a process of its own that gets what the line leaves: whatever its engine does, no verdict, signal
or deadline waits for it. Parts that come while it is busy are not shown to it, nor any while the
line itself is short of time.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edge.camera.capture import State
from edge.loop.compare import inspection_ms, plain_outcome
from edge.loop.comparisons import Comparisons, Pair
from edge.loop.shadow_process import CandidateProcess, SwitchedOff
from edge.records.row import settings_of
from edge.station import ShadowTable, Station
from edge.verdict import Verdict
from models.errors import LineguardError

__all__ = ["Shadow"]

_log = logging.getLogger(__name__)

WAITING = 2
"""Parts that wait for the candidate, each with its picture: one would leave it idle meanwhile."""

OPEN_S = 1800.0
"""To open its models, each tried in a child of its own first, on a box that is hardly ever idle."""

IN_TIME = 0.5
"""Share of the deadline; while verdicts take more, the candidate is shown nothing."""

FAILED = 3
"""Parts in a row that the candidate could not judge, after which it is switched off."""

Phase = Literal["waiting", "opening", "comparing", "off", "done"]


class Shadow:
    """Shows parts to the candidate; an output of the loop.

    When other models take over on the line it begins anew, beside those.

    Parameters
    ----------
    open_station
        Loads the station with the candidate's models: :func:`edge.station.candidate_station`.
    store
        Where the comparisons go.
    table
        What the station file says.
    """

    name = "shadow"
    pictures = True

    def __init__(
        self, open_station: Callable[[], Station], store: Path, table: ShadowTable
    ) -> None:
        self._open, self._store, self._table = open_station, store, table
        self._queue: queue.Queue[Verdict | None] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._stopped = False
        self._child: CandidateProcess | None = None
        self._models: object = None
        self._pair: Pair | None = None
        self._phase: Phase = "waiting"
        self._why: SwitchedOff | None = None
        self._summary: dict[str, Any] | None = None
        self._seen = self._told = self._failed = 0
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        # No low priority: it only waits, and what little it does holds Python's lock.
        self._thread.start()

    def verdict(self, verdict: Verdict) -> None:
        """Show a part to the candidate, if it is free; never waits and never fails."""
        if verdict.part.frame is None or not verdict.outcome.findings or verdict.golden:
            return  # nobody has looked at it, or it is none of the production
        self._seen += 1
        short = verdict.latency * 1000 > IN_TIME * verdict.part.setting.station.station.deadline_ms
        if short or self._seen % self._table.share:
            return
        with self._lock:
            idle = self._phase in {"off", "done"} and _models(verdict) is self._models
        if not idle:
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(verdict)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Nothing of its."""

    def close(self) -> None:
        """End the candidate, whatever it is at."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()
        with contextlib.suppress(queue.Full):  # else it is not waiting for anything
            self._queue.put_nowait(None)
        self._thread.join(0.2)

    def summary(self) -> dict[str, Any]:
        """How it goes: ``phase``, ``en`` and ``zh`` (why it is off), ``candidate``, and the counts.

        The counts are those of :func:`edge.loop.comparisons.summary_of`; none before the first
        part.
        """
        with self._lock:
            why, pair = self._why, self._pair
            said: dict[str, Any] = {
                "phase": self._phase,
                "en": why.text(0) if why else None,
                "zh": why.text(1) if why else None,
                "candidate": pair.candidate if pair else None,
                "active": pair.active if pair else None,
                "counts": None,
            }
            if self._summary is not None:
                seen = self._summary["seen"] + self._seen - self._told
                said["counts"] = self._summary | {"seen": seen}
        return said

    def _run(self) -> None:
        while not self._stopped:
            verdict = self._queue.get()
            if verdict is None or self._stopped:
                break
            try:
                if _models(verdict) is not self._models:
                    self._begin(verdict)
                if self._child is not None:
                    self._show(verdict)
            except SwitchedOff as why:
                self._end("off", why)
            except Exception as error:  # the line goes on, whatever it is
                _log.exception("the shadow failed")
                self._end("off", SwitchedOff("failed", repr(error)))
        self._end(self._phase, self._why)

    def _begin(self, verdict: Verdict) -> None:
        """Open the candidate beside the models that have just judged."""
        self._end("opening")
        setting = verdict.part.setting
        with self._lock:
            self._models = setting.models
            self._pair = self._summary = None
            self._told, self._failed = self._seen - self._table.share, 0
        try:
            station = self._open()
        except LineguardError as error:
            raise SwitchedOff("refused", "; ".join(str(error).splitlines())) from error
        assert station.active is not None  # noqa: S101 - it is what a candidate has
        candidate = station.active.name
        if setting.bundle is not None and setting.bundle.manifest == candidate.manifest:
            raise SwitchedOff("active", candidate)
        own = {core for model in setting.models.values() for core in model.cores}
        with self._lock:
            if self._stopped:
                return
            child = self._child = CandidateProcess(own)
        said = child.ask({"station": station, "store": str(self._store)}, None, OPEN_S)
        names = str(setting.bundle or "models of the station file"), str(candidate)
        active = settings_of(setting)
        with self._lock:
            self._pair = Pair(active.station, names[0], active.digest, names[1], said["digest"])
            self._phase = "comparing"
        _log.info("shadow: %s looks on beside %s", names[1], names[0])

    def _show(self, verdict: Verdict) -> None:
        part = verdict.part
        assert self._child is not None  # noqa: S101 - asked just now
        assert part.frame is not None  # noqa: S101 - others are not queued
        image = np.ascontiguousarray(part.frame.image)
        job, seen = part.setting.station.job, self._seen
        question = {
            "pair": self._pair,
            "part": verdict.id,
            "time": part.time.isoformat(timespec="milliseconds"),
            "camera": part.camera,
            "shape": image.shape,
            "job": {"product": job.product, "lot": job.lot},
            "today": part.time.astimezone().date().isoformat(),
            "active": plain_outcome(verdict.outcome),
            "active_ms": inspection_ms(verdict.outcome),
            "seen": seen - self._told,
        }
        said = self._child.ask(question, image.data.cast("B"))
        with self._lock:
            self._summary, self._told = said["summary"], seen
        self._failed = self._failed + 1 if said["failed"] else 0
        if self._failed >= FAILED:
            raise SwitchedOff("failed", said["failed"])
        if self._summary is not None and self._summary["compared"] >= self._table.max_parts:
            _log.info("shadow: %s parts compared: it has ended", self._summary["compared"])
            self._end("done")

    def _end(self, phase: Phase, why: SwitchedOff | None = None) -> None:
        with self._lock:
            child, self._child = self._child, None
            self._phase, self._why = phase, why
        if child is not None:
            child.kill()
            child.bury()
            self._count_rest()
        if why is not None and not self._stopped:
            _log.error("shadow: switched off: %s", why.text(0))

    def _count_rest(self) -> None:
        """Write down how many parts the candidate has not been shown since its last one."""
        rest = self._seen - self._told
        if self._summary is None or self._pair is None or rest <= 0:
            return
        try:
            store = Comparisons(self._store)
            try:
                store.saw(self._pair, rest)
            finally:
                store.close()
        except LineguardError as error:
            _log.warning("shadow: %s", error)
        with self._lock:
            self._summary = self._summary | {"seen": self._summary["seen"] + rest}
            self._told += rest


def _models(verdict: Verdict) -> object:
    """What stays the same until other models take over, whatever happens to the job."""
    return verdict.part.setting.models
