"""What one rule says of one part: yes, no, or that it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.judge.fields import squeeze
from edge.judge.patterns import MAX_LINE_CHARS
from edge.judge.reasons import Reason
from models.results import TextLine

__all__ = ["Outcome", "clip", "doubt", "forms", "split_sure"]

MAX_QUOTE = 60
"""Characters of print that a reason quotes: what fits on a line of a display."""


@dataclass(frozen=True)
class Outcome:
    """What a rule says.

    Attributes
    ----------
    value
        It holds, it does not, or (``None``) it could not be evaluated.
    reasons
        Why it does not hold; at least one unless ``value`` is true.
    fields
        Named fields that were read, whatever the value.
    """

    value: bool | None
    reasons: tuple[Reason, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


def split_sure(
    lines: Sequence[TextLine], min_score: float
) -> tuple[list[TextLine], list[TextLine]]:
    """Tell the lines that count as read from those that do not.

    Not read are those with a mean score below ``min_score``, those without a visible character,
    and those too long to be matched. They neither satisfy a rule nor prove that it fails.
    """
    sure: list[TextLine] = []
    unsure: list[TextLine] = []
    for line in lines:
        readable = line.score >= min_score and len(line.text) <= MAX_LINE_CHARS
        (sure if readable and squeeze(line.text) else unsure).append(line)
    return sure, unsure


def forms(line: TextLine) -> tuple[str, str]:
    """The line as it was read, and without its white space: both are tried."""
    return line.text, squeeze(line.text)


def doubt(rule: str, unsure: Sequence[TextLine], min_score: float) -> Reason:
    """The reason why unsure lines leave a rule open, told of the surest of them."""
    line = max(unsure, key=lambda each: each.score)
    if len(line.text) > MAX_LINE_CHARS:
        limits = {"length": str(len(line.text)), "limit": str(MAX_LINE_CHARS)}
        return Reason(rule, "too_long", limits)
    if not squeeze(line.text):
        return Reason(rule, "no_text")
    values = {
        "read": clip(line.text),
        "score": f"{line.score:.2f}",
        "min_score": f"{min_score:.2f}",
    }
    return Reason(rule, "unreadable", values)


def clip(*texts: str) -> str:
    """Print as a reason quotes it: the lines in one, shortened, nothing that breaks a line."""
    text = " / ".join(texts)
    text = "".join(char if char.isprintable() else "·" for char in text)
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"
