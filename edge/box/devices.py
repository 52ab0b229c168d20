"""What is connected to a board: thermal zones, GPIO chips, serial ports, and who uses a device.

Sources: https://docs.kernel.org/driver-api/thermal/sysfs-api.html,
Documentation/ABI/testing/sysfs-gpio and gpio-cdev, Documentation/ABI/testing/sysfs-tty; the labels
of header chips are those of the pin controllers in ``drivers/pinctrl`` (bcm2835, rp1).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from edge.box.root import Root

__all__ = ["Chip", "Zone", "gpio_chips", "holders", "is_held", "serial_ports", "zones"]

HEADERS = ("pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1")
"""Chips whose lines are on the pin header; their number depends on the kernel."""

WARM = 85.0
"""Degrees at which most of these processors slow down, where the kernel does not say."""

MAX_CELSIUS = 250.0
"""Sensors without a reading say things like -273 or 1e6."""

PORTS = re.compile(r"tty(AMA|S|USB|ACM|mxc|FIQ|PS|SC|THS|HS|LP|O)[0-9]+")
"""Serial ports by the names of their drivers; the rest are consoles and pseudo-terminals."""


@dataclass(frozen=True)
class Zone:
    """A thermal zone; degrees Celsius.

    Attributes
    ----------
    celsius
        Now; ``None`` without a reading.
    hot, critical
        From where on the board is slowed down, and shut down.
    """

    name: str
    celsius: float | None
    hot: float
    critical: float | None


@dataclass(frozen=True)
class Chip:
    """A GPIO chip; ``header`` if its lines are on the pin header of a known board."""

    device: str
    label: str
    header: bool


def zones(root: Root) -> tuple[Zone, ...]:
    """All thermal zones of the kernel."""
    found = []
    for folder in root.names("sys/class/thermal/thermal_zone*"):
        trips: dict[str, float] = {}
        for name in root.names(f"{folder}/trip_point_*_type"):
            degrees = root.number(name.removesuffix("_type") + "_temp")
            if degrees is not None and 0 < degrees / 1000 < MAX_CELSIUS:
                kind = root.line(name)
                trips[kind] = min(degrees / 1000, trips.get(kind, MAX_CELSIUS))
        milli = root.number(f"{folder}/temp")
        celsius = None if milli is None or abs(milli / 1000) > MAX_CELSIUS else milli / 1000
        name = root.line(f"{folder}/type") or folder.rpartition("/")[2]
        hot = trips.get("passive", trips.get("hot", WARM))
        found.append(Zone(name, celsius, hot, trips.get("critical")))
    return tuple(found)


def gpio_chips(root: Root) -> tuple[Chip, ...]:
    """The GPIO chips, that of the pin header first."""
    found = []
    for name in root.names("sys/bus/gpio/devices/gpiochip*"):
        chip = name.rpartition("/")[2]
        # The old interface of /sys still knows the label that the new device only tells by ioctl.
        labels = root.names(f"{name}/../gpio/gpiochip*/label")
        label = root.line(labels[0]) if labels else ""
        parent = root.link(name).rstrip("/").split("/")[-2:-1]
        label = label or "".join(parent) or "unnamed"
        found.append(Chip(f"/dev/{chip}", label, label in HEADERS))
    return tuple(sorted(found, key=lambda chip: not chip.header))


def serial_ports(root: Root) -> tuple[str, ...]:
    """Serial ports that exist, by their device."""
    found = []
    for name in root.names("sys/class/tty/tty*"):
        port = name.rpartition("/")[2]
        # The 8250 driver makes four to 32 ports whether they exist or not; theirs are of type 0.
        absent = root.number(f"{name}/type") == 0
        if PORTS.fullmatch(port) and root.exists(f"{name}/device") and not absent:
            found.append(f"/dev/{port}")
    return tuple(found)


def holders(root: Root, device: str) -> tuple[str, ...]:
    """Which other processes have a device open, as ``name (pid)``: those that this user may see."""
    found, node = {}, root.real(device)
    for name in root.names("proc/[0-9]*/fd/*"):
        process = name.split("/")[1]
        if process != str(os.getpid()) and process not in found and root.link(name) == node:
            found[process] = f"{root.line(f'proc/{process}/comm') or 'a process'} ({process})"
    return tuple(found.values())


def is_held(root: Root, device: str) -> bool:
    """Whether this very process has a device open."""
    node = root.real(device)
    return any(root.link(name) == node for name in root.names("proc/self/fd/*"))
