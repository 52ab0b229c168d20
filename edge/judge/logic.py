"""From the findings of a part to OK or NG.

Rules that name other rules follow Kleene's strong three-valued logic (S. C. Kleene, Introduction to
Metamathematics, 1952, §64): what cannot be evaluated stays unknown under ``not``, decides nothing
in ``all`` and ``any`` that another rule has not already decided, and at the top is NG.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from edge.judge.counting import judge_count, judge_no_defect, judge_presence
from edge.judge.outcome import Outcome
from edge.judge.reading import judge_code, judge_date, judge_pattern, judge_text
from edge.judge.reasons import Reason
from edge.judge.rules import (
    AnyRule,
    CodeRule,
    CountRule,
    DateRule,
    GroupRule,
    Job,
    LeafRule,
    NoDefectRule,
    NotRule,
    PatternRule,
    PresenceRule,
    Rule,
    TextRule,
)
from models.results import Findings

__all__ = ["Judgement", "judge"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judgement:
    """The verdict on one part.

    Attributes
    ----------
    ok
        Every rule was evaluated and holds.
    reasons
        Why not, the most useful first; empty if and only if ``ok``.
    fields
        What was read, as ``rule.field``; dates as ``YYYY-MM-DD``.
    """

    ok: bool
    reasons: tuple[Reason, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


def judge(
    rules: Sequence[Rule],
    findings: Mapping[str, Findings | None],
    job: Job,
    today: date,
    mm_per_pixel: float | None = None,
) -> Judgement:
    """Judge one part. Never raises; what goes wrong is NG and is logged.

    Parameters
    ----------
    rules
        All rules of the camera; those that another one names are not judged on their own.
    findings
        Region name -> what was found in it; ``None`` or absent if it could not be evaluated.
    job
        What is being made now.
    today
        The station's own date.
    mm_per_pixel
        Of the camera, if it is known.
    """
    try:
        return _Part(rules, findings, job, today, mm_per_pixel).judge()
    except Exception as error:
        _log.exception("a part could not be judged")
        return Judgement(False, (_failed("", error),))


def _failed(rule: str, error: Exception) -> Reason:
    return Reason(rule, "cannot_evaluate", {"error": f"{type(error).__name__}: {error}"})


class _Part:
    """One part on its way through the rules; each rule is evaluated once."""

    def __init__(
        self,
        rules: Sequence[Rule],
        findings: Mapping[str, Findings | None],
        job: Job,
        today: date,
        mm_per_pixel: float | None,
    ) -> None:
        self.rules = {rule.name: rule for rule in rules}
        if len(self.rules) < len(rules):
            raise ValueError("two rules have the same name")
        self.findings = findings
        self.job = job
        self.today = today
        self.mm_per_pixel = mm_per_pixel
        self.outcomes: dict[str, Outcome] = {}

    def judge(self) -> Judgement:
        inner = {name for rule in self.rules.values() for name in getattr(rule, "rules", ())}
        outcomes = [self.outcome(name) for name in self.rules if name not in inner]
        fields = {
            f"{name}.{key}": value
            for name in self.rules
            if name in self.outcomes
            for key, value in self.outcomes[name].fields.items()
        }
        if outcomes and all(outcome.value is True for outcome in outcomes):
            return Judgement(True, (), fields)
        # What the part shows is of more use to an operator than what could not be seen.
        ranked = sorted(
            (outcome for outcome in outcomes if outcome.value is not True),
            key=lambda outcome: outcome.value is None,
        )
        reasons = tuple(reason for outcome in ranked for reason in outcome.reasons)
        return Judgement(False, _distinct(reasons) or (Reason("", "no_rule"),), fields)

    def outcome(self, name: str) -> Outcome:
        if name not in self.outcomes:
            rule = self.rules[name]
            try:
                outcome = self.group(rule) if isinstance(rule, GroupRule) else self.leaf(rule)
            except Exception as error:
                _log.exception("rule %s could not be evaluated", name)
                outcome = Outcome(None, (_failed(name, error),))
            self.outcomes[name] = outcome
        return self.outcomes[name]

    def group(self, rule: GroupRule) -> Outcome:
        parts = [self.outcome(name) for name in rule.rules]
        values = [part.value for part in parts]
        if isinstance(rule, NotRule):
            if values[0] is None:
                return Outcome(None, parts[0].reasons)
            reason = Reason(rule.name, "forbidden", {"other": rule.rules[0]})
            return Outcome(False, (reason,)) if values[0] else Outcome(True)
        deciding = isinstance(rule, AnyRule)  # what one rule is enough to decide
        if deciding in values:
            value: bool | None = deciding
        else:
            value = None if None in values else not deciding
        if value is True:
            return Outcome(True)
        told = [part for part in parts if part.value is value]
        return Outcome(value, _distinct([reason for part in told for reason in part.reasons]))

    def leaf(self, rule: LeafRule) -> Outcome:
        found = self.findings.get(rule.region)
        if found is None:
            return Outcome(None, (Reason(rule.name, "no_result", {"region": rule.region}),))
        _check_numbers(found)
        if isinstance(rule, TextRule):
            return judge_text(rule, found.lines)
        if isinstance(rule, PatternRule):
            return judge_pattern(rule, found.lines)
        if isinstance(rule, DateRule):
            return judge_date(rule, found.lines, self.today)
        if isinstance(rule, CodeRule):
            return judge_code(rule, found.lines, self.job)
        if isinstance(rule, CountRule):
            return judge_count(rule, found)
        if isinstance(rule, PresenceRule):
            return judge_presence(rule, found)
        if isinstance(rule, NoDefectRule):
            return judge_no_defect(rule, found, self.mm_per_pixel)
        raise TypeError(f"unknown kind of rule {type(rule).__name__}")


def _check_numbers(found: Findings) -> None:
    """Refuse NaN and infinity, which compare as if a defect were small and unsure."""
    for line in found.lines:
        if not (math.isfinite(line.score) and np.isfinite(line.quad).all()):
            raise ValueError("a line has a score or corner that is no number")
    for defect in found.defects:
        if not (math.isfinite(defect.score) and np.isfinite(defect.box).all()):
            raise ValueError("a defect has a score or corner that is no number")


def _distinct(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    kept: list[Reason] = []
    for reason in reasons:
        if reason not in kept:
            kept.append(reason)
    return tuple(kept)
