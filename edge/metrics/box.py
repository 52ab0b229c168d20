"""How the box fares: temperature and clock of its processor, as the kernel tells them.

https://docs.kernel.org/driver-api/thermal/sysfs-api.html and
https://docs.kernel.org/admin-guide/pm/cpufreq.html; a box that has neither tells neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["SYS", "frequencies", "temperatures"]

SYS = Path("/sys")


def temperatures(sys: Path = SYS) -> Iterator[tuple[str, float]]:
    """Name and degrees Celsius of each thermal zone, e.g. ``thermal_zone0 cpu-thermal``."""
    for zone in sorted(sys.glob("class/thermal/thermal_zone*")):
        kind, milli = _line(zone / "type"), _number(zone / "temp")
        if milli is not None:
            yield f"{zone.name} {kind}".strip(), milli / 1000


def frequencies(sys: Path = SYS) -> Iterator[tuple[str, float]]:
    """Name and hertz of each core, e.g. ``cpu0``."""
    for core in sorted(sys.glob("devices/system/cpu/cpu[0-9]*")):
        khz = _number(core / "cpufreq/scaling_cur_freq")
        if khz is not None:
            yield core.name, khz * 1000


def _number(path: Path) -> int | None:
    try:
        return int(_line(path))
    except ValueError:
        return None


def _line(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:  # a sensor that has no reading at this moment
        return ""
