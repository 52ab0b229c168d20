"""What a shadow has compared, as a file of its own.

It is not in the database of the records: whatever a shadow does must not hold up their writer.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edge.loop.compare import Difference
from edge.station import Station
from models.errors import InputError, StorageError
from models.ppyoloe.score import Rate

__all__ = ["KEPT", "Compared", "Comparisons", "Pair", "shadow_path", "summary_of"]

KEPT = 300
"""Differences of each kind of which both outcomes and the picture are kept: more than anybody looks
through. A bundle that is broken differs on every part, and must not fill the disk."""

RESERVE = 256 * 2**20
"""Bytes of the disk that no picture of a shadow takes: the records need them more."""

BUSY_S = 10.0
"""Seconds to wait for ``lineguard shadow clear``, or for the station."""

_APPLICATION = 0x4C475348  # LGSH

_TABLES = """
CREATE TABLE IF NOT EXISTS pairs (
    id INTEGER PRIMARY KEY,
    station TEXT NOT NULL,
    active TEXT NOT NULL,             -- what people call it
    active_digest TEXT NOT NULL,      -- sha256 of models, regions and rules
    candidate TEXT NOT NULL,
    candidate_digest TEXT NOT NULL,
    since TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,  -- parts of the line that could have been compared
    same_ok INTEGER NOT NULL DEFAULT 0,
    same_ng INTEGER NOT NULL DEFAULT 0,
    rejects INTEGER NOT NULL DEFAULT 0,
    passes INTEGER NOT NULL DEFAULT 0,
    content INTEGER NOT NULL DEFAULT 0,  -- of same_ok and same_ng
    UNIQUE (active_digest, candidate_digest)
);
CREATE TABLE IF NOT EXISTS compared (
    pair INTEGER NOT NULL REFERENCES pairs,
    part TEXT NOT NULL,
    time TEXT NOT NULL,
    active_ms REAL NOT NULL,
    candidate_ms REAL NOT NULL,
    difference TEXT,                  -- NULL: none
    detail TEXT,                      -- JSON: both outcomes
    picture BLOB                      -- JPEG
);
CREATE INDEX IF NOT EXISTS compared_pair ON compared (pair, difference);
"""


@dataclass(frozen=True)
class Pair:
    """Which two are compared: their names, and the sha256 of models, regions and rules of each."""

    station: str
    active: str
    active_digest: str
    candidate: str
    candidate_digest: str


@dataclass(frozen=True)
class Compared:
    """One part that both have judged.

    Attributes
    ----------
    part, time
        Its id, and its trigger in ISO 8601.
    active, candidate
        Both outcomes, see :func:`edge.loop.compare.plain_outcome`.
    active_ms, candidate_ms
        What looking took.
    difference
        Of the two.
    """

    part: str
    time: str
    active: dict[str, Any]
    candidate: dict[str, Any]
    active_ms: float
    candidate_ms: float
    difference: Difference


def shadow_path(path: Path, station: Station) -> Path:
    """Where the comparisons of a station file lie: with its records, else beside it."""
    if station.records is not None:
        return Path(station.records.path) / "shadow.db"
    return path.with_suffix(".shadow.db")


class Comparisons:
    """The file of comparisons; for one thread.

    Parameters
    ----------
    path
        The file; made, if ``make`` says so.

    Raises
    ------
    InputError
        There is none, and it is not to be made.
    StorageError
        It cannot be used, or is of another program.
    """

    def __init__(self, path: Path, *, make: bool = False) -> None:
        self.path = path
        if not make and not path.is_file():
            raise InputError(f"{path}: nothing compared yet: add [shadow] and run the station")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{path}: cannot be opened ({error}): check the path") from error
        try:
            self._base.row_factory = sqlite3.Row
            self._prepare()
        except sqlite3.Error as error:
            self._base.close()
            raise self._unusable(error) from error
        except StorageError:
            self._base.close()
            raise

    def _prepare(self) -> None:
        application = self._base.execute("PRAGMA application_id").fetchone()[0]
        if application == _APPLICATION:
            return
        if self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StorageError(f"{self.path}: is a file of another program: move it away")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.executescript(_TABLES)
        self._base.execute(f"PRAGMA application_id = {_APPLICATION}")

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def wants(self, pair: Pair, kind: Difference) -> bool:
        """Whether the picture and both outcomes of one more such part are to be kept."""
        if kind == "same":
            return False
        row = self._row(pair)
        enough = row is not None and row[kind] >= KEPT
        return not enough and shutil.disk_usage(self.path.parent).free > RESERVE

    def add(self, pair: Pair, compared: Compared, seen: int, picture: bytes | None) -> None:
        """Write down one comparison.

        Parameters
        ----------
        seen
            Parts of the line since the last one, this one included.
        picture
            JPEG; both outcomes are kept if there is one.

        Raises
        ------
        StorageError
            The disk is full, or fails; nothing of it is written.
        """
        kind, verdict = compared.difference, compared.active["verdict"]
        counted: list[str] = [kind] if kind != "same" else []
        if kind in {"same", "content"}:
            counted.append("same_ok" if verdict == "OK" else "same_ng")
        detail = None
        if picture is not None:
            both = {"active": compared.active, "candidate": compared.candidate}
            detail = json.dumps(both, ensure_ascii=False).encode("utf-8", "replace").decode()
        more = "".join(f", {name} = {name} + 1" for name in counted)
        with self._writing():
            self._base.execute(
                "INSERT INTO pairs (station, active, active_digest, candidate, candidate_digest, "
                "since) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (
                    pair.station,
                    pair.active,
                    pair.active_digest,
                    pair.candidate,
                    pair.candidate_digest,
                    datetime.now(timezone.utc).isoformat(timespec="seconds"),
                ),
            )
            row = self._row(pair)
            assert row is not None  # noqa: S101 - it has just been written
            self._base.execute(
                f"UPDATE pairs SET seen = seen + ?{more} WHERE id = ?",  # noqa: S608 - our own names
                (seen, row["id"]),
            )
            self._base.execute(
                "INSERT INTO compared VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row["id"],
                    compared.part,
                    compared.time,
                    compared.active_ms,
                    compared.candidate_ms,
                    None if kind == "same" else kind,
                    detail,
                    picture,
                ),
            )

    def saw(self, pair: Pair, seen: int) -> None:
        """Count parts that came after the last comparison; ``StorageError`` if that fails."""
        with self._writing():
            self._base.execute(
                "UPDATE pairs SET seen = seen + ? WHERE active_digest = ? AND candidate_digest = ?",
                (seen, pair.active_digest, pair.candidate_digest),
            )

    def counts(self, pair: Pair) -> dict[str, Any] | None:
        """What a pair came to so far, see :meth:`pairs`; ``None`` if nothing yet."""
        row = self._row(pair)
        return None if row is None else dict(row)

    def pairs(self) -> list[dict[str, Any]]:
        """Every pair with its counts, the newest first."""
        return [dict(row) for row in self._ask("SELECT * FROM pairs ORDER BY id DESC")]

    def latencies(self, pair: int) -> list[tuple[float, float]]:
        """Milliseconds of the active one and of the candidate for each part."""
        rows = self._ask("SELECT active_ms, candidate_ms FROM compared WHERE pair = ?", pair)
        return [(row["active_ms"], row["candidate_ms"]) for row in rows]

    def differences(self, pair: int, limit: int) -> Iterator[dict[str, Any]]:
        """The newest parts whose outcomes are kept, the verdicts that differ first.

        ``part``, ``time``, ``difference``, ``active``, ``candidate``, ``picture`` (JPEG).
        """
        rows = self._ask(
            "SELECT * FROM compared WHERE pair = ? AND detail IS NOT NULL "
            "ORDER BY difference = 'content', rowid DESC LIMIT ?",
            pair,
            limit,
        )
        for row in rows:
            both = json.loads(row["detail"])
            names = ("part", "time", "difference", "active_ms", "candidate_ms", "picture")
            yield {name: row[name] for name in names} | both

    def clear(self) -> int:
        """Forget everything; gives how many comparisons that were."""
        with self._writing():
            count = self._base.execute("DELETE FROM compared").rowcount
            self._base.execute("DELETE FROM pairs")
        with contextlib.suppress(sqlite3.Error):  # a station that writes just now: room for later
            self._base.execute("VACUUM")
        return count

    def _row(self, pair: Pair) -> sqlite3.Row | None:
        rows = self._ask(
            "SELECT * FROM pairs WHERE active_digest = ? AND candidate_digest = ?",
            pair.active_digest,
            pair.candidate_digest,
        )
        return rows[0] if rows else None

    def _ask(self, sql: str, *bound: str | int) -> list[sqlite3.Row]:
        try:
            return self._base.execute(sql, bound).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._base.execute("BEGIN IMMEDIATE")
            yield
            self._base.execute("COMMIT")
        except (sqlite3.Error, StorageError) as error:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled it back already
                self._base.execute("ROLLBACK")
            raise (error if isinstance(error, StorageError) else self._unusable(error)) from error

    def _unusable(self, error: sqlite3.Error) -> StorageError:
        return StorageError(f"{self.path}: cannot be used ({error}): check the disk, or remove it")


def summary_of(counts: dict[str, Any], took: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Counts of a pair with intervals and latencies, as the report and REST give them.

    ``*_95`` are 95% intervals of the share after Wilson; latencies are those of ``took``.
    """
    compared = sum(counts[name] for name in ("same_ok", "same_ng", "rejects", "passes"))
    said = {name: counts[name] for name in ("station", "active", "candidate", "since", "seen")}
    said["compared"] = compared
    for name in ("same_ok", "same_ng", "rejects", "passes", "content"):
        said[name] = counts[name]
    for name in ("rejects", "passes"):
        said[f"{name}_95"] = Rate(counts[name], compared).interval
    for column, name in enumerate(("active_ms", "candidate_ms")):
        values = np.array([each[column] for each in took], np.float64)
        p50, p99 = np.percentile(values, (50, 99)) if len(values) else (None, None)
        said[name] = {
            "p50": None if p50 is None else round(float(p50), 2),
            "p99": None if p99 is None else round(float(p99), 2),
        }
    return said
