"""The result of a bench: one JSON document, which every report is made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import InputError
from tools.measure.digits import places
from tools.measure.stats import Interval

__all__ = ["SCHEMA", "Document", "Figure", "Moment", "Samples", "Scenario", "load_document"]

SCHEMA = 1
"""Changes when a field changes its meaning or goes; new ones may come at any time."""

MAX_BYTES = 200 * 2**20
"""A day of queries of 10 ms; larger files are something else."""

ScenarioName = Literal["SingleStream", "MultiStream", "Offline", "Line"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Figure(_Part):
    """One figure, rounded to the digits that it carries.

    Attributes
    ----------
    value, low, high
        It, and between what it lies with 99% confidence; all the same where it was seen once.
    unit
        ``ms``, ``/s``, ``MB``, ``%``, or nothing for a ratio.
    places
        Digits behind the point that are shown; below 0, zeros before it.
    early
        LoadGen's early-stopping estimate, which the percentile is not above.
    """

    value: float
    low: float
    high: float
    unit: str = ""
    places: int = 0
    early: float | None = None

    @classmethod
    def of(cls, interval: Interval, unit: str = "", early: float | None = None) -> Figure:
        """To the digits that the interval lets stand."""
        digits = places(interval.half, interval.value)
        return cls(
            value=float(round(interval.value, digits)),
            low=_outwards(interval.low, digits, down=True),  # an interval must hold what it held
            high=_outwards(interval.high, digits, down=False),
            unit=unit,
            places=digits,
            early=None if early is None else _outwards(early, digits, down=False),
        )

    @classmethod
    def once(cls, value: float, unit: str, half: float = 0.0) -> Figure:
        """Seen once: two digits, unless ``half`` says how much it may be trusted."""
        digits = places(half or abs(value) / 20, value)
        seen = float(round(value, digits))
        return cls(value=seen, low=seen, high=seen, unit=unit, places=digits)

    def text(self) -> str:
        """``38.2 ms (37.9 to 38.6)``."""
        said = f"{self.shown(self.value)}{self.unit and ' ' + self.unit}"
        if self.low == self.high:
            return said
        return f"{said} ({self.shown(self.low)} to {self.shown(self.high)})"

    def shown(self, value: float) -> str:
        """A value of the same kind, to as many digits."""
        return f"{value:,.{max(self.places, 0)}f}"


def _outwards(value: float, digits: int, *, down: bool) -> float:
    near = float(round(value, digits))
    step = 10.0**-digits
    if down and near > value:
        near -= step
    elif not down and near < value:
        near += step
    return float(round(near, digits))


class Scenario(_Part):
    """How load was put on, in the words of MLPerf Inference.

    Attributes
    ----------
    name
        SingleStream: one query after the other. MultiStream: each query has several samples.
        Offline: as many as can be. Line: parts at the rate of a station's cameras.
    samples
        Of a query.
    seconds, queries
        Both are reached, at least.
    """

    name: ScenarioName
    samples: int = 1
    seconds: float
    queries: int


class Samples(_Part):
    """What was measured, in the order of time.

    Attributes
    ----------
    start_us
        Since the first query began.
    took_ns
        Of each query.
    steady
        Number of the first query that counts.
    """

    start_us: tuple[int, ...] = ()
    took_ns: tuple[int, ...] = ()
    steady: int = 0

    def steady_ms(self) -> NDArray[np.float64]:
        """Latencies that count, ``(N,) float64`` ms."""
        return np.array(self.took_ns[self.steady :], np.float64) / 1e6


class Moment(_Part):
    """The machine in one second of the run; ``None`` where it does not tell."""

    at_s: float
    others: float
    mhz: float | None = None
    celsius: float | None = None
    rss_mb: float | None = None


class Document(_Part):
    """All that is known of a bench.

    Attributes
    ----------
    kind
        ``run``: one subject. ``comparison``: B beside A.
    complete, fault
        Whether it came to its end, and why not.
    what, machine
        Facts of what was measured, and of the machine; for people.
    figures
        By name: ``p50`` and so on, ``throughput``, ``stage.infer``, ``memory.peak``, ``ratio.p50``.
    missing
        Figures that are not given, and why.
    notes
        What a reader must know before he believes the figures.
    answer
        Of a comparison: what B is.
    """

    schema_version: Literal[1] = 1
    kind: Literal["run", "comparison"]
    lineguard: str
    started: str
    scenario: Scenario
    complete: bool
    fault: str = ""
    what: dict[str, Any]
    machine: dict[str, Any]
    figures: dict[str, Figure]
    missing: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    answer: str = ""
    line: dict[str, Any] = {}
    samples: Samples = Samples()
    rounds: dict[Literal["a", "b"], tuple[tuple[int, ...], ...]] = {}
    series: tuple[Moment, ...] = ()

    def as_json(self) -> bytes:
        """The file."""
        return self.model_dump_json(exclude_defaults=False).encode() + b"\n"

    @property
    def title(self) -> str:
        """What was measured, in a few words."""
        if self.kind == "comparison":
            return f"{self.what['b']['name']} against {self.what['a']['name']}"
        return f"{self.scenario.name} of {self.what['name']}"


def load_document(path: Path) -> Document:
    """Read a result.

    Raises
    ------
    InputError
        It cannot be read, or is no result of this version.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path}: is larger than {MAX_BYTES >> 20} MB: this is no bench result"
            )
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON: give what `lineguard bench` wrote") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA:
        raise InputError(
            f"{path}: is no bench result of schema {SCHEMA} (it says {version!r}): measure again"
        )
    try:
        return Document.model_validate(raw)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in fault["loc"])
        raise InputError(f"{path}: {place}: {fault['msg']}: measure again") from error
