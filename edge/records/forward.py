"""Records on their way to somebody else: at least once, in order, also after days offline.

There are two streams, each in the order of the records. What is recorded while the link is up goes
out at once. What was recorded while it was down, or before the station started, follows beside it
at a bounded rate and is called historical, so that a backlog of days delays no new part. How far
both have come is kept in the database, and moves only with what was acknowledged.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edge.records.output import RecordsOutput
from edge.records.query import Records

__all__ = ["HISTORICAL_PER_S", "Forwarder", "Publish"]

_log = logging.getLogger(__name__)

Publish = Callable[[dict[str, Any], bool], bool]
"""Sends a record, and whether it is historical; ``True`` once the other side has it. May wait for
that, but not for ever."""

HISTORICAL_PER_S = 50.0
"""Old records a second, beside the new ones: a day at one part a second is sent in half an hour,
and neither the broker nor a slow link is flooded."""

RETRY_S = 1.0
"""Between two tries on a link that is down."""

CURSOR_S = 1.0
"""How often progress is kept: a station that is cut off sends that much twice."""

IDLE_S = 0.05
"""How long to wait for a new record before looking whether to stop."""

CLOSE_S = 0.2
"""For one last word when the station stops: people wait a second at most for all of it."""

CHUNK = 50
"""Records that are read at once."""


class Forwarder:
    """Forwards the records of a station, from the first one after it was first made.

    Parameters
    ----------
    records
        Where they come from.
    publish
        Called from a thread of its own; what it raises counts as not acknowledged.
    name
        Tells several forwarders apart; the progress is kept under it.
    """

    def __init__(self, records: RecordsOutput, publish: Publish, name: str) -> None:
        self._records, self._publish, self._name = records, publish, name
        self._reader = Records(records.folder)
        self._live = newest = records.newest(-1, 0)
        self._gaps: deque[list[int]] = deque()
        self._ready: deque[dict[str, Any]] = deque()
        self._next_old = self._saved = 0.0
        self._down = False
        self._stopping = threading.Event()
        kept = self._reader.cursor(name)
        if kept is not None:
            self._resume(json.loads(kept), newest)
        self._save()
        self._thread = threading.Thread(target=self._run, name=f"forward to {name}", daemon=True)
        self._thread.start()
        records.before_close(self.close)

    def close(self, timeout: float = CLOSE_S) -> None:
        """Stop, as it does of itself before the records; the rest is sent after the next start."""
        self._stopping.set()
        self._thread.join(timeout)

    @property
    def backlog(self) -> int:
        """Historical records that are still to be sent."""
        return sum(last - first + 1 for first, last in list(self._gaps))

    def _resume(self, state: dict[str, Any], newest: int) -> None:
        """Go on where the last run ended; all that came since is historical."""
        for first, last in [*state["gaps"], [state["live"] + 1, newest]]:
            self._add_gap(first, min(last, newest))

    def _add_gap(self, first: int, last: int) -> None:
        if first > last:
            return
        if self._gaps and self._gaps[-1][1] + 1 == first:
            self._gaps[-1][1] = last
        else:
            self._gaps.append([first, last])

    def _run(self) -> None:
        try:
            while not (self._stopping.is_set() or self._records.ended):
                try:
                    self._step()
                except Exception:
                    _log.exception("%s: records cannot be forwarded", self._name)
                    self._down = True
                if time.monotonic() - self._saved >= CURSOR_S:
                    self._save()
        finally:
            self._save()
            self._reader.close()

    def _step(self) -> None:
        if not self._down:
            self._turn()
        elif not self._stopping.wait(RETRY_S):
            newest = self._records.newest(-1, 0)
            self._add_gap(self._live + 1, newest)
            self._live = newest
            self._down = False
            self._send_old()

    def _turn(self) -> None:
        """Send what is new, then one old record if it is time for one."""
        wait = self._next_old - time.monotonic() if self._gaps else IDLE_S
        newest = self._records.newest(self._live, max(wait, 0))
        while self._live < newest and not self._stopping.is_set():
            last = min(newest, self._live + CHUNK)
            for record in self._reader.read(range(self._live + 1, last + 1)):
                if not self._send(record, historical=False):
                    return
                self._live = record["seq"]
            self._live = last
        if time.monotonic() >= self._next_old:
            self._next_old = time.monotonic() + 1 / HISTORICAL_PER_S
            self._send_old()

    def _send_old(self) -> None:
        if not self._gaps:
            return
        gap = self._gaps[0]
        if not self._ready:
            last = min(gap[1], gap[0] + CHUNK - 1)
            self._ready.extend(self._reader.read(range(gap[0], last + 1)))
        if not self._ready:  # the database was replaced by an older one: there is nothing to send
            self._gaps.popleft()
            return
        if not self._send(self._ready[0], historical=True):
            return
        gap[0] = self._ready.popleft()["seq"] + 1
        if gap[0] > gap[1]:
            self._gaps.popleft()

    def _send(self, record: dict[str, Any], historical: bool) -> bool:
        try:
            sent = self._publish(record, historical)
        except Exception:
            _log.exception("%s: a record cannot be forwarded", self._name)
            sent = False
        self._down = not sent
        return sent

    def _save(self) -> None:
        self._saved = time.monotonic()
        state = {"live": self._live, "gaps": [list(gap) for gap in self._gaps]}
        self._records.save_cursor(self._name, json.dumps(state))
