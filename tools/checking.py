"""What keeps watch over a station that runs: challenges with golden parts, and drift."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from edge.challenge.desk import ChallengeDesk
from edge.challenge.result import Challenged
from edge.display.state import DisplayState
from edge.io.base import Output
from edge.loop.drift import DriftWatch
from edge.records.output import RecordsOutput
from edge.station import Station

__all__ = ["station_challenge", "station_drift"]

_log = logging.getLogger(__name__)


def station_drift(
    station: Station,
    path: Path,
    displays: Sequence[DisplayState] = (),
    outputs: Sequence[Output] = (),
) -> list[DriftWatch]:
    """What watches for slow changes, if the station file asks for it.

    Parameters
    ----------
    station, path
        The station, and its file, beside which is kept what was learnt.
    displays, outputs
        Where a change is shown; the records among them keep it.
    """
    if station.drift is None:
        return []
    records, known = _records(outputs), set[str]()

    def tell(name: str, en: str | None, zh: str | None) -> None:
        for display in displays:
            display.alarms.tell("drift", name, en, zh)
        if (en is not None) is (name in known):
            return  # newer figures of the same change
        known.symmetric_difference_update({name})
        _log.log(logging.INFO if en is None else logging.WARNING, "%s: %s", name, en or "is back")
        for each in records:
            each.warned(datetime.now(timezone.utc), name, en, zh)

    return [DriftWatch(station.drift, path.with_suffix(".drift.json"), tell)]


def station_challenge(
    station: Station,
    path: Path,
    displays: Sequence[DisplayState] = (),
    outputs: Sequence[Output] = (),
    drifts: Sequence[DriftWatch] = (),
) -> list[ChallengeDesk]:
    """What keeps a station locked until its challenge is passed, if its file asks for one.

    Parameters
    ----------
    station, path, displays, outputs
        As above.
    drifts
        Learn anew when one was passed.
    """
    if station.challenge is None:
        return []
    records = _records(outputs)

    def record(told: Challenged) -> None:
        for each in records:
            each.challenged(told)

    def on_passed() -> None:
        for drift in drifts:
            drift.renew()

    desk = ChallengeDesk(
        station.challenge,
        station.display.shifts if station.display else (),
        path.with_suffix(".challenge.json"),
        record=record,
        on_passed=on_passed,
    )
    for display in displays:
        display.challenge = desk
    return [desk]


def _records(outputs: Sequence[Output]) -> list[RecordsOutput]:
    return [output for output in outputs if isinstance(output, RecordsOutput)]
