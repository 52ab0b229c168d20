"""The thread that writes records: rows first, then pictures, and patience with a full disk.

A row is written before its picture, so that a signal waits for one small transaction alone. In
between the row says ``writing``; a station that was cut off looks after those when it starts.

While rows cannot be written they wait in memory, and :meth:`Writer.recorded` says so. Room is made
for them by giving up pictures, the oldest first. If more wait than :data:`MAX_WAITING`, the station
stops: a part without a record is no inspected part.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge.deadline import Deadline
from edge.io.base import Signalled
from edge.records.evidence import Evidence, evidence_name
from edge.records.notes import Note
from edge.records.row import Row, from_ms
from edge.records.store import Batch, Fate, Store
from models.errors import LineguardError, StorageError

__all__ = ["MAX_WAITING", "OnFault", "Writer"]

_log = logging.getLogger(__name__)

OnFault = Callable[[str, str | None], None]
"""Told the name of what fails and why, once; then ``None``, when it works again."""

MAX_WAITING = 6000
"""Rows that may wait for the disk: ten minutes at ten parts a second, some 20 MB."""

MAX_PICTURE_BYTES = 16 * 2**20
"""Pictures that may wait, encoded: a hundred; more than that come faster than the disk takes."""

GROUP = 512
"""Rows of one transaction at most: those behind them should not wait for a whole outage."""

LAZY_S = 0.5
"""What no signal waits for goes along with the next row, or after this: spares an SD card."""

RETRY_S = 1.0
"""Between two tries to write to a disk that fails."""

CLOSE_S = 20.0
"""For all that waits to be written at the end: the slowest card needs a tenth of it."""

RECALL = 4096
"""Parts that are known to be recorded; nobody waits for one as old as that."""

AT_ONCE = 16
"""Pictures that are removed for one: the disk is shared, and others fill it too."""


@dataclass
class _Waiting:
    row: Row
    picture: bytes | None

    def give_up(self, gone: str) -> None:
        """Go on without the picture."""
        if self.picture is not None:
            self.row.gone, self.picture = gone, None


class Writer:
    """Writes what it is given, in order. Safe from several threads; none of them waits for a disk.

    Parameters
    ----------
    store
        Closed at the end.
    evidence
        Where pictures go.
    on_fault
        Told what the disk does: ``records`` for rows, ``evidence`` for pictures.
    max_waiting
        Rows that may wait.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        evidence: Evidence,
        on_fault: OnFault,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._name, self._store, self._evidence, self._on_fault = name, store, evidence, on_fault
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._rows: deque[_Waiting] = deque()
        self._lazy = Batch()
        self._lazy_since = 0.0
        self._pictures: deque[_Waiting] = deque()
        self._picture_bytes = 0
        self._recorded: dict[str, None] = {}
        self._newest = store.newest()
        self._faults: dict[str, str] = {}
        self._closing: Deadline | None = None
        self._error: LineguardError | None = None
        self._mend()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._thread.start()

    def add(self, row: Row, picture: bytes | None) -> None:
        """Take a row, and its picture as JPEG if one is to be kept. Never waits.

        Raises
        ------
        StorageError
            The database is beyond use, or more rows wait for the disk than memory should hold.
        """
        with self._changed:
            waiting = _Waiting(row, picture)
            if picture is not None:
                row.gone = "writing"
                if self._picture_bytes + len(picture) > MAX_PICTURE_BYTES:
                    waiting.give_up("busy")
                else:
                    self._picture_bytes += len(picture)
            self._rows.append(waiting)
            self._changed.notify_all()
            if self._error is not None:
                raise self._error
            if len(self._rows) > self._max_waiting:
                why = self._faults.get("records", "the disk is too slow")
                raise StorageError(f"{why}; {len(self._rows)} verdicts are not recorded")

    def signalled(self, told: Signalled) -> None:
        """Take what an output told about a part. Never waits."""
        with self._changed:
            if len(self._lazy.signals) < self._max_waiting:  # else no row is written either
                self._put_off()
                self._lazy.signals.append(told)

    def note(self, note: Note) -> None:
        """Take a row of another table. Never waits."""
        with self._changed:
            if len(self._lazy.notes) < self._max_waiting:
                self._put_off()
                self._lazy.notes.append(note)

    def save_cursor(self, name: str, state: str) -> None:
        """Keep how far a forwarder has come. Never waits."""
        with self._changed:
            self._put_off()
            self._lazy.cursors[name] = state

    def recorded(self, part: str, timeout: float) -> bool:
        """Wait until the row of a part is on the disk; ``False`` if it is not by then."""
        with self._changed:
            self._changed.wait_for(
                lambda: part in self._recorded or self._error is not None, timeout
            )
            return part in self._recorded

    @property
    def waiting(self) -> int:
        """Rows that are not on the disk yet."""
        return len(self._rows)

    def newest(self, after: int, timeout: float) -> int:
        """Wait for a row that comes after ``after``; gives the sequence number of the newest."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest > after or self.ended, timeout)
            return self._newest

    def close(self) -> None:
        """Write all that waits.

        Raises
        ------
        StorageError
            The disk does not take it; says how many verdicts have no record.
        """
        with self._changed:
            self._closing = self._closing or Deadline.after(CLOSE_S)
            self._changed.notify_all()
        self._thread.join(CLOSE_S + RETRY_S)
        if self._error is not None:
            raise self._error
        if self._thread.is_alive():
            raise StorageError(
                f"{self._name}: the disk does not answer: check it, then start again"
            )

    @property
    def ended(self) -> bool:
        """Whether it is closed or has failed for good."""
        return self._closing is not None or self._error is not None

    def _put_off(self) -> None:
        if not self._lazy:
            self._lazy_since = time.monotonic()
            self._changed.notify_all()

    def _mend(self) -> None:
        """Look after the pictures that were on their way when the station was cut off."""
        for part, at in self._store.unfinished():
            name = evidence_name(part, from_ms(at))
            size = self._evidence.mend(name)
            fate = Fate(part, None, "lost") if size is None else Fate(part, name, None, size)
            self._lazy.fates.append(fate)

    def _run(self) -> None:
        try:
            while self._wait():
                if self._write() and self._pictures:
                    self._save(self._pictures.popleft())
        except LineguardError as error:
            self._fail(error)
        except sqlite3.DatabaseError as error:
            mend = "move it away to have it examined, then start again"
            self._fail(StorageError(f"{self._name}: is damaged ({error}): {mend}"))
        except Exception as error:
            _log.exception("records cannot be written")
            self._fail(StorageError(f"{self._name}: records cannot be written ({error!r})"))
        finally:
            self._store.close()

    def _fail(self, error: LineguardError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()
        self._on_fault("records", str(error))

    def _wait(self) -> bool:
        """Until there is something to do; ``False`` when all is done and nothing more comes."""
        with self._changed:
            while not (self._rows or self._pictures):
                if self._closing is not None:
                    return bool(self._lazy)
                left = self._lazy_since + LAZY_S - time.monotonic() if self._lazy else None
                if left is not None and left <= 0:
                    return True
                self._changed.wait(left)
            return True

    def _due(self) -> bool:
        """Whether what no signal waits for is written now."""
        late = time.monotonic() - self._lazy_since >= LAZY_S
        return bool(self._rows) or late or self._closing is not None

    def _write(self) -> bool:
        """Write the next rows and all else; whether that worked."""
        with self._changed:
            taken = [self._rows[number] for number in range(min(GROUP, len(self._rows)))]
            batch = Batch()
            if self._due():
                batch, self._lazy = self._lazy, batch
        batch.rows = [waiting.row for waiting in taken]
        if not batch:
            return True
        try:
            newest = self._store.write(batch)
        except sqlite3.OperationalError as error:
            self._put_back(batch)
            self._bear(error)
            return False
        with self._changed:
            for waiting in taken:
                self._rows.popleft()
                self._recorded[waiting.row.id] = None
                if waiting.picture is not None:
                    self._pictures.append(waiting)
            while len(self._recorded) > RECALL:
                del self._recorded[next(iter(self._recorded))]
            self._newest = newest
            self._changed.notify_all()
        self._say("records", None)
        return True

    def _put_back(self, batch: Batch) -> None:
        with self._changed:
            batch.rows = []
            batch.signals += self._lazy.signals
            batch.fates += self._lazy.fates
            batch.notes += self._lazy.notes
            batch.cursors.update(self._lazy.cursors)
            self._lazy = batch

    def _bear(self, error: sqlite3.OperationalError) -> None:
        """Rows could not be written: make room, tell, wait a little."""
        full = "full" in str(error)
        gone = "no_room" if full else "failed"
        with self._changed:
            for waiting in (*self._rows, *self._pictures):
                waiting.give_up(gone)
            # Their rows are written: they say that the picture is on its way.
            self._lazy.fates += [Fate(w.row.id, None, gone) for w in self._pictures]
            self._pictures.clear()
            self._picture_bytes = 0
        if full and self._remove_oldest(AT_ONCE):
            return
        words = f"{self._name}: verdicts cannot be recorded ({error}): free some space on the disk"
        self._say("records", words)
        with self._changed:
            if self._closing is not None and self._closing.expired:
                raise StorageError(f"{words}; {len(self._rows)} verdicts are not recorded")
        time.sleep(RETRY_S)

    def _save(self, waiting: _Waiting) -> None:
        """Write one picture; the row is told with the next ones."""
        data = waiting.picture
        assert data is not None  # noqa: S101 - else it would not be among them
        part, name = waiting.row.id, evidence_name(waiting.row.id, from_ms(waiting.row.at))
        fate = Fate(part, None, "no_room")
        removed = 0
        while self._evidence.lacks(len(data)) and removed < AT_ONCE and self._remove_oldest(1):
            removed += 1
        if self._evidence.lacks(len(data)):
            free = "free some space on the disk, or raise max_mb"
            self._say("evidence", f"{self._name}: no room for pictures: {free}")
        else:
            fate = self._save_file(part, name, data)
        with self._changed:
            self._picture_bytes -= len(data)
            self._put_off()
            self._lazy.fates.append(fate)

    def _save_file(self, part: str, name: str, data: bytes) -> Fate:
        try:
            self._evidence.save(name, data)
        except StorageError as error:
            self._say("evidence", str(error))
            return Fate(part, None, "failed")
        self._say("evidence", None)
        return Fate(part, name, None, len(data))

    def _remove_oldest(self, count: int) -> bool:
        """Remove pictures; whether there were any.

        What has just been saved is not in the database yet, and is not thrown away again.
        """
        pending = {fate.part for fate in self._lazy.fates}
        oldest = [
            kept
            for kept in self._store.oldest_kept(count + len(pending))
            if kept.part not in pending
        ][:count]
        for kept in oldest:
            self._evidence.remove(kept.name, kept.size)
        with self._changed:
            self._lazy.fates += [Fate(kept.part, None, "removed") for kept in oldest]
        return bool(oldest)

    def _say(self, what: str, fault: str | None) -> None:
        """Tell a fault once, and its end."""
        known = self._faults.get(what)
        if fault is None:
            self._faults.pop(what, None)
        else:
            self._faults[what] = fault
        if (known is None) != (fault is None):
            self._on_fault(what, fault)
