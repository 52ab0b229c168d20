"""Rules about what is there and where: count, presence, no_defect."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.judge.fields import Box
from edge.judge.outcome import Outcome, doubt, forms, split_sure
from edge.judge.reasons import Reason
from edge.judge.rules import PRINT_SCORE, CountRule, NoDefectRule, PresenceRule
from models.results import Defect, Findings, TextLine

__all__ = ["judge_count", "judge_no_defect", "judge_presence"]


def judge_count(rule: CountRule, found: Findings) -> Outcome:
    """So many are there, whatever the unsure lines may say."""
    if (unknown := _unknown(rule, found)) is not None:
        return unknown
    sure, unsure = _sought(rule, found)
    least, most = len(sure), len(sure) + len(unsure)
    if rule.min <= least and most <= rule.max:
        return Outcome(True)
    if unsure and most >= rule.min and least <= rule.max:
        return Outcome(None, (doubt(rule.name, unsure, _min_score(rule, found)),))
    count = str(least) if least == most else f"{least}–{most}"
    return Outcome(False, (Reason(rule.name, "count", {"count": count, "expected": _range(rule)}),))


def judge_presence(rule: PresenceRule, found: Findings) -> Outcome:
    """One has its centre in the zone."""
    if (unknown := _unknown(rule, found)) is not None:
        return unknown
    sure, unsure = _sought(rule, found)
    if any(_inside(rule.zone, thing) for thing in sure):
        return Outcome(True)
    unsure = [line for line in unsure if _inside(rule.zone, line)]
    if unsure:
        return Outcome(None, (doubt(rule.name, unsure, _min_score(rule, found)),))
    sought = rule.label or (rule.pattern.pattern if rule.pattern else "")
    return Outcome(False, (Reason(rule.name, "absent", {"sought": sought}),))


def judge_no_defect(rule: NoDefectRule, found: Findings, mm_per_pixel: float | None) -> Outcome:
    """None of these classes is as sure and as large as this; one of just that size counts.

    Sizes are told in millimetres where the camera's scale is known, unless the rule speaks of
    pixels.
    """
    if rule.min_size_mm is not None and mm_per_pixel is None:
        return Outcome(None, (Reason(rule.name, "no_scale"),))
    reasons = []
    for defect in sorted(found.defects, key=lambda each: -each.score):
        if rule.labels and defect.label not in rule.labels:
            continue
        size = float(max(defect.box[2:] - defect.box[:2]))
        shown, limit, unit = size, rule.min_size_px, "px"
        if mm_per_pixel is not None and not rule.min_size_px:
            shown, limit, unit = size * mm_per_pixel, rule.min_size_mm or 0, "mm"
        if defect.score < _min_score(rule, found) or shown < limit:
            continue
        values = {
            "label": defect.label,
            "size": f"{shown:.1f} {unit}",
            "score": f"{defect.score:.2f}",
        }
        reasons.append(Reason(rule.name, "defect", values))
    if reasons:
        return Outcome(False, tuple(reasons))
    return _unknown(rule, found) or Outcome(True)


def _min_score(rule: CountRule | PresenceRule | NoDefectRule, found: Findings) -> float:
    """Score from which a line or defect counts: the rule's, else its model's own."""
    if rule.min_score is not None:
        return rule.min_score
    by_pattern = not isinstance(rule, NoDefectRule) and rule.pattern is not None
    return PRINT_SCORE if by_pattern else found.threshold


def _unknown(rule: CountRule | PresenceRule | NoDefectRule, found: Findings) -> Outcome | None:
    """Say so if defects that would count may be missing among the findings."""
    if _min_score(rule, found) >= found.floor:
        return None
    return Outcome(None, (Reason(rule.name, "too_many", {"floor": f"{found.floor:.2f}"}),))


def _sought(
    rule: CountRule | PresenceRule, found: Findings
) -> tuple[Sequence[TextLine | Defect], Sequence[TextLine]]:
    """What the rule asks for, and the lines that may be it for all one knows."""
    if rule.pattern is None:
        wanted = (each for each in found.defects if each.label == rule.label)
        return [each for each in wanted if each.score >= _min_score(rule, found)], []
    sure, unsure = split_sure(found.lines, _min_score(rule, found))
    return [line for line in sure if _matches(rule.pattern, line)], unsure


def _matches(pattern: re.Pattern[str], line: TextLine) -> bool:
    return any(pattern.search(form) for form in forms(line))


def _inside(zone: Box, thing: TextLine | Defect) -> bool:
    corners: NDArray[np.float32] = thing.quad if isinstance(thing, TextLine) else thing.box
    x, y = np.reshape(corners, (-1, 2)).mean(axis=0)
    x0, y0, x1, y1 = zone
    return bool(x0 <= x < x1 and y0 <= y < y1)


def _range(rule: CountRule) -> str:
    if rule.min == rule.max:
        return str(rule.min)
    if rule.max == 1000:
        return f"≥ {rule.min}"
    return f"≤ {rule.max}" if rule.min == 0 else f"{rule.min}–{rule.max}"
