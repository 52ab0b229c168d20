"""Another bundle takes over on the running line, between two parts, and goes if it fails.

The agent has tried the bundle in a process of its own before it made it active. Here it is opened
beside the one that works, sees its golden pictures once more, in this process, and takes over with
the next part that is triggered. What waited is judged by the old one, which stays open until the
new one has judged :data:`WATCHED` parts.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge.agent.golden import golden_fault
from edge.agent.trial_child import inspect_golden
from edge.camera.capture import State
from edge.families import Inspector
from edge.loop.line import Line, open_models
from edge.setting import Setting
from edge.station import ActiveBundle, Station, load_station
from edge.verdict import Verdict
from firmware_bridge.slots import Slots
from firmware_bridge.trials import IDLE
from models.errors import BundleError, LineguardError, StorageError
from models.images import load_image

__all__ = ["FAILED", "WATCHED", "Changeover"]

_log = logging.getLogger(__name__)

POLL_S = 1.0
"""How often the active slot is looked at; a flash takes far longer."""

IDLE_S = 5.0
"""Without a part, after which the line counts as idle; parts come closer together than that."""

WATCHED = 50
"""Parts after which a new bundle is taken for sound; its predecessor leaves the memory then."""

FAILED = 3
"""Parts in a row that could not be evaluated, after which the predecessor comes back."""

FAILURES = frozenset({"engine_failed", "cannot_evaluate", "late"})
"""Reasons that speak of the models, not of the part."""


class Changeover:
    """Follows the active slot of a box; an output of the loop, so that it sees what comes of it.

    Parameters
    ----------
    path
        The station file, read again for each bundle: its rules must fit the new models.
    root
        Folder of the agent, as the station file says.
    tell
        Called with ``True`` and what took over, or ``False`` and what did not, and why.
    place
        Gives the models of a station their cores and threads.
    """

    name = "changeover"
    pictures = False

    def __init__(
        self,
        path: Path,
        root: Path,
        tell: Callable[[bool, str], None],
        place: Callable[[Station], Station] = lambda station: station,
    ) -> None:
        self._path, self._root, self._tell, self._place = path, root, tell, place
        self._line: Line | None = None
        self._refused = ""
        self._shut_out = False
        """Whether what is active could not take over, and that is still told."""
        self._lock = threading.Lock()
        self._old: Setting | None = None
        self._new: Setting | None = None
        self._seen = self._failed = 0
        self._last = time.monotonic()
        self._idle: bool | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="changeover", daemon=True)

    def follow(self, line: Line) -> None:
        """Begin; ``line`` is what runs."""
        self._line = line
        self._thread.start()

    def verdict(self, verdict: Verdict) -> None:
        """Count the failures of a bundle that has just taken over."""
        self._last = time.monotonic()
        with self._lock:
            if self._old is None or self._new is None or not _same(verdict, self._new):
                return
            if any(reason.code == "challenge_due" for reason in verdict.reasons):
                return  # the models were not heard
            self._seen += 1
            failed = any(reason.code in FAILURES for reason in verdict.reasons)
            self._failed = self._failed + 1 if failed else 0
            if self._failed < FAILED:
                if self._seen >= WATCHED:
                    self._old = self._new = None
                return
            old, self._old, self._new = self._old, None, None
        why = "; ".join(reason.text() for reason in verdict.reasons)
        self._go_back(old, f"{verdict.part.setting.bundle} failed on {FAILED} parts: {why}")

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Nothing of its."""

    def close(self) -> None:
        """Follow no more: nobody waits for verdicts of a station that has ended."""
        self._stop.set()
        self._say(True)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                self._mark()
                self._look()
            except Exception:  # the line goes on with what it has
                _log.exception("the active slot could not be followed")

    def _mark(self) -> None:
        """Tell the agent, which may hold a trial until then, whether anybody waits for verdicts."""
        assert self._line is not None  # noqa: S101 - the thread starts with it
        idle = self._line.idle and time.monotonic() - self._last >= IDLE_S
        if idle != self._idle:
            self._idle = idle
            self._say(idle)

    def _say(self, idle: bool) -> None:
        path = self._root / IDLE
        try:
            if idle:
                path.touch()
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning(
                "%s: cannot be written (%s), trials may wait for it: run as the user of the agent",
                path,
                error.strerror,
            )

    def _look(self) -> None:
        assert self._line is not None  # noqa: S101 - the thread starts with it
        try:
            state = Slots(self._root).state
        except StorageError as error:
            _log.warning("%s", error)
            return
        active = state.slots[state.active].manifest if state.active else None
        now = self._line.setting.bundle
        if now is not None and now.manifest == active:
            self._agree()
            return
        if active is None or active == self._refused:
            return
        self._refused = active  # unless it takes over: once is enough
        try:
            station = self._place(load_station(self._path))
            inspectors = _opened(station)
            with self._lock:  # told before anything that comes of it
                self._old = self._line.change_models(station, inspectors)
                self._new, self._seen, self._failed = self._line.setting, 0, 0
                self._refused, self._shut_out = "", False
                self._tell(True, f"{self._new.bundle} has taken over")
        except LineguardError as error:
            self._shut_out = True
            self._tell(False, f"the new bundle cannot take over: {error}")

    def _agree(self) -> None:
        """The active slot is what judges: what was refused may be tried anew, if somebody asks."""
        self._refused = ""
        if self._shut_out:
            self._shut_out = False
            self._tell(True, "the box is back at the bundle that judges")

    def _go_back(self, old: Setting, why: str) -> None:
        assert self._line is not None  # noqa: S101 - nothing has taken over before
        failed = self._line.setting.bundle
        self._refused = failed.manifest if failed else ""
        self._line.restore(old)
        slots = Slots(self._root)
        try:
            with slots.writing():
                slots.rollback()
            words = "the box is back at"
        except LineguardError as error:
            words = f"the box could not be rolled back ({error}); the station is back at"
        self._tell(False, f"{why}; {words} {old.bundle or 'the models before'}")


def _same(verdict: Verdict, setting: Setting) -> bool:
    """Whether the part was judged by the models of ``setting``; its job may have changed since."""
    return verdict.part.setting.models is setting.models


def _opened(station: Station) -> dict[str, Inspector]:
    """Models of the station, which have seen their golden pictures and found what they must."""
    inspectors = open_models(station)
    active = station.active
    if active is not None:
        _look_at_golden(active, inspectors)
    return inspectors


def _look_at_golden(active: ActiveBundle, inspectors: dict[str, Inspector]) -> None:
    for golden in active.golden:
        found = inspect_golden(inspectors, golden, load_image(active.files / golden.image))
        if fault := golden_fault(golden, found):
            raise BundleError(f"{golden.image}: {fault}")
