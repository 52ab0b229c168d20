"""What a challenge came to: as the display shows it, and as it is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from edge.station.challenge import GoldenPart
from edge.verdict import Verdict

__all__ = ["Challenged", "Ending", "Shown", "is_right"]

Ending = Literal["passed", "wrong", "aborted", "timeout", "stopped"]

UNJUDGED = frozenset({"cannot_evaluate", "no_result", "no_rule"})
"""Reasons of rules that say nothing of the part."""


@dataclass(frozen=True)
class Shown:
    """A golden part that was shown, and what the station said of it."""

    golden: GoldenPart
    part: str
    verdict: Literal["OK", "NG"]
    reasons: tuple[Mapping[str, str], ...]
    right: bool

    @classmethod
    def of(cls, golden: GoldenPart, verdict: Verdict) -> Shown:
        """Compare."""
        reasons = tuple(
            {"rule": r.rule, "code": r.code, "en": r.text("en"), "zh": r.text("zh")}
            for r in verdict.reasons
        )
        said: Literal["OK", "NG"] = "OK" if verdict.ok else "NG"
        return cls(golden, verdict.id, said, reasons, is_right(golden, verdict))

    def as_record(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return {
            "name": self.golden.name,
            "camera": self.golden.camera,
            "expected": self.golden.verdict,
            "reason": self.golden.reason,
            "label": self.golden.label,
            "part": self.part,
            "verdict": self.verdict,
            "reasons": [dict(reason) for reason in self.reasons],
            "right": self.right,
        }


@dataclass(frozen=True)
class Challenged:
    """A challenge that has ended.

    Attributes
    ----------
    id
        Names it among all of the station.
    at, ended
        From when to when, wall clock.
    by
        Who started it.
    ending
        ``passed``, ``wrong``, ``aborted`` by somebody, ``timeout``, or the station was ``stopped``.
    shown
        What was shown, in order.
    """

    id: str
    at: datetime
    ended: datetime
    by: str
    ending: Ending
    shown: tuple[Shown, ...]


def is_right(golden: GoldenPart, verdict: Verdict) -> bool:
    """Whether the station said what it must say.

    A bad part must be rejected for what it shows: one that was rejected since its picture was bad
    or its verdict late proves nothing.
    """
    if golden.verdict == "OK":
        return verdict.ok
    shown = [each for each in verdict.reasons if each.rule and each.code not in UNJUDGED]
    if golden.reason is not None:
        shown = [each for each in shown if each.code == golden.reason]
    if golden.label is not None:
        shown = [each for each in shown if each.values.get("label") == golden.label]
    return bool(shown)
