"""Looking into the records, also while a station writes them."""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from edge.deadline import Deadline
from edge.records.database import DATABASE, open_reader
from edge.records.evidence import Evidence
from edge.records.row import from_ms, record_of, to_ms
from models.errors import InputError

__all__ = ["EVIDENCE", "PAGE", "Query", "Records"]

EVIDENCE = "evidence"
"""Folder of the pictures, beside the database."""

PAGE = 500
"""Rows that are read at once: a long read would keep the writer's log from being cut."""

STEPS = 20_000
"""Of SQLite's machine, between two looks at the clock: a millisecond."""

_COLUMNS = (
    "SELECT parts.*, settings.station, settings.bundle, settings.digest "
    "FROM parts JOIN settings ON settings.id = parts.settings "
)


@dataclass(frozen=True)
class Query:
    """Which parts; what is ``None`` does not matter.

    Attributes
    ----------
    part
        Id of its verdict.
    lot
        Exactly so.
    verdict
        ``OK`` or ``NG``.
    since, until
        Of the trigger, with time zone; the first included, the second not.
    reason
        A code of :data:`edge.judge.TEMPLATES`, or ``rule:code``.
    before
        Sequence number; only older ones.
    """

    part: str | None = None
    lot: str | None = None
    verdict: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None
    before: int | None = None

    def sql(self) -> tuple[str, list[str | int]]:
        """Sequence numbers of these parts, and what is bound. No value ever is a part of the SQL.

        The index is named, since SQLite cannot know that a lot says more than a verdict does.
        """
        terms: list[str] = []
        bound: list[str | int] = []
        rule, colon, code = (self.reason or "").rpartition(":")
        verdict = "NG" if self.reason and self.verdict is None else self.verdict  # for the index
        for term, value in (
            ("id = ?", self.part),
            ("lot = ?", self.lot),
            ("verdict = ?", verdict),
            ("at >= ?", None if self.since is None else to_ms(self.since)),
            ("at < ?", None if self.until is None else to_ms(self.until)),
            ("seq < ?", self.before),
        ):
            if value is not None:
                terms.append(term)
                bound.append(value)
        if self.reason is not None:
            each = "json_extract(value, '$.code') = ?"
            bound.append(code)
            if colon:
                each += " AND json_extract(value, '$.rule') = ?"
                bound.append(rule)
            terms.append(f"EXISTS (SELECT 1 FROM json_each(reasons) WHERE {each})")  # noqa: S608
        index = next((f" INDEXED BY {name}" for name in self._indices()), "")
        return f"SELECT seq FROM parts{index} WHERE {' AND '.join(terms) or 'TRUE'}", bound  # noqa: S608

    def _indices(self) -> Iterator[str]:
        """The indices that help, the best first."""
        if self.part is not None:
            return  # its own is found without being named
        if self.lot is not None:
            yield "parts_lot"
        if self.since is not None or self.until is not None:
            yield "parts_at"
        if self.verdict is not None or self.reason is not None:
            yield "parts_verdict"


