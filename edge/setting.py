"""What parts are judged by: station, job and open models, as they stood when a part came.

It changes between two parts and never within one: a part brings its setting along, so that what
waited while the job or the models changed is judged as it was triggered.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.families import Inspector
from edge.judge import Job
from edge.station import BundleName, Region, Rule, Station
from models.results import Findings
from models.stopwatch import Stopwatch

if TYPE_CHECKING:
    from edge.verdict import Verdict

__all__ = ["Lock", "Setting", "SharedModel"]


class Lock(Protocol):
    """Holds back the parts of a station that may not pass any."""

    def judge(self, verdict: Verdict) -> Verdict:
        """What becomes of a part that came while it was locked; asked once for each, in order."""


@dataclass(frozen=True)
class SharedModel:
    """An open model and the lock that lets one camera at a time use it."""

    inspector: Inspector
    lock: threading.Lock
    cores: tuple[int, ...] = ()

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        """Wait for the model, which counts as ``wait``, and look."""
        with watch("wait"):
            self.lock.acquire()
        try:
            return self.inspector.inspect(image, region, watch)
        finally:
            self.lock.release()


@dataclass(frozen=True, eq=False)
class Setting:
    """What a part is judged by.

    Attributes
    ----------
    run
        Names this run of the station; part ids begin with it.
    station
        With the job of the moment.
    models
        The station's open models by name.
    lock
        What has the last word on the part; ``None`` leaves it to the rules.
    """

    run: str
    station: Station
    models: Mapping[str, SharedModel]
    lock: Lock | None = None

    @classmethod
    def of(cls, run: str, station: Station, inspectors: Mapping[str, Inspector]) -> Setting:
        """A setting of freshly opened models."""
        models = {
            name: SharedModel(inspector, threading.Lock(), tuple(station.models[name].cores))
            for name, inspector in inspectors.items()
        }
        return cls(run, station, models)

    @property
    def bundle(self) -> BundleName | None:
        """Where models come from, if it is a bundle."""
        return self.station.active.name if self.station.active else None

    def with_job(self, job: Job) -> Setting:
        """The same, making something else."""
        return replace(self, station=self.station.with_job(job))

    def regions(self, camera: str) -> list[tuple[Region, SharedModel]]:
        """What is looked at in the pictures of a camera, and with which model."""
        return [(region, self.models[region.model]) for region in self.station.regions_of(camera)]

    def rules(self, camera: str) -> tuple[Rule, ...]:
        """What the pictures of a camera are judged by."""
        return self.station.rules_of(camera)
