"""What happened on a box and when: for people, never to decide anything by."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from firmware_bridge.disk import append_line
from models.atomic import write_atomic
from models.errors import StorageError

__all__ = ["NEWEST", "Journal"]

NEWEST = 200
"""Entries that are shown, and that are left when the file has grown too long."""

MAX_BYTES = 256 * 1024
"""Of the file: a thousand flashes, and no burden on the smallest disk."""

MAX_TEXT = 500
"""Characters of an entry: what a peer or a library says may be any length."""


class Journal:
    """The journal of a box.

    Parameters
    ----------
    path
        One JSON object a line: ``n`` (from 1), ``time`` (UTC), ``event``, ``text``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, event: str, text: str) -> None:
        """Write an entry down. A full disk loses it: the box has more important things to do."""
        last = self.entries()[-1:]  # from the file: other processes write to it too
        entry = {
            "n": last[0]["n"] + 1 if last else 1,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "event": event,
            "text": text[:MAX_TEXT],
        }
        with contextlib.suppress(OSError, StorageError):
            if self._path.is_file() and self._path.stat().st_size > MAX_BYTES:
                kept = (json.dumps(each, ensure_ascii=False) for each in self.entries())
                write_atomic(self._path, ("\n".join(kept) + "\n").encode())
            append_line(self._path, json.dumps(entry, ensure_ascii=False).encode())

    def entries(self, after: int = 0) -> list[dict[str, Any]]:
        """The newest entries with a number above ``after``; lines that a cut has torn are none."""
        newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and type(entry.get("n")) is int and entry["n"] > after:
                newest.append(entry)
        return list(newest)
