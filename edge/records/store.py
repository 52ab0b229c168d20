"""What a station writes into its database: all that waits, in one transaction."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.io.base import Signalled
from edge.records.database import open_writer, unusable
from edge.records.notes import Note
from edge.records.row import Row, SettingsRow
from models.errors import StorageError

__all__ = ["Batch", "Fate", "Kept", "Store"]

_PART = (
    "INSERT INTO parts (id, at, settings, camera, number, product, lot, verdict, reasons, fields, "
    "read, defects, frame_hash, latency_ms, stages_ms, golden, evidence_gone) VALUES (:id, :at, "
    ":settings, :camera, :number, :product, :lot, :verdict, :reasons, :fields, :read, :defects, "
    # A commit that failed may have reached the disk all the same, and is tried again.
    ":frame_hash, :latency_ms, :stages_ms, :golden, :gone) ON CONFLICT (id) DO NOTHING"
)
_SIGNAL = (
    "INSERT INTO signals (part, output, said, at, acknowledged, error) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET acknowledged = excluded.acknowledged, error = excluded.error"
)
_FATE = "UPDATE parts SET evidence = ?, evidence_gone = ?, evidence_bytes = ? WHERE id = ?"
_CURSOR = (
    "INSERT INTO cursors (name, state) VALUES (?, ?) "
    "ON CONFLICT DO UPDATE SET state = excluded.state"
)


@dataclass(frozen=True)
class Fate:
    """What became of the picture of a part.

    Attributes
    ----------
    part
        Its id.
    name
        Path of the picture; ``None`` if there is none.
    gone
        Then why, a key of :data:`edge.records.row.GONE`.
    size
        Bytes of the picture.
    """

    part: str
    name: str | None
    gone: str | None
    size: int = 0


@dataclass(frozen=True)
class Kept:
    """A picture that a row names."""

    part: str
    name: str
    size: int


@dataclass
class Batch:
    """What is written together."""

    rows: list[Row] = field(default_factory=list)
    signals: list[Signalled] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rows or self.signals or self.fates or self.notes or self.cursors)


class Store:
    """The database of one station, which alone may write to it. For one thread at a time.

    Raises
    ------
    StorageError
        It cannot be used, or another station writes to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _locked(path)
        try:
            self._base = open_writer(path)
            self._inode = path.stat().st_ino
        except (OSError, StorageError):
            os.close(self._lock)
            raise
        self._settings: dict[str, int] = {}

    def write(self, batch: Batch) -> int:
        """Write a batch, all or nothing; gives the sequence number of the newest row.

        Raises
        ------
        sqlite3.OperationalError
            The disk is full or fails; the same batch may be written again.
        StorageError
            The file is gone: what is written would never be found again.
        """
        self._check_in_place()
        known = dict(self._settings)
        try:
            self._base.execute("BEGIN IMMEDIATE")
            for row in batch.rows:
                values = {"id": row.id, "at": row.at, "gone": row.gone, **row.columns}
                self._base.execute(_PART, values | {"settings": self._settings_id(row.settings)})
            self._base.executemany(_SIGNAL, map(_signal, batch.signals))
            fates = [(f.name, f.gone, f.size, f.part) for f in batch.fates]
            self._base.executemany(_FATE, fates)
            self._base.executemany(_CURSOR, batch.cursors.items())
            for note in batch.notes:
                self._base.execute(note.sql, note.values)
            self._base.execute("COMMIT")
        except sqlite3.Error:
            self._settings = known
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled it back already
                self._base.execute("ROLLBACK")
            raise
        return self.newest()

    def newest(self) -> int:
        """Sequence number of the newest row; 0 if there is none."""
        return int(self._ask("SELECT coalesce(max(seq), 0) FROM parts")[0][0])

    def kept_bytes(self) -> int:
        """What all pictures take that rows name."""
        query = "SELECT coalesce(sum(evidence_bytes), 0) FROM parts WHERE evidence IS NOT NULL"
        return int(self._ask(query)[0][0])

    def oldest_kept(self, count: int) -> list[Kept]:
        """The pictures that came first, by sequence."""
        query = (
            "SELECT id, evidence, evidence_bytes FROM parts WHERE evidence IS NOT NULL "
            "ORDER BY seq LIMIT ?"
        )
        return [Kept(*row) for row in self._ask(query, count)]

    def unfinished(self) -> list[tuple[str, int]]:
        """Id and time of parts whose picture was on its way when the station was cut off."""
        query = "SELECT id, at FROM parts WHERE evidence_gone = 'writing'"
        return [(row["id"], row["at"]) for row in self._ask(query)]

    def close(self) -> None:
        """Let go of the files."""
        self._base.close()
        os.close(self._lock)

    def _ask(self, sql: str, *bound: int) -> list[sqlite3.Row]:
        try:
            return self._base.execute(sql, bound).fetchall()
        except sqlite3.Error as error:
            raise unusable(self._path, error) from error

    def _settings_id(self, settings: SettingsRow) -> int:
        if settings.digest not in self._settings:
            values = (settings.digest, settings.station, settings.bundle, settings.document)
            self._base.execute(
                "INSERT INTO settings (digest, station, bundle, document) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                values,
            )
            query = "SELECT id FROM settings WHERE digest = ?"
            found = self._base.execute(query, (settings.digest,)).fetchone()
            self._settings[settings.digest] = int(found[0])
        return self._settings[settings.digest]

    def _check_in_place(self) -> None:
        try:
            same = self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            same = False
        except OSError:
            return  # whatever it is, writing will tell
        if not same:
            raise StorageError(
                f"{self._path}: was removed or replaced while the station wrote to it: "
                "put it back, or start again"
            )


def _signal(told: Signalled) -> Sequence[object] | Mapping[str, object]:
    acknowledged = None if told.acknowledged is None else round(told.acknowledged * 1000)
    return (told.part, told.output, told.said, round(told.at * 1000), acknowledged, told.error)


def _locked(path: Path) -> int:
    """Hold a lock beside the database: two stations would each count the other's pictures."""
    beside = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be opened ({error.strerror}): check the path and who may write there"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StorageError(
            f"{path}: another station writes to it: stop that one, or choose another path"
        ) from error
    return descriptor