class Records:
    """The records of a station, to read.

    Parameters
    ----------
    path
        The folder of the records, or the database in it.
    patience
        Seconds for each question; one that takes longer is an ``InputError`` too.

    Raises
    ------
    InputError
        There are none, or they are not readable.
    """

    def __init__(self, path: Path, patience: float = math.inf) -> None:
        self.path = path / DATABASE if path.is_dir() else path
        self._base = open_reader(self.path)
        self._patience = patience
        self._pictures = Evidence(self.path.parent / EVIDENCE, 0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._base.close()

    def sequence(
        self, query: Query, limit: int | None = None, newest_first: bool = False
    ) -> Sequence[int]:
        """Sequence numbers of the parts that are asked for; those of the newest if limited."""
        sql, bound = query.sql()
        if limit is not None:
            sql += " ORDER BY seq DESC LIMIT ?"
            bound.append(limit)
        found = (row[0] for row in self._ask(sql, bound))
        return array("q", sorted(found, reverse=newest_first))

    def read(self, sequence: Sequence[int]) -> list[dict[str, Any]]:
        """The records of these sequence numbers, in that order: at most :data:`PAGE` of them."""
        sql = f"{_COLUMNS}WHERE seq IN (SELECT value FROM json_each(?))"  # noqa: S608
        found = {row["seq"]: row for row in self._ask(sql, [json.dumps(list(sequence))])}
        return [record_of(found[number]) for number in sequence if number in found]

    def find(self, query: Query, limit: int) -> list[dict[str, Any]]:
        """The newest records that are asked for, newest first."""
        numbers = self.sequence(query, limit, newest_first=True)
        pages = [numbers[start : start + PAGE] for start in range(0, len(numbers), PAGE)]
        return [record for page in pages for record in self.read(page)]

    def part(self, part: str) -> dict[str, Any] | None:
        """The record of one part; ``None`` if there is none of that id."""
        rows = self._ask(_COLUMNS + "WHERE parts.id = ?", [part])
        return record_of(rows[0]) if rows else None

    def signals(self, part: str) -> list[dict[str, Any]]:
        """What outputs told about a part, in order: ``output``, ``said``, times and ``error``."""
        sql = (
            "SELECT output, said, at, acknowledged, error FROM signals WHERE part = ? "
            "ORDER BY at, output, said"
        )
        return [
            {
                "output": row["output"],
                "said": row["said"],
                "time": _iso(row["at"]),
                "acknowledged": _iso(row["acknowledged"]),
                "error": row["error"],
            }
            for row in self._ask(sql, [part])
        ]

    def challenges(self, limit: int) -> list[dict[str, Any]]:
        """The newest challenges, newest first: who, when, how it ended, what was ``shown``."""
        sql = "SELECT id, at, ended, by, ending, shown FROM challenges ORDER BY at DESC LIMIT ?"
        return [
            {
                "id": row["id"],
                "time": _iso(row["at"]),
                "ended": _iso(row["ended"]),
                "by": row["by"],
                "ending": row["ending"],
                "shown": json.loads(row["shown"]),
            }
            for row in self._ask(sql, [limit])
        ]

    def warnings(self, limit: int) -> list[dict[str, Any]]:
        """The newest warnings, newest first; ``en`` and ``zh`` are ``None`` where one was over."""
        sql = "SELECT at, name, en, zh FROM warnings ORDER BY at DESC, name LIMIT ?"
        return [
            {"time": _iso(row["at"]), "name": row["name"], "en": row["en"], "zh": row["zh"]}
            for row in self._ask(sql, [limit])
        ]

    def settings(self, digest: str) -> dict[str, Any] | None:
        """What parts were judged by: models, regions and rules with their thresholds."""
        rows = self._ask("SELECT document FROM settings WHERE digest = ?", [digest])
        return json.loads(rows[0]["document"]) if rows else None

    def picture(self, record: dict[str, Any]) -> Path | None:
        """Where the picture of a record lies; ``None`` if it has none."""
        return None if record["evidence"] is None else self._pictures.path(record["evidence"])

    def newest(self) -> int:
        """Sequence number of the newest record; 0 if there is none."""
        return int(self._ask("SELECT coalesce(max(seq), 0) FROM parts", [])[0][0])

    def cursor(self, name: str) -> str | None:
        """How far a forwarder has come, in its own words."""
        rows = self._ask("SELECT state FROM cursors WHERE name = ?", [name])
        return None if not rows else str(rows[0]["state"])

    def _ask(self, sql: str, bound: Sequence[str | int]) -> list[sqlite3.Row]:
        if self._patience < math.inf:
            deadline = Deadline.after(self._patience)
            self._base.set_progress_handler(lambda: deadline.expired, STEPS)
        try:
            return self._base.execute(sql, bound).fetchall()
        except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
            if str(error) == "interrupted":
                raise InputError(
                    f"{self.path}: takes longer than {self._patience:g} s: "
                    "give a lot, or times that are closer together"
                ) from error
            raise InputError(f"{self.path}: cannot be searched ({error})") from error


def _iso(ms: int | None) -> str | None:
    return None if ms is None else from_ms(ms).isoformat(timespec="milliseconds")
