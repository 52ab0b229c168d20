"""Rules about what the print says: text, pattern, date, code.

``text`` and ``pattern`` ask whether something stands there: no line that says so is a plain no,
unless a line could not be read. ``date`` and ``code`` compare what stands there with something
else: without one clear date or lot they cannot be evaluated, so that ``not`` of them is NG too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from edge.judge.dates import parse_dates
from edge.judge.fields import squeeze
from edge.judge.outcome import Outcome, clip, doubt, forms, split_sure
from edge.judge.reasons import Reason
from edge.judge.rules import CodeRule, DateRule, Job, PatternRule, TextRule
from models.results import TextLine

__all__ = ["judge_code", "judge_date", "judge_pattern", "judge_text"]


def judge_text(rule: TextRule, lines: Sequence[TextLine]) -> Outcome:
    """One line reads exactly so, but for white space."""
    sure, unsure = split_sure(lines, rule.min_score)
    expected = squeeze(rule.equals)
    if any(squeeze(line.text) == expected for line in sure):
        return Outcome(True)
    values = {"read": clip(*(line.text for line in sure)), "expected": clip(rule.equals)}
    reason = _why_not(rule, sure, unsure, Reason(rule.name, "mismatch", values))
    return Outcome(None if unsure else False, (reason,))


def judge_pattern(rule: PatternRule, lines: Sequence[TextLine]) -> Outcome:
    """One line matches."""
    sure, unsure = split_sure(lines, rule.min_score)
    for line in sure:
        for match in _matches(rule.pattern, line):
            return Outcome(True, fields=_fields(match))
    reason = _why_not(rule, sure, unsure, _no_match(rule, sure))
    return Outcome(None if unsure else False, (reason,))


def judge_code(rule: CodeRule, lines: Sequence[TextLine], job: Job) -> Outcome:
    """Every line that matches carries the lot of the job, and one does."""
    if job.lot is None:
        return Outcome(None, (Reason(rule.name, "no_lot"),))
    sure, unsure = split_sure(lines, rule.min_score)
    fields: dict[str, str] = {}
    wrong: list[str] = []
    for line in sure:
        lots = [match["lot"] or "" for match in _matches(rule.pattern, line)]
        right = [lot for lot in lots if squeeze(lot) == squeeze(job.lot)]
        if lots:
            fields.setdefault("lot", (right or lots)[0])
        if lots and not right:
            wrong.append(lots[0])
    if wrong:
        values = {"read": clip(*wrong), "expected": clip(job.lot)}
        return Outcome(False, (Reason(rule.name, "mismatch", values),), fields)
    if fields:
        return Outcome(True, fields=fields)
    return Outcome(None, (_why_not(rule, sure, unsure, _no_match(rule, sure)),))


def judge_date(rule: DateRule, lines: Sequence[TextLine], today: date) -> Outcome:
    """Every date that the pattern finds is real and within the window, and it finds one."""
    sure, unsure = split_sure(lines, rule.min_score)
    texts = _named(rule.pattern, "date", sure)
    if not texts:
        return Outcome(None, (_why_not(rule, sure, unsure, _no_match(rule, sure)),))
    dates: set[date] = set()
    for candidates in texts:
        days = _days(candidates, rule.formats)
        if len(days) != 1:
            values = {"read": clip(candidates[0]), "formats": ", ".join(rule.formats)}
            return Outcome(None, (Reason(rule.name, "bad_date", values),))
        dates |= days
    fields = {"date": min(dates).isoformat()}
    reasons = [reason for day in sorted(dates) for reason in _outside(rule, day, today)]
    if reasons or rule.made_pattern is None or rule.shelf_life_days is None:
        return Outcome(not reasons, tuple(reasons[:1]), fields)

    made = [_days(each, rule.formats) for each in _named(rule.made_pattern, "made", sure)]
    if not made or set().union(*made) != made[0] or len(made[0]) != 1:
        read = clip(*(line.text for line in sure))
        return Outcome(None, (Reason(rule.name, "no_made", {"read": read}),), fields)
    start = min(made[0])
    fields["made"] = start.isoformat()
    for day in sorted(dates):
        if abs((day - start).days - rule.shelf_life_days) > rule.tolerance_days:
            return Outcome(False, (_shelf_life(rule, start, day),), fields)
    return Outcome(True, fields=fields)


def _matches(pattern: re.Pattern[str], line: TextLine) -> list[re.Match[str]]:
    found = (pattern.search(form) for form in forms(line))
    return [match for match in found if match]


def _fields(match: re.Match[str]) -> dict[str, str]:
    return {name: text for name, text in match.groupdict().items() if text is not None}


def _named(pattern: re.Pattern[str], field: str, lines: Sequence[TextLine]) -> list[list[str]]:
    """For each line that matches, what the field may be."""
    found = ([match[field] or "" for match in _matches(pattern, line)] for line in lines)
    return [texts for texts in found if texts]


def _days(candidates: Sequence[str], formats: Sequence[str]) -> set[date]:
    return {day for text in candidates for day in parse_dates(text, formats)}


def _outside(rule: DateRule, day: date, today: date) -> list[Reason]:
    shown = {"date": day.isoformat()}
    if rule.not_expired and day < today:
        return [Reason(rule.name, "expired", shown)]
    distance = (day - today).days
    if rule.earliest is not None and distance < rule.earliest:
        limit = today + timedelta(days=rule.earliest)
        return [Reason(rule.name, "date_early", {**shown, "limit": limit.isoformat()})]
    if distance > rule.max_days:
        limit = today + timedelta(days=rule.max_days)
        return [Reason(rule.name, "date_late", {**shown, "limit": limit.isoformat()})]
    return []


def _shelf_life(rule: DateRule, made: date, day: date) -> Reason:
    spread = f" ± {rule.tolerance_days}" if rule.tolerance_days else ""
    values = {
        "made": made.isoformat(),
        "date": day.isoformat(),
        "days": str((day - made).days),
        "expected": f"{rule.shelf_life_days}{spread}",
    }
    return Reason(rule.name, "shelf_life", values)


def _no_match(rule: PatternRule | DateRule | CodeRule, sure: Sequence[TextLine]) -> Reason:
    return Reason(rule.name, "no_match", {"read": clip(*(line.text for line in sure))})


def _why_not(
    rule: TextRule | PatternRule | DateRule | CodeRule,
    sure: Sequence[TextLine],
    unsure: Sequence[TextLine],
    otherwise: Reason,
) -> Reason:
    if unsure:
        return doubt(rule.name, unsure, rule.min_score)
    return otherwise if sure else Reason(rule.name, "no_text")
