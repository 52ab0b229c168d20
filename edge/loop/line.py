"""A whole station at work: its cameras, its models, its outputs."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from edge.camera.capture import State
from edge.challenge.lock import Locked
from edge.deadline import Deadline
from edge.families import Inspector, open_inspector
from edge.io.base import Follower, Output
from edge.judge import Job
from edge.loop.lane import Lane
from edge.loop.outlet import Outlet
from edge.loop.sources import Sources
from edge.loop.states import States
from edge.loop.tally import Tally
from edge.setting import Lock, Setting
from edge.station import Station
from edge.verdict import Verdict
from models.errors import ConfigError, ModelError

__all__ = ["Line", "open_models"]

LANES_S, OTHERS_S, STOP_S = 0.4, 0.6, 0.75
"""Seconds that stopping the cameras, the outputs but for the records, and everything, may take:
people expect one at most. What is left between them is for outputs to tell the last verdicts, even
when a camera hangs, and for the records to keep what came of that."""

FINISH_S = 30.0
"""Seconds that outputs get when nobody is in a hurry: a run that came to its own end."""

STUCK_S = 15.0
"""Seconds that a thread may stand still: a model that is loaded anew or a disk that stalls does
not hold up a lane for half of it."""

POLL_S, FINISH_POLL_S = 0.05, 0.005
"""How often the end of a run, and of its outputs, is looked for; no part waits for it."""


def open_models(station: Station) -> dict[str, Inspector]:
    """Open every model of a station.

    Raises
    ------
    ConfigError
        One or more models are missing, altered or refused; all of them at once.
    """
    opened: dict[str, Inspector] = {}
    faults: list[str] = []
    for name, model in station.models.items():
        try:
            opened[name] = open_inspector(name, model, station.min_score_of(name))
        except ModelError as error:
            faults.append(f"models.{name}: {error}")
    if faults:
        raise ConfigError(faults)
    return opened


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Line:
    """A station at work.

    Parameters
    ----------
    station
        What to do.
    inspectors
        Its open models by name, from :func:`open_models`.
    outputs
        Where verdicts go; closed at the end.
    limit
        Parts after which the line takes no more; ``None`` for ever.
    clock
        The wall clock, with time zone; the judge's "today" comes from it.
    keep
        Called with each new job before it counts.
    patient
        Whether the line runs without a camera that cannot be opened at the start, which then is
        lost, and tried again and again.
    """

    def __init__(
        self,
        station: Station,
        inspectors: Mapping[str, Inspector],
        outputs: Sequence[Output],
        *,
        limit: int | None = None,
        clock: Callable[[], datetime] = _now,
        keep: Callable[[Job], None] = lambda job: None,
        patient: bool = False,
    ) -> None:
        self._keep, self._patient = keep, patient
        self.tally = Tally()
        self._admitted, self._limit = 0, limit
        self._lock = threading.Lock()
        self._stopped = self._started = False
        self._wake = threading.Event()
        self._outlets = [Outlet(output, self._wake.set) for output in outputs]
        followers = [each.triggered for each in outputs if isinstance(each, Follower)]
        states = States(self._on_state)
        run = f"{clock().astimezone(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        # Until whoever keeps the challenge says otherwise.
        lock = Locked() if station.challenge else None
        self._setting = replace(Setting.of(run, station, inspectors), lock=lock)
        self._lanes = {
            camera.name: Lane(
                lambda: self._setting,
                camera,
                clock,
                self._admit,
                self._publish,
                states.camera,
                followers,
            )
            for camera in station.cameras
        }
        self._sources = Sources(
            station.cameras, lambda name, at: self._lanes[name].fire(at), states.trigger
        )

    @property
    def setting(self) -> Setting:
        """What the next part is judged by."""
        return self._setting

    def change_job(self, job: Job) -> None:
        """From the next part on, make something else.

        Raises
        ------
        StorageError
            It cannot be kept over a restart, and is not changed.
        """
        with self._lock:
            self._keep(job)
            self._setting = self._setting.with_job(job)

    def change_models(self, station: Station, inspectors: Mapping[str, Inspector]) -> Setting:
        """From the next part on, judge by other models, regions and rules; the job stays.

        Gives the setting until then, which :meth:`restore` brings back.

        Raises
        ------
        ConfigError
            The station has other cameras: those change with a new start.
        """
        with self._lock:
            old = self._setting
            if station.cameras != old.station.cameras or station.station != old.station.station:
                raise ConfigError(
                    [f"{station.station.name}: [station] or [[cameras]] changed: start it anew"]
                )
            job = old.station.job
            new = Setting.of(old.run, station.with_job(job), inspectors)
            self._setting = replace(new, lock=old.lock)
            return old

    def restore(self, setting: Setting) -> None:
        """From the next part on, judge as by ``setting`` again; the job stays."""
        with self._lock:
            now = self._setting
            self._setting = replace(setting.with_job(now.station.job), lock=now.lock)

    def hold(self, lock: Lock | None) -> None:
        """From the next part on, let ``lock`` have the last word, or with ``None`` nobody."""
        with self._lock:
            self._setting = replace(self._setting, lock=lock)

    def trigger(self, camera: str) -> datetime | None:
        """A part is before a camera now whose trigger is a program: its time in the records.

        ``None`` if it is turned away: the line does not run, or takes no more parts.
        """
        return self._lanes[camera].fire(time.monotonic()) if self._started else None

    @property
    def started(self) -> bool:
        """Whether every camera has been opened: what comes is inspected from then on."""
        return self._started

    @property
    def stuck(self) -> list[str]:
        """Threads of the cameras that have ended or stand still, each in one line."""
        if not self._started or self._stopped:
            return []
        return [words for lane in self._lanes.values() if (words := lane.stuck(STUCK_S))]

    @property
    def waiting(self) -> dict[str, int]:
        """Output -> verdicts that it still has to tell."""
        waiting: Counter[str] = Counter()
        for outlet in self._outlets:  # two may talk to one machine, each of its own camera
            waiting[outlet.name] += outlet.waiting
        return waiting

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a verdict at this moment."""
        return all(lane.idle for lane in self._lanes.values())

    def run(self) -> None:
        """Work until every camera has ended, the limit is reached, or :meth:`stop` is called.

        Raises
        ------
        CameraError
            A camera cannot be opened at the start, and the line is not patient.
        DeviceError
            An output failed; every verdict that it confirmed is whole.
        """
        try:
            for lane in self._lanes.values():
                lane.start(patient=self._patient)
            self._started = True
            self._sources.start()
            while not self._stopped and not self._finished():
                if self._wake.wait(POLL_S):
                    break
        finally:
            self._end()
        for outlet in self._outlets:
            if outlet.error is not None:
                raise outlet.error

    def _end(self) -> None:
        lanes = Deadline.after(LANES_S)
        others, everything = Deadline.after(OTHERS_S), Deadline.after(STOP_S)
        patience = Deadline.after(FINISH_S)
        for lane in self._lanes.values():
            lane.end()
        self._sources.stop(lanes)
        for lane in self._lanes.values():
            lane.join(lanes)
        told = [outlet for outlet in self._outlets if not outlet.keeps]
        kept = [outlet for outlet in self._outlets if outlet.keeps]
        for outlets, hurry in ((told, others), (kept, everything)):
            for outlet in outlets:
                outlet.end()
            while not all(outlet.done for outlet in outlets):
                if patience.expired or (self._stopped and hurry.expired):
                    break
                time.sleep(FINISH_POLL_S)
        for outlet in self._outlets:
            outlet.give_up()

    def stop(self) -> None:
        """Ask :meth:`run` to end; safe in a signal handler, which may not touch a lock."""
        self._stopped = True

    def summary(self) -> dict[str, Any]:
        """The tally, and what each camera lost."""
        cameras = {name: lane.counters for name, lane in self._lanes.items()}
        return self.tally.summary() | {"cameras": cameras}

    def _finished(self) -> bool:
        if self._limit is not None and self.tally.parts + self.tally.golden >= self._limit:
            return True
        return all(lane.finished for lane in self._lanes.values())

    def _admit(self) -> bool:
        with self._lock:
            if self._limit is not None and self._admitted >= self._limit:
                return False
            self._admitted += 1
            return True

    def _publish(self, verdict: Verdict) -> None:
        if verdict.part.setting.lock is not None:
            verdict = verdict.part.setting.lock.judge(verdict)
        self.tally.add(verdict)
        for outlet in self._outlets:
            outlet.verdict(verdict)

    def _on_state(self, camera: str, state: State, reason: str) -> None:
        for outlet in self._outlets:
            outlet.camera(camera, state, reason)
