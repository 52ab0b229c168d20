"""count, presence and no_defect."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from edge.judge import Job, Rule, judge
from models.results import Defect, Findings, TextLine

ADAPTER: TypeAdapter[Rule] = TypeAdapter(Rule)
GOOD, BAD = 0.9, 0.2


def rule(kind: str, **keys: Any) -> Rule:
    return ADAPTER.validate_python({"name": "it", "kind": kind, "region": "r", **keys})


def line(text: str, score: float = GOOD, at: tuple[float, float] = (0, 0)) -> TextLine:
    quad = np.array([[-5, -2], [5, -2], [5, 2], [-5, 2]], np.float32) + np.array(at, np.float32)
    return TextLine(text, score, quad)


def defect(label: str, score: float, *box: float) -> Defect:
    return Defect(label, score, np.array(box or (0, 0, 4, 4), np.float32))


def codes(of: Rule, *things: TextLine | Defect, scale: float | None = None) -> list[str]:
    lines = tuple(each for each in things if isinstance(each, TextLine))
    defects = tuple(each for each in things if isinstance(each, Defect))
    found = judge([of], {"r": Findings(lines, defects)}, Job(), date(2026, 3, 1), scale)
    assert found.ok == (not found.reasons)
    return [reason.code for reason in found.reasons]


@pytest.mark.parametrize(
    ("low", "high", "good", "unsure", "expected"),
    [
        (2, 2, 2, 0, []),
        (2, 2, 1, 0, ["count"]),
        (2, 2, 3, 0, ["count"]),
        (2, 2, 1, 1, ["unreadable"]),  # might be two
        (2, 2, 2, 1, ["unreadable"]),  # might be three
        (2, 2, 3, 1, ["count"]),  # too many already
        (2, 1000, 2, 5, []),  # enough already
        (3, 1000, 1, 1, ["count"]),  # never enough
        (0, 1, 0, 1, []),
        (0, 0, 0, 1, ["unreadable"]),
    ],
)
def test_count_of_lines(low: int, high: int, good: int, unsure: int, expected: list[str]) -> None:
    counted = rule("count", pattern="^X", min=low, max=high) if high < 1000 else None
    counted = counted or rule("count", pattern="^X", min=low)
    lines = [line("X1")] * good + [line("?", BAD)] * unsure + [line("other")]
    assert codes(counted, *lines) == expected


def test_count_of_things_takes_a_low_score_for_nothing() -> None:
    screws = rule("count", label="screw", min=2, max=2, min_score=0.6)
    two = [defect("screw", 0.6), defect("screw", 0.7), defect("nut", 0.9)]
    assert codes(screws, *two) == []
    assert codes(screws, *two, defect("screw", 0.59)) == []
    assert codes(screws, *two, defect("screw", 0.61)) == ["count"]


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(2, 2, "2"), (2, 4, "2–4"), (2, 1000, "≥ 2"), (0, 4, "≤ 4")],
)
def test_count_says_what_it_expected(low: int, high: int, shown: str) -> None:
    keys = {"min": low} if high == 1000 else {"min": low, "max": high}
    number = 5 if high < 1000 else 1
    found = judge(
        [rule("count", pattern="X", **keys)],
        {"r": Findings((line("X"),) * number)},
        Job(),
        date(2026, 3, 1),
    )
    assert found.reasons[0].text() == f"it: found {number}, expected {shown}"


@pytest.mark.parametrize(
    ("at", "expected"),
    [((10, 10), []), ((29.9, 19.9), []), ((30, 15), ["absent"]), ((9, 15), ["absent"])],
)
def test_presence_looks_at_the_centre(at: tuple[float, float], expected: list[str]) -> None:
    zone = [10, 10, 30, 20]
    assert codes(rule("presence", pattern="LOT", zone=zone), line("LOT 1", at=at)) == expected
    x, y = at
    thing = defect("seal", GOOD, x - 3, y - 3, x + 3, y + 3)
    assert codes(rule("presence", label="seal", zone=zone), thing) == expected


def test_presence_doubts_only_what_lies_in_the_zone() -> None:
    seen = rule("presence", pattern="LOT", zone=[10, 10, 30, 20])
    assert codes(seen, line("?", BAD, (15, 15))) == ["unreadable"]
    assert codes(seen, line("?", BAD, (50, 15))) == ["absent"]
    assert codes(seen, line("?", BAD, (15, 15)), line("LOT", at=(20, 15))) == []


@pytest.mark.parametrize(
    ("keys", "score", "size", "expected"),
    [
        ({}, 0.5, 1, ["defect"]),
        ({}, 0.49, 99, []),
        ({"min_size_px": 10}, 0.9, 10, ["defect"]),
        ({"min_size_px": 10}, 0.9, 9.9, []),
        ({"min_size_mm": 1}, 0.9, 10, ["defect"]),
        ({"min_size_mm": 1.01}, 0.9, 10, []),
        ({"labels": ["scratch", "dent"]}, 0.9, 5, ["defect"]),
        ({"labels": ["dent"]}, 0.9, 5, []),
    ],
)
def test_no_defect(keys: dict[str, Any], score: float, size: float, expected: list[str]) -> None:
    scratch = defect("scratch", score, 3, 3, 4, 3 + size)  # longest side
    assert codes(rule("no_defect", **keys), scratch, scale=0.1) == expected


def test_millimetres_without_a_scale_are_ng() -> None:
    assert codes(rule("no_defect", min_size_mm=1)) == ["no_scale"]


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["score", "box"])
def test_numbers_that_are_none_are_ng(number: float, where: str) -> None:
    broken = defect("x", number) if where == "score" else defect("x", BAD, 0, 0, 1, number)
    assert codes(rule("no_defect"), broken) == ["cannot_evaluate"]
    assert codes(rule("count", pattern="X", max=1), line("X", number)) == ["cannot_evaluate"]


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("count", {"min": 1}),
        ("count", {"pattern": "X", "label": "x", "min": 1}),
        ("count", {"pattern": "X"}),
        ("count", {"pattern": "X", "min": 3, "max": 2}),
        ("presence", {"pattern": "X"}),
        ("presence", {"zone": [1, 1, 2, 2]}),
        ("presence", {"pattern": "X", "zone": [2, 1, 1, 2]}),
        ("no_defect", {"min_size_px": 1, "min_size_mm": 1}),
        ("no_defect", {"min_score": 1.1}),
    ],
)
def test_rules_that_make_no_sense_are_refused(kind: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(kind, **keys)
