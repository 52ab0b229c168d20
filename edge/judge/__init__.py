"""Rules, judging and reasons: pure functions from findings to a verdict."""

from __future__ import annotations

from edge.judge.logic import Judgement, judge
from edge.judge.reasons import TEMPLATES, Language, Reason
from edge.judge.rules import Job, Rule

__all__ = ["TEMPLATES", "Job", "Judgement", "Language", "Reason", "Rule", "judge"]
