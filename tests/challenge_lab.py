"""A challenge of two parts, and clocks that the test sets."""

from datetime import datetime, timezone

from edge.challenge.validity import Clocks
from edge.station.challenge import ChallengeTable

SHIFTS = ("06:00", "14:00", "22:00")

CHALLENGE = """
[display]
shifts = ["06:00", "14:00", "22:00"]
[challenge]
every = "{every}"
{more}
[[challenge.parts]]
name = "good one"
camera = "top"
verdict = "OK"
[[challenge.parts]]
name = "bad one"
camera = "top"
verdict = "NG"
reason = "mismatch"
"""


def golden_table(every: str = "start", **keys: object) -> ChallengeTable:
    """The same as a table."""
    parts = [
        {"name": "good one", "camera": "top", "verdict": "OK"},
        {"name": "bad one", "camera": "top", "verdict": "NG", "reason": "mismatch"},
    ]
    return ChallengeTable.model_validate({"every": every, "parts": parts, **keys})


class Time:
    """All clocks; half past nothing until the test says otherwise."""

    def __init__(self, wall: str = "2026-11-22T07:00:00+00:00") -> None:
        self.wall, self.up, self.boot = datetime.fromisoformat(wall), 1000.0, "b1"

    def __call__(self) -> Clocks:
        return Clocks(self.wall.astimezone(timezone.utc), self.boot, self.up)
