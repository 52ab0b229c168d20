"""Records as an output of the loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from edge.camera.capture import State
from edge.challenge.result import Challenged
from edge.io.base import Signalled
from edge.records.database import DATABASE
from edge.records.evidence import Evidence, Policy, as_jpeg
from edge.records.notes import challenge_note, warning_note
from edge.records.query import EVIDENCE
from edge.records.row import SettingsRow, frame_hash, row_of, settings_of
from edge.records.store import Store
from edge.records.writer import OnFault, Writer
from edge.setting import Setting
from edge.station import RecordsTable
from edge.verdict import Verdict
from models.errors import LineguardError

__all__ = ["RECORD_WAIT_S", "RecordsOutput"]

_log = logging.getLogger(__name__)

RECORD_WAIT_S = 1.0
"""How long a handshake waits for its record: a slow card writes a row in a tenth of it."""

BEHIND_S = 1.0
"""Age from which a picture is neither hashed nor kept: the box is too busy for it, and pictures
that pile up would take its memory."""


def _logged(what: str, fault: str | None) -> None:
    _log.log(logging.INFO if fault is None else logging.ERROR, "%s: %s", what, fault or "works")


class RecordsOutput:
    """Leaves one record of each verdict, and pictures by policy.

    Parameters
    ----------
    table
        What the station file says.
    on_fault
        Told ``records`` or ``evidence`` and why, once, when the disk fails; ``None`` when it works
        again.

    Raises
    ------
    StorageError
        The database cannot be used.
    """

    name = "records"
    pictures = True

    def __init__(self, table: RecordsTable, on_fault: OnFault = _logged) -> None:
        self.folder = Path(table.path)
        self._policy = Policy(table.evidence, table.ok_every)
        self._quality = table.quality
        store = Store(self.folder / DATABASE)
        try:
            used, most = store.kept_bytes(), table.max_mb * 1_000_000
            self._evidence = Evidence(self.folder / EVIDENCE, most, used)
            self._writer = Writer(str(self.folder), store, self._evidence, on_fault)
        except LineguardError:
            store.close()
            raise
        self._setting: tuple[Setting, SettingsRow] | None = None
        self._before_close: list[Callable[[], None]] = []

    def verdict(self, verdict: Verdict) -> None:
        """Take the next verdict: hash its picture, encode it if it is to be kept.

        Raises
        ------
        StorageError
            The database is beyond use, or the disk has failed for longer than memory can bridge.
        """
        hashed, picture, gone = self._look(verdict)
        row = row_of(verdict, self._settings(verdict.part.setting), hashed)
        row.gone = gone
        self._writer.add(row, picture)

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Not recorded: a record is a verdict."""

    def signalled(self, told: Signalled) -> None:
        """Keep what an output told about a part; safe from any thread, and never waits."""
        self._writer.signalled(told)

    def challenged(self, told: Challenged) -> None:
        """Keep a challenge that has ended; safe from any thread, and never waits."""
        self._writer.note(challenge_note(told))

    def warned(self, at: datetime, name: str, en: str | None, zh: str | None) -> None:
        """Keep that something is worth a look, or no more; likewise."""
        self._writer.note(warning_note(at, name, en, zh))

    def recorded(self, part: str, timeout: float = RECORD_WAIT_S) -> bool:
        """Wait until the record of a verdict is on the disk; ``False`` if it is not by then."""
        return self._writer.recorded(part, timeout)

    @property
    def waiting(self) -> int:
        """Records that are not on the disk yet."""
        return self._writer.waiting

    @property
    def evidence_bytes(self) -> int:
        """What all pictures take."""
        return self._evidence.used

    @property
    def ended(self) -> bool:
        """Whether nothing more is recorded."""
        return self._writer.ended

    def newest(self, after: int, timeout: float) -> int:
        """Wait for a record that comes after ``after``; the sequence number of the newest.

        Does not wait once :attr:`ended`.
        """
        return self._writer.newest(after, timeout)

    def save_cursor(self, name: str, state: str) -> None:
        """Keep how far a forwarder has come; never waits."""
        self._writer.save_cursor(name, state)

    def before_close(self, call: Callable[[], None]) -> None:
        """Call something before nothing more can be kept; it must not take long."""
        self._before_close.append(call)

    def close(self) -> None:
        """Write all that waits. ``StorageError`` says how many verdicts have no record."""
        for call in self._before_close:
            call()
        self._writer.close()

    def _look(self, verdict: Verdict) -> tuple[str | None, bytes | None, str]:
        """Hash of its pixels; the picture if it is to be kept; else why not."""
        part, wanted = verdict.part, self._policy.wants(verdict)
        if part.frame is None:
            return None, None, "no_picture"
        if time.monotonic() - part.captured - verdict.latency > BEHIND_S:
            return None, None, "busy"
        hashed = frame_hash(part.frame.image)
        if not wanted:
            return hashed, None, "not_wanted"
        return hashed, as_jpeg(part.frame.image, self._quality), "failed"

    def _settings(self, setting: Setting) -> SettingsRow:
        if self._setting is None or self._setting[0] is not setting:
            self._setting = (setting, settings_of(setting))
        return self._setting[1]
