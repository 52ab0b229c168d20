"""What a running station says of its box: the checks of the doctor that are cheap, now and then.

Only files of ``/proc`` and ``/sys`` are read, and a device is opened only while the station itself
has lost it. It runs in a thread of its own, at the lowest priority, on cores that no model has.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Literal

from typing_extensions import Self

from edge.box.checks import Timed
from edge.box.checks.bundle import check_fit
from edge.box.checks.clock import check_clock
from edge.box.checks.device import by_process, check_devices
from edge.box.checks.disk import check_disks
from edge.box.checks.heat import check_heat
from edge.box.checks.memory import check_memory
from edge.box.checks.processor import check_processor
from edge.box.devices import zones
from edge.box.doctor import Examiner
from edge.box.finding import Case, Finding
from edge.station import Station

__all__ = ["EVERY_S", "BoxWatch", "Tell", "station_checks"]

_log = logging.getLogger(__name__)

EVERY_S = 60.0
"""Between two looks: nobody is there to mend a disk or a fan sooner."""

STOP_S = 0.2
"""For a look to end: the station is to stop within a second."""

NICE = 19
"""Whoever else wants a core goes first."""

Tell = Callable[[Literal["box", "upkeep"], str, str | None, str | None], None]
"""Told the kind, what was looked at, and what is wrong with it in English and Chinese; ``None``,
when it is well again. ``box`` is a fault, ``upkeep`` a warning."""

_KINDS: Mapping[str, Literal["box", "upkeep"]] = {"fault": "box", "warning": "upkeep"}


def station_checks(station: Station) -> tuple[Timed, ...]:
    """The checks that may be made beside a station that inspects."""
    return (
        Timed("processor", check_processor),
        Timed("memory", check_memory),
        Timed("disk", check_disks),
        Timed("temperature", check_heat),
        Timed("clock", check_clock),
        Timed("device", lambda case: check_devices(case, station, by_process)),
        Timed("bundle", check_fit),
    )


class BoxWatch:
    """Looks at the box while a station runs, and tells what changes; a context manager.

    Parameters
    ----------
    case
        Makes what is examined; asked each time, for the clock goes on.
    checks
        What is looked at.
    tell
        Told of each fault and warning, again in other words while it lasts, and when it is gone.
    every
        Seconds between two looks.
    """

    def __init__(
        self,
        case: Callable[[], Case],
        checks: Sequence[Timed],
        tell: Tell,
        every: float = EVERY_S,
    ) -> None:
        self._case, self._tell, self._every = case, tell, every
        self._examiner = Examiner(checks)
        self._told: dict[tuple[Literal["box", "upkeep"], str], str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="box watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(STOP_S)  # a check that hangs is left behind

    def look(self) -> None:
        """Look once, and tell what is new."""
        case = self._case()
        sensors = replace(case.profile, zones=zones(case.root))
        findings = self._examiner.examine(replace(case, profile=sensors))
        lasting: dict[tuple[Literal["box", "upkeep"], str], list[Finding]] = {}
        for finding in findings:
            if kind := _KINDS.get(finding.level):
                lasting.setdefault((kind, finding.name), []).append(finding)
        for key in self._told.keys() - lasting.keys():
            _log.info("%s: is well again", key[1])
            self._tell(*key, None, None)
            del self._told[key]
        for key, about in lasting.items():
            en = "; ".join(each.en for each in about)
            if key not in self._told:
                _log.log(logging.ERROR if key[0] == "box" else logging.INFO, "%s: %s", key[1], en)
            if self._told.get(key) != en:
                self._tell(*key, en, "；".join(each.zh or each.en for each in about))
                self._told[key] = en

    def _run(self) -> None:
        with suppress(OSError):  # a kernel without; the threads of the checks inherit it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self._over.is_set():
            try:
                self.look()
            except Exception:  # the station goes on
                _log.exception("the box could not be looked at")
            self._over.wait(self._every)
