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
_COOLER_ZH = "请加装风扇或散热片，并保证机箱周围通风"
_SUPPLY_ZH = "请使用开发板原配电源和短粗线缆，并拔掉由 USB 取电的设备"


def check_heat(case: Case) -> Iterator[Finding]:
    """Read the sensors, and what the firmware and the kernel have done because of them."""
    zones = [zone for zone in case.profile.zones if zone.celsius is not None]
    for zone in zones:
        found = f"{zone.name} {zone.celsius:.0f} °C"
        if zone.celsius is not None and zone.celsius >= zone.hot:
            zh = f"{found}，{zone.hot:.0f} °C 起降频：{_COOLER_ZH}"
            yield bad("temperature", f"{found}: slowed down from {zone.hot:.0f} °C", _COOLER, zh)
        elif zone.celsius is not None and zone.celsius >= zone.hot - NEAR:
            zh = f"{found}，达到 {zone.hot:.0f} °C 将降频：{_COOLER_ZH}"
            yield warn("temperature", f"{found}, is slowed down at {zone.hot:.0f} °C", _COOLER, zh)
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
        yield bad("power", "its voltage is too low now", _SUPPLY, f"供电电压过低：{_SUPPLY_ZH}")
    elif bits >> _VOLTS + _SINCE & 1 or any(alarms):
        zh = f"启动后供电电压曾过低：{_SUPPLY_ZH}"
        yield warn("power", "its voltage was too low since the board was started", _SUPPLY, zh)
    if bits >> _THROTTLED & 1 or bits >> _CAPPED & 1:
        zh = f"固件正在使处理器降频：{_COOLER_ZH}"
        yield bad("temperature", "the firmware slows the processor down now", _COOLER, zh)
    elif bits >> _HOT & 1:
        zh = f"已达到固件的软温度上限：{_COOLER_ZH}"
        yield warn("temperature", "is at the firmware's soft limit", _COOLER, zh)
    elif bits >> _THROTTLED + _SINCE & 1 or bits >> _CAPPED + _SINCE & 1:
        found = "the firmware has slowed the processor down since the board was started"
        zh = f"启动后固件曾使处理器降频：{_COOLER_ZH}，或检查电源"
        yield warn("temperature", found, f"{_COOLER}; or is it the supply", zh)


def _kernel(root: Root) -> Iterator[Finding]:
    """Whether the kernel holds the clocks down to cool the board."""
    for folder in root.names("sys/class/thermal/cooling_device*"):
        kind = root.line(f"{folder}/type")
        state = root.number(f"{folder}/cur_state")
        if "cpufreq" in kind and state and state > 0:
            found = f"the kernel slows the processor down now ({kind})"
            zh = f"内核正在使处理器降频（{kind}）：{_COOLER_ZH}"
            yield bad("temperature", found, _COOLER, zh)
    counts = (
        root.number(name) or 0
        for name in root.names("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count")
    )
    if times := max(counts, default=0):
        found = f"the processor has slowed itself down {times} times since the board was started"
        zh = f"启动后处理器已自行降频 {times} 次：{_COOLER_ZH}"
        yield warn("temperature", found, _COOLER, zh)
