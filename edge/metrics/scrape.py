"""What is looked up when somebody asks: states, queues, sizes; nothing of it is kept."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.metrics.box import frequencies, temperatures
from edge.setting import Setting

__all__ = ["CONTENT_TYPE", "FaultCount", "Kept", "Line", "Sources", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The classic text format, which every Prometheus reads."""


@dataclass(frozen=True)
class FaultCount:
    """A fault: whether it lasts, and how often it came since the start."""

    kind: str
    name: str
    active: bool
    count: int


@dataclass(frozen=True)
class Kept:
    """What the records hold: rows, bytes of pictures, and the most they may take."""

    rows: int
    evidence_bytes: int
    max_bytes: int


class Line(Protocol):
    """What is asked of the running line."""

    @property
    def setting(self) -> Setting:
        """What the next part is judged by."""

    @property
    def waiting(self) -> Mapping[str, int]:
        """Output -> verdicts that it still has to tell."""

    def summary(self) -> dict[str, Any]:
        """Counts since the start, and what each camera lost."""


@dataclass(frozen=True)
class Sources:
    """Whom to ask.

    Attributes
    ----------
    line
        The running line.
    cameras
        Name -> its state.
    faults
        All there were.
    job_changes
        How often the job has changed since the start.
    viewers
        Open pages.
    kept
        Of the records; ``None`` without any.
    """

    line: Line
    cameras: Callable[[], Mapping[str, str]]
    faults: Callable[[], Sequence[FaultCount]]
    job_changes: Callable[[], int]
    viewers: Callable[[], int]
    kept: Callable[[], Kept | None]


class _Station(Collector):
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        yield from self._about()
        yield from self._cameras()
        yield from self._outputs()
        yield from self._box()

    def _about(self) -> Iterator[Metric]:
        setting, ask = self._sources.line.setting, self._sources
        build = {"version": metadata.version("lineguard"), "python": platform.python_version()}
        yield InfoMetricFamily("lineguard_build", "What runs.", build)
        name = {"station": setting.station.station.name}
        yield InfoMetricFamily("lineguard_station", "Which station.", name)
        bundle = InfoMetricFamily("lineguard_bundle", "Where models come from; none: files.")
        if (known := setting.bundle) is not None:
            said = {"name": known.name, "version": known.version, "manifest": known.manifest}
            bundle.add_metric([], said)
        yield bundle
        yield CounterMetricFamily(
            "lineguard_job_changes", "Changes of product or lot.", ask.job_changes()
        )
        yield GaugeMetricFamily("lineguard_display_viewers", "Open pages.", ask.viewers())

        threads = GaugeMetricFamily(
            "lineguard_model_threads",
            "Of an inference; cores is where they stay, empty for anywhere.",
            labels=["model", "cores"],
        )
        for model, table in setting.station.models.items():
            threads.add_metric([model, ",".join(map(str, table.cores))], table.threads)
        yield threads

    def _cameras(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("lineguard_camera_up", "1: pictures come.", labels=["camera"])
        for camera, state in self._sources.cameras().items():
            up.add_metric([camera], state == "running")
        yield up
        events = CounterMetricFamily(
            "lineguard_camera_events",
            "Frames, bad_frames, dropped, stalls, reconnects and the like.",
            labels=["camera", "event"],
        )
        for camera, counts in self._sources.line.summary()["cameras"].items():
            for event, count in counts.items():
                events.add_metric([camera, event], count)
        yield events

    def _outputs(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "lineguard_output_waiting", "Verdicts that wait for an output.", labels=["output"]
        )
        for output, count in self._sources.line.waiting.items():
            waiting.add_metric([output], count)
        yield waiting
        active = GaugeMetricFamily(
            "lineguard_fault_active", "1: the fault lasts.", labels=["kind", "name"]
        )
        came = CounterMetricFamily(
            "lineguard_faults", "How often it came.", labels=["kind", "name"]
        )
        for fault in self._sources.faults():
            active.add_metric([fault.kind, fault.name], fault.active)
            came.add_metric([fault.kind, fault.name], fault.count)
        yield active
        yield came
        kept = self._sources.kept()
        if kept is not None:
            yield GaugeMetricFamily("lineguard_records_rows", "Recorded parts.", kept.rows)
            used = "lineguard_records_evidence_bytes"
            yield GaugeMetricFamily(used, "Of all pictures.", kept.evidence_bytes)
            limit = "lineguard_records_evidence_limit_bytes"
            yield GaugeMetricFamily(limit, "What they may take.", kept.max_bytes)

    def _box(self) -> Iterator[Metric]:
        degrees = GaugeMetricFamily(
            "lineguard_temperature_celsius", "Of the box, where it tells.", labels=["zone"]
        )
        for zone, value in temperatures():
            degrees.add_metric([zone], value)
        yield degrees
        clock = GaugeMetricFamily(
            "lineguard_cpu_frequency_hertz", "Of each core, where it tells.", labels=["core"]
        )
        for core, value in frequencies():
            clock.add_metric([core], value)
        yield clock


def metrics_text(counted: CollectorRegistry, sources: Sources) -> bytes:
    """Everything, in the text format of Prometheus.

    Parameters
    ----------
    counted
        What was counted as it happened.
    sources
        Whom to ask for the rest.
    """
    asked = CollectorRegistry()
    ProcessCollector(registry=asked)
    asked.register(_Station(sources))
    return generate_latest(counted) + generate_latest(asked)
