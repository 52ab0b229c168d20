"""A whole station at work: its cameras, its models, its outputs."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from edge.camera.capture import State
from edge.deadline import Deadline
from edge.families import Inspector, open_inspector
from edge.io.base import Output
from edge.judge import Job
from edge.loop.lane import Lane
from edge.loop.outlet import Outlet
from edge.loop.tally import Tally
from edge.setting import Setting
from edge.station import Station
from edge.verdict import Verdict
from models.errors import ConfigError, ModelError

__all__ = ["Line", "open_models"]

LANES_S, STOP_S = 0.4, 0.65
"""Seconds that stopping the cameras, and everything, may take: people expect one at most. What is
left between them is for outputs to write the last verdicts, even when a camera hangs."""

FINISH_S = 30.0
"""Seconds that outputs get when nobody is in a hurry: a run that came to its own end."""

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
    ) -> None:
        self._keep = keep
        self.tally = Tally()
        self._admitted, self._limit = 0, limit
        self._lock = threading.Lock()
        self._stopped = False
        self._wake = threading.Event()
        self._outlets = [Outlet(output, self._wake.set) for output in outputs]
        run = f"{clock().astimezone(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        self._setting = Setting.of(run, station, inspectors)
        self._lanes = {
            camera.name: Lane(
                lambda: self._setting, camera, clock, self._admit, self._publish, self._on_state
            )
            for camera in station.cameras
        }

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
            self._setting = Setting.of(old.run, station.with_job(job), inspectors)
            return old

    def restore(self, setting: Setting) -> None:
        """From the next part on, judge as by ``setting`` again; the job stays."""
        with self._lock:
            self._setting = setting.with_job(self._setting.station.job)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a verdict at this moment."""
        return all(lane.idle for lane in self._lanes.values())

    def run(self) -> None:
        """Work until every camera has ended, the limit is reached, or :meth:`stop` is called.

        Raises
        ------
        CameraError
            A camera cannot be opened at the start.
        DeviceError
            An output failed; every verdict that it confirmed is whole.
        """
        try:
            for lane in self._lanes.values():
                lane.start()
            while not self._stopped and not self._finished():
                if self._wake.wait(POLL_S):
                    break
        finally:
            self._end()
        for outlet in self._outlets:
            if outlet.error is not None:
                raise outlet.error

    def _end(self) -> None:
        lanes, hurry = Deadline.after(LANES_S), Deadline.after(STOP_S)
        patience = Deadline.after(FINISH_S)
        for lane in self._lanes.values():
            lane.end()
        for lane in self._lanes.values():
            lane.join(lanes)
        for outlet in self._outlets:
            outlet.end()
        while not all(outlet.done for outlet in self._outlets):
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
        if self._limit is not None and self.tally.parts >= self._limit:
            return True
        return all(lane.finished for lane in self._lanes.values())

    def _admit(self) -> bool:
        with self._lock:
            if self._limit is not None and self._admitted >= self._limit:
                return False
            self._admitted += 1
            return True

    def _publish(self, verdict: Verdict) -> None:
        self.tally.add(verdict)
        for outlet in self._outlets:
            outlet.verdict(verdict)

    def _on_state(self, camera: str, state: State, reason: str) -> None:
        for outlet in self._outlets:
            outlet.camera(camera, state, reason)
