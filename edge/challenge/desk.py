"""Where a challenge is due, started, followed and ended; an output of the loop."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from edge.camera.capture import State
from edge.challenge.lock import Locked
from edge.challenge.result import Challenged, Ending, Shown
from edge.challenge.validity import Clocks, Passed, due_after, read_clocks, restore, table_digest
from edge.setting import Lock
from edge.station.challenge import ChallengeTable
from edge.verdict import Verdict
from models.errors import LineguardError, StorageError

__all__ = ["ChallengeDesk", "Holder", "WrongMomentError"]

_log = logging.getLogger(__name__)

TICK_S = 0.2
"""Between two looks at the clocks: a shift begins that much too late at most."""

SEEN_S = 600.0
"""Between two notes of the time: after a power cut, that much of a clock set back goes unseen."""


class Holder(Protocol):
    """What the desk asks of the line."""

    def hold(self, lock: Lock | None) -> None:
        """From the next part on, let ``lock`` have the last word, or nobody."""


class WrongMomentError(Exception):
    """What somebody wants cannot be done now; says why."""


@dataclass
class _Run:
    """A challenge that somebody is at."""

    id: str
    by: str
    at: datetime
    shown: list[Shown] = field(default_factory=list)
    lock: Locked | None = None
    since: float = 0.0


class ChallengeDesk:
    """Keeps a station locked while a challenge is due or under way. Safe from several threads.

    Parameters
    ----------
    table, shifts
        What the station file says.
    path
        Where a challenge that was passed is kept.
    clock
        The wall clock, with time zone.
    record
        Takes each challenge that has ended.
    on_passed
        Called when one was passed, before parts pass again.
    clocks
        All clocks; those of this machine.
    """

    name = "challenge"
    pictures = False

    def __init__(
        self,
        table: ChallengeTable,
        shifts: Sequence[str],
        path: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        *,
        record: Callable[[Challenged], None] = lambda challenged: None,
        on_passed: Callable[[], None] = lambda: None,
        clocks: Callable[[], Clocks] | None = None,
    ) -> None:
        self._table, self._shifts, self._path = table, shifts, path
        self._clocks = clocks or (lambda: read_clocks(clock))
        self._record, self._on_passed = record, on_passed
        self._digest = table_digest(table)
        self._lock = threading.RLock()
        self._line: Holder | None = None
        self._run: _Run | None = None
        self._last: Challenged | None = None
        self._written = 0.0
        now = self._clocks()
        self._passed = None if table.every == "start" else restore(path, self._digest, now)
        self._due_since: datetime | None = None if self._passed else now.wall
        self._shown: dict[str, Any] = {}
        self._show()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="challenge", daemon=True)

    def follow(self, line: Holder) -> None:
        """Begin; ``line`` is about to run."""
        self._line = line
        self._hold()
        self._thread.start()

    @property
    def locked(self) -> bool:
        """Whether no part of the production passes."""
        return self._due_since is not None or self._run is not None

    def snapshot(self) -> dict[str, Any]:
        """How it stands, as plain values; the same until something has changed. Never waits."""
        return self._shown

    def start(self, by: str) -> None:
        """Begin a challenge, whether one is due or not.

        Raises
        ------
        WrongMomentError
            Somebody is at it.
        """
        with self._lock:
            if self._run is not None:
                raise WrongMomentError(f"{self._run.by} is at it already")
            now = self._clocks().wall
            run = f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
            self._run = _Run(run, by, now)
            self._ask(self._run)

    def placed(self) -> None:
        """The part that was asked for lies there: the next one of its camera is it.

        Raises
        ------
        WrongMomentError
            None was asked for.
        """
        with self._lock:
            run = self._run
            if run is None or run.lock is not None:
                raise WrongMomentError("no golden part is waited for")
            self._arm(run)

    def abort(self) -> None:
        """End the challenge; the station stays locked if one is due.

        Raises
        ------
        WrongMomentError
            There is none.
        """
        with self._lock:
            if self._run is None:
                raise WrongMomentError("no challenge is under way")
            self._end("aborted")

    def verdict(self, verdict: Verdict) -> None:
        """Take what came of a golden part."""
        if verdict.golden is None:
            return
        with self._lock:
            run = self._run
            if run is None or run.lock is None or run.lock.claimed != verdict.id:
                return  # of a challenge that was ended in the meantime
            run.shown.append(Shown.of(self._table.parts[len(run.shown)], verdict))
            run.lock = None
            if len(run.shown) < len(self._table.parts):
                self._ask(run)
            else:
                self._end("passed" if all(each.right for each in run.shown) else "wrong")

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Nothing of its: a golden part that no camera sees runs into the time limit."""

    def close(self) -> None:
        """The station stops; the next one begins where this ends."""
        self._stop.set()
        with self._lock:
            if self._run is not None:
                self._end("stopped")
            self._note_time()

    def _ask(self, run: _Run) -> None:
        """Wait for the next golden part."""
        run.lock, run.since = None, time.monotonic()
        if self._table.confirm:
            self._hold()
            self._show()
        else:
            self._arm(run)

    def _arm(self, run: _Run) -> None:
        golden = self._table.parts[len(run.shown)]
        run.lock, run.since = Locked(golden.camera, golden.name), time.monotonic()
        self._hold()
        self._show()

    def _end(self, ending: Ending) -> None:
        run, self._run = self._run, None
        assert run is not None  # noqa: S101 - asked before
        if run.lock is not None:
            run.lock.disarm()  # parts on their way may still come to it
        now = self._clocks()
        if ending == "passed":
            self._pass(run, now)
        elif ending == "wrong" or not (self._passed is None or self._passed.counts(now)):
            self._fall_due(now.wall)
        self._last = Challenged(run.id, run.at, now.wall, run.by, ending, tuple(run.shown))
        _log.info("challenge %s by %s: %s", run.id, run.by, ending)
        self._hold()
        self._show()
        try:
            self._record(self._last)
        except LineguardError as error:
            _log.error("the challenge is not recorded: %s", error)

    def _pass(self, run: _Run, now: Clocks) -> None:
        seconds = due_after(self._table, self._shifts, now.wall)
        self._due_since = None
        self._passed = None
        if seconds is not None:
            self._passed = Passed.now(self._digest, run.by, seconds, now)
            self._save(self._passed)
        self._on_passed()

    def _fall_due(self, since: datetime) -> None:
        """Lock, and let nothing on the disk say otherwise."""
        self._passed = None
        self._due_since = self._due_since or since
        self._hold()  # before a slow disk
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.error("%s: cannot be removed (%s)", self._path, error.strerror)

    def _hold(self) -> None:
        if self._line is not None:
            run = self._run
            lock = run.lock if run and run.lock else Locked()
            self._line.hold(lock if self.locked else None)

    def _watch(self) -> None:
        while not self._stop.wait(TICK_S):
            try:
                with self._lock:
                    self._tick()
            except Exception:
                _log.exception("the challenge cannot be followed: the station is locked")
                self._due_since = self._due_since or datetime.now(timezone.utc)
                self._hold()

    def _tick(self) -> None:
        if self._run is not None:
            waited = time.monotonic() - self._run.since
            if waited > self._table.timeout_s:
                self._end("timeout")
            return
        if self._passed is None:
            return
        now = self._clocks()
        if not self._passed.counts(now):
            self._fall_due(now.wall)
            self._show()
        elif now.up - self._written >= SEEN_S:
            self._note_time()

    def _note_time(self) -> None:
        if self._passed is not None:
            now = self._clocks()
            self._passed = self._passed.later(now)
            self._save(self._passed)

    def _save(self, passed: Passed) -> None:
        self._written = self._clocks().up
        try:
            passed.save(self._path)
        except StorageError as error:
            _log.error("%s: the next start asks for a challenge", error)

    def _show(self) -> None:
        run, last = self._run, self._last
        parts = self._table.parts
        step = len(run.shown) if run else 0
        self._shown = {
            "locked": self.locked,
            "due_since": None if self._due_since is None else _iso(self._due_since),
            "until": None if self._passed is None else _iso(self._passed.until),
            "running": run is not None,
            "by": run.by if run else None,
            "steps": len(parts),
            "parts": [
                {"name": part.name, "camera": part.camera, "expected": part.verdict}
                for part in parts
            ],
            "step": step + 1 if run else 0,
            "confirm": run is not None and run.lock is None,
            "next": None
            if run is None
            else {
                "name": parts[step].name,
                "camera": parts[step].camera,
                "expected": parts[step].verdict,
            },
            "shown": [each.as_record() for each in run.shown] if run else [],
            "last": None
            if last is None
            else {
                "id": last.id,
                "at": _iso(last.ended),
                "by": last.by,
                "ending": last.ending,
                "shown": [each.as_record() for each in last.shown],
            },
        }


def _iso(moment: datetime | float) -> str:
    if isinstance(moment, float):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    return moment.isoformat(timespec="seconds")
