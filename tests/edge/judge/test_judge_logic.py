"""all, any, not over rules that hold, fail or cannot be evaluated; and what goes wrong inside."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edge.judge import TEMPLATES, Job, Judgement, Rule, judge
from models.results import Defect, Findings, TextLine

ADAPTER: TypeAdapter[Rule] = TypeAdapter(Rule)
TODAY = date(2026, 3, 1)
QUAD = np.zeros((4, 2), np.float32)
YES, NO = Findings((TextLine("Y", 0.9, QUAD),)), Findings((TextLine("N", 0.9, QUAD),))
UNSURE = Findings((TextLine("Y", 0.1, QUAD),))
FOUND: dict[str, Findings | None] = {"yes": YES, "no": NO, "unsure": UNSURE, "dead": None}
WORTH = {"yes": 1.0, "no": 0.0, "unsure": 0.5, "dead": 0.5, "absent": 0.5}


def leaf(name: str, region: str) -> Rule:
    return ADAPTER.validate_python({"name": name, "kind": "text", "region": region, "equals": "Y"})


def group(name: str, kind: str, *rules: str) -> Rule:
    return ADAPTER.validate_python({"name": name, "kind": kind, "rules": list(rules)})


def see(*rules: Rule) -> Judgement:
    found = judge(rules, FOUND, Job(), TODAY)
    assert found.ok == (not found.reasons)
    return found


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[Rule], list[float]]:
    """Rules, each naming only earlier ones, and Lukasiewicz' numbers for them as the oracle."""
    rules: list[Rule] = []
    worth: list[float] = []
    for number in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["leaf", "all", "any", "not"])) if rules else "leaf"
        size = 1 if kind == "not" else draw(st.integers(1, 4))
        if kind == "leaf":
            region = draw(st.sampled_from(sorted(WORTH)))
            rules.append(leaf(f"r{number}", region))
            worth.append(WORTH[region])
            continue
        inner = draw(st.lists(st.integers(0, number - 1), min_size=size, max_size=size))
        values = [worth[each] for each in inner]
        rules.append(group(f"r{number}", kind, *(f"r{each}" for each in inner)))
        worth.append({"all": min(values), "any": max(values), "not": 1 - values[0]}[kind])
    return rules, worth


@given(trees(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_rule_trees_follow_three_valued_logic(
    tree: tuple[list[Rule], list[float]], random: Any
) -> None:
    rules, worth = tree
    inner = {name for rule in rules for name in getattr(rule, "rules", ())}
    top = [value for rule, value in zip(rules, worth, strict=True) if rule.name not in inner]
    shuffled = random.sample(rules, len(rules))
    assert see(*shuffled).ok == (min(top) == 1)


@given(trees())
@settings(max_examples=40)
def test_not_turns_only_a_plain_no_into_ok(tree: tuple[list[Rule], list[float]]) -> None:
    rules, worth = tree
    last = [*rules, group("last", "not", rules[-1].name)]
    inner = {name for rule in last for name in getattr(rule, "rules", ())}
    rest = [w for rule, w in zip(rules, worth, strict=True) if rule.name not in inner]
    assert see(*last).ok == (worth[-1] == 0 and all(value == 1 for value in rest))


def test_every_combination_of_two() -> None:
    names = sorted(WORTH)
    for one in names:
        for two in names:
            pair = [leaf("a", one), leaf("b", two)]
            assert see(*pair, group("g", "all", "a", "b")).ok == (WORTH[one] == WORTH[two] == 1)
            assert see(*pair, group("g", "any", "a", "b")).ok == (1 in (WORTH[one], WORTH[two]))


def test_named_rules_are_not_judged_on_their_own() -> None:
    assert see(leaf("a", "no"), leaf("b", "yes"), group("g", "any", "a", "b")).ok
    assert not see(leaf("a", "no"), leaf("b", "yes")).ok


def test_what_the_part_shows_comes_before_what_could_not_be_seen() -> None:
    found = see(leaf("a", "dead"), leaf("b", "no"), leaf("c", "yes"), leaf("d", "no"))
    assert [(each.rule, each.code) for each in found.reasons] == [
        ("b", "mismatch"),
        ("d", "mismatch"),
        ("a", "no_result"),
    ]


def test_a_reason_is_told_once() -> None:
    rules = [leaf("a", "no"), group("g", "all", "a", "a"), group("h", "all", "a")]
    assert [each.code for each in see(*rules).reasons] == ["mismatch"]


def test_nothing_to_judge_by_is_ng() -> None:
    assert [each.code for each in see().reasons] == ["no_rule"]


@pytest.mark.parametrize(
    "rules",
    [
        [group("a", "all", "b"), group("b", "not", "a")],
        [group("a", "not", "a")],
    ],
)
def test_a_circle_is_ng(rules: list[Rule]) -> None:
    assert not see(*rules).ok


def test_an_unknown_name_or_two_of_one_are_ng(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert [each.code for each in see(group("a", "not", "?")).reasons] == ["cannot_evaluate"]
        twice = see(leaf("a", "no"), leaf("a", "yes"))
    assert [each.code for each in twice.reasons] == ["cannot_evaluate"]
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "broken",
    [
        Findings((TextLine("Y", 0.9, np.zeros(3, np.float32)),)),
        Findings((TextLine(None, 0.9, QUAD),)),  # type: ignore[arg-type]
        Findings((TextLine("Y", "high", QUAD),)),  # type: ignore[arg-type]
        Findings((), (Defect("x", 0.9, np.zeros(1, np.float32)),)),
        "nonsense",
    ],
)
@pytest.mark.parametrize(
    "keys",
    [
        {"kind": "presence", "pattern": "Y", "zone": [0, 0, 9, 9]},
        {"kind": "no_defect"},
        {"kind": "text", "equals": "Y"},
    ],
)
def test_broken_findings_never_raise(
    broken: Any, keys: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    rule = ADAPTER.validate_python({"name": "a", "region": "r", **keys})
    found = judge([rule], {"r": broken}, Job(), TODAY)
    assert found.ok == (not found.reasons)
    for reason in found.reasons:
        assert reason.code in TEMPLATES
    if broken == "nonsense":
        assert not found.ok
        assert caplog.records


def test_broken_arguments_never_raise(caplog: pytest.LogCaptureFixture) -> None:
    for rules, findings in (([None], FOUND), (None, FOUND), ([leaf("a", "yes")], None)):
        assert not judge(rules, findings, Job(), TODAY).ok  # type: ignore[arg-type]
    assert len(caplog.records) == 3


def test_the_deepest_nesting_a_station_may_have_is_judged() -> None:
    rules = [leaf("r0", "yes"), *(group(f"r{n}", "all", f"r{n - 1}") for n in range(1, 128))]
    assert see(*rules).ok
