"""What is looked at on a box, in the order in which it is shown. A new check is one line here."""

from __future__ import annotations

from dataclasses import dataclass

from edge.box.checks.bundle import check_bundle
from edge.box.checks.camera import check_cameras
from edge.box.checks.clock import check_clock
from edge.box.checks.disk import check_disks
from edge.box.checks.engine import check_engines
from edge.box.checks.heat import check_heat
from edge.box.checks.line import check_gpio, check_serial
from edge.box.checks.memory import check_memory
from edge.box.checks.processor import check_processor
from edge.box.checks.service import check_services
from edge.box.checks.station import check_station
from edge.box.finding import Check

__all__ = ["CHECKS", "Timed"]


@dataclass(frozen=True)
class Timed:
    """A check, what it is called, and after how many seconds it hangs."""

    name: str
    check: Check
    seconds: float = 10.0


CHECKS = (
    Timed("processor", check_processor),
    Timed("memory", check_memory),
    Timed("disk", check_disks),
    Timed("temperature", check_heat),
    Timed("clock", check_clock),
    Timed("camera", check_cameras, 20.0),
    Timed("serial port", check_serial),
    Timed("GPIO", check_gpio),
    Timed("engine", check_engines, 90.0),  # a library of 20 MB, from the slowest card
    Timed("bundle", check_bundle, 90.0),  # every file of it is read and hashed
    Timed("station", check_station, 60.0),
    Timed("service", check_services, 20.0),
)
