"""The station file: whether it is sound, and whether what it names is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge.box.checks.line import allowed, is_console
from edge.box.finding import Case, Finding, bad, fine, warn
from models.errors import ConfigError, LineguardError

if TYPE_CHECKING:
    from edge.station.schema import Station

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
    wanted = list(_devices(station))
    missing = [stands for name, device in wanted if (stands := allowed(case, name, device, bad))]
    yield from missing
    for name, device in wanted:
        if is_console(case, device):
            mend = "take console= of it out of the kernel's command line, or take another port"
            yield bad(name, f"{device} is the kernel's console", mend)
    cores = {core.number for core in case.profile.cores}
    for name, model in station.models.items():
        if cores and (absent := sorted(set(model.cores) - cores)):
            found = f"model {name} is to stay on core {absent[0]}, which this board has not"
            yield bad("station", found, f"this board has {case.profile.layout}; change its cores")
        elif case.profile.inference and not model.cores:
            good = ", ".join(map(str, case.profile.inference))
            mend = f"write `cores = [{good}]` and `threads = {case.profile.threads}` into its table"
            yield warn("station", f"model {name} runs on any core, also on those of cameras", mend)
    if not missing:
        names = ", ".join(camera.name for camera in station.cameras)
        yield fine("station", f'"{station.station.name}" is sound; cameras: {names}')


def _devices(station: Station) -> Iterator[tuple[str, str]]:
    """Whose device it is, and its path: of cameras, triggers and outputs."""
    asking: list[tuple[str, object]] = []
    for camera in station.cameras:
        device = camera.source.removeprefix("v4l2:").partition("?")[0]
        if device.startswith("/dev/"):
            yield f"camera {camera.name}", device
        asking.append((f"trigger of {camera.name}", camera.trigger))
    asking += [(f"output {output.kind}", output) for output in station.outputs]
    for name, table in asking:
        for key in ("port", "chip", "address"):
            place = getattr(table, key, None)
            if isinstance(place, str) and place.startswith("/dev/"):
                yield name, place
