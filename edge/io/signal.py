"""What machines are told of a verdict: a few whole numbers, the same on every kind of line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from edge.verdict import Verdict

__all__ = ["REASONS", "SEQUENCES", "UNKNOWN_REASON", "Result", "Signal", "after"]


class Result(IntEnum):
    """What to do with a part: only ``OK`` lets it pass."""

    OK = 1
    NG = 2
    FAULT = 3
    """NG as well, but for the machine's sake: the part was not judged."""


REASONS: Mapping[str, int] = {
    # What the part shows.
    "mismatch": 101,
    "no_match": 102,
    "no_text": 103,
    "bad_date": 104,
    "expired": 105,
    "date_early": 106,
    "date_late": 107,
    "shelf_life": 108,
    "no_made": 109,
    "count": 110,
    "absent": 111,
    "defect": 112,
    "forbidden": 113,
    # What could not be evaluated.
    "unreadable": 201,
    "too_long": 202,
    "no_lot": 203,
    "no_scale": 204,
    "too_many": 205,
    "no_result": 206,
    "cannot_evaluate": 207,
    "no_rule": 208,
    # What befell the machine.
    "late": 301,
    "overrun": 302,
    "no_frame": 303,
    "bad_frame": 304,
    "engine_failed": 305,
    "stopped": 306,
    "no_picture": 307,
    "too_close": 308,
    # What the station waits for.
    "challenge_due": 401,
}
"""Reason code -> number for machines. A number never changes its meaning, nor is used again."""

UNKNOWN_REASON = 999
"""A reason that has no number yet."""

SEQUENCES = 65535
"""Sequence numbers go from 1 to this and then from 1 again; 0 means that there was none."""

MAX_AGE_MS = 65535
"""A register holds no more: this old, or older."""


def after(sequence: int, taken: int = 0) -> int:
    """The sequence number that follows, but for ``taken``.

    >>> after(65535), after(16, taken=17)
    (1, 18)
    """
    following = sequence % SEQUENCES + 1
    return after(following) if following == taken else following


@dataclass(frozen=True)
class Signal:
    """A verdict as machines are told it.

    Attributes
    ----------
    part
        Its id.
    camera
        Name of the camera.
    number
        Of the part: it counts those of its camera.
    result
        What to do with the part.
    reason
        The first reason by :data:`REASONS`; 0 for OK.
    captured
        Trigger, ``time.monotonic()`` seconds.
    """

    part: str
    camera: str
    number: int
    result: Result
    reason: int
    captured: float

    @classmethod
    def of(cls, verdict: Verdict) -> Signal:
        """What is told of a verdict."""
        machine = any(not reason.rule for reason in verdict.reasons)
        result = Result.OK if verdict.ok else Result.FAULT if machine else Result.NG
        code = REASONS.get(verdict.reasons[0].code, UNKNOWN_REASON) if verdict.reasons else 0
        part = verdict.part
        return cls(verdict.id, part.camera, verdict.number, result, code, part.captured)

    @property
    def said(self) -> str:
        """The same for people."""
        return f"{self.result.name} {self.reason}" if self.reason else self.result.name

    @property
    def age_ms(self) -> int:
        """Milliseconds since the trigger, at most :data:`MAX_AGE_MS`."""
        return max(0, min(MAX_AGE_MS, round((time.monotonic() - self.captured) * 1000)))
