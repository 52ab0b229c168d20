"""What is recorded beside the parts: challenges, and warnings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from edge.challenge.result import Challenged
from edge.records.row import to_ms

__all__ = ["Note", "challenge_note", "warning_note"]

_CHALLENGE = (
    "INSERT INTO challenges (id, at, ended, by, ending, shown) VALUES (?, ?, ?, ?, ?, ?) "
    # A commit that failed may have reached the disk all the same, and is tried again.
    "ON CONFLICT DO NOTHING"
)
_WARNING = "INSERT INTO warnings (at, name, en, zh) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"


@dataclass(frozen=True)
class Note:
    """One row of another table: the statement that writes it, and what is bound."""

    sql: str
    values: tuple[str | int | None, ...]


def challenge_note(told: Challenged) -> Note:
    """A challenge that has ended."""
    shown = json.dumps([each.as_record() for each in told.shown], ensure_ascii=False)
    times = (to_ms(told.at), to_ms(told.ended))
    return Note(_CHALLENGE, (told.id, *times, told.by, told.ending, shown))


def warning_note(at: datetime, name: str, en: str | None, zh: str | None) -> Note:
    """Something is worth a look, or no more if ``en`` is ``None``."""
    return Note(_WARNING, (to_ms(at), name, en, zh))
