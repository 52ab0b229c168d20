"""Heat, and what is slowed down because of it or of a weak power supply.

Sources: https://docs.kernel.org/driver-api/thermal/sysfs-api.html; the bits of ``get_throttled``:
https://www.raspberrypi.com/documentation/computers/os.html#get_throttled; ``rpi_volt``:
``drivers/hwmon/raspberrypi-hwmon.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.box.finding import Case, Finding, bad, fine, warn
from edge.box.root import Root

__all__ = ["check_heat"]

NEAR = 5.0
"""Degrees below throttling at which somebody should see to the fan: a summer's day."""

_VOLTS, _CAPPED, _THROTTLED, _HOT = 0, 1, 2, 3
_SINCE = 16
"""From this bit on, the same since the board was started."""

_COOLER = "give it a fan or heat sink, and air around the case"
_SUPPLY = "take the board's own supply and a short thick cable; unplug what it feeds over USB"


def check_heat(case: Case) -> Iterator[Finding]:
    """Read the sensors, and what the firmware and the kernel have done because of them."""
    zones = [zone for zone in case.profile.zones if zone.celsius is not None]
    for zone in zones:
        found = f"{zone.name} {zone.celsius:.0f} °C"
        if zone.celsius is not None and zone.celsius >= zone.hot:
            yield bad("temperature", f"{found}: slowed down from {zone.hot:.0f} °C", _COOLER)
        elif zone.celsius is not None and zone.celsius >= zone.hot - NEAR:
            yield warn("temperature", f"{found}, is slowed down at {zone.hot:.0f} °C", _COOLER)
    told = [f"{zone.name} {zone.celsius:.0f} °C" for zone in zones]
    yield fine("temperature", ", ".join(told[:4]) or "no sensor that the kernel knows of")
    yield from _firmware(case.root)
    yield from _kernel(case.root)


def _firmware(root: Root) -> Iterator[Finding]:
    """What a Raspberry Pi says: the supply and throttling, now and since its start."""
    alarms = [
        root.number(f"{folder}/in0_lcrit_alarm")
        for folder in root.names("sys/class/hwmon/hwmon*")
        if root.line(f"{folder}/name") == "rpi_volt"
    ]
    files = root.names("sys/devices/platform/soc*/*firmware*/get_throttled")
    text = root.line(files[0]) if files else ""
    bits = int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]{1,8}", text) else 0
    if bits >> _VOLTS & 1:
        yield bad("power", "its voltage is too low now", _SUPPLY)
    elif bits >> _VOLTS + _SINCE & 1 or any(alarms):
        yield warn("power", "its voltage was too low since the board was started", _SUPPLY)
    if bits >> _THROTTLED & 1 or bits >> _CAPPED & 1:
        yield bad("temperature", "the firmware slows the processor down now", _COOLER)
    elif bits >> _HOT & 1:
        yield warn("temperature", "is at the firmware's soft limit", _COOLER)
    elif bits >> _THROTTLED + _SINCE & 1 or bits >> _CAPPED + _SINCE & 1:
        found = "the firmware has slowed the processor down since the board was started"
        yield warn("temperature", found, f"{_COOLER}; or is it the supply")


def _kernel(root: Root) -> Iterator[Finding]:
    """Whether the kernel holds the clocks down to cool the board."""
    for folder in root.names("sys/class/thermal/cooling_device*"):
        kind = root.line(f"{folder}/type")
        state = root.number(f"{folder}/cur_state")
        if "cpufreq" in kind and state and state > 0:
            yield bad("temperature", f"the kernel slows the processor down now ({kind})", _COOLER)
    counts = (
        root.number(name) or 0
        for name in root.names("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")
    )
    if times := max(counts, default=0):
        found = f"the processor has slowed itself down {times} times since the board was started"
        yield warn("temperature", found, _COOLER)
