"""The station file: whether it is sound, and whether what it names is there."""

from __future__ import annotations

from collections.abc import Iterator

from edge.box.checks.device import by_name, check_devices
from edge.box.finding import Case, Finding, bad, fine
from models.errors import ConfigError, LineguardError

__all__ = ["check_station"]

SHOWN = 5
"""Faults that are shown; `lineguard station check` shows all."""


def check_station(case: Case) -> Iterator[Finding]:
    """Check it as `lineguard station check` does, then look for its devices."""
    if case.station is None:
        yield fine("station", "none asked for: give --station, its station.toml")
        return
    from edge.station import load_station

    try:
        station = load_station(case.station)
    except ConfigError as error:
        for fault in error.faults[:SHOWN]:
            yield bad("station", fault, f"edit it; `lineguard station check {case.station}`")
        if len(error.faults) > SHOWN:
            yield bad("station", f"and {len(error.faults) - SHOWN} faults more", "see above")
        return
    except LineguardError as error:
        yield bad("station", str(error), f"`lineguard station check {case.station}`")
        return
    faults = list(check_devices(case, station, by_name))
    yield from faults
    cores = {core.number for core in case.profile.cores}
    for name, model in station.models.items():
        if cores and (absent := sorted(set(model.cores) - cores)):
            found = f"model {name} is to stay on core {absent[0]}, which this board has not"
            yield bad("station", found, f"this board has {case.profile.layout}; change its cores")
    if not faults:
        names = ", ".join(camera.name for camera in station.cameras)
        yield fine("station", f'"{station.station.name}" is sound; cameras: {names}')
