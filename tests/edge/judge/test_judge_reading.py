"""text, pattern, code and date on lines of print."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edge.judge import Job, Judgement, Rule, judge
from models.results import Findings, TextLine

TODAY = date(2026, 3, 1)
ADAPTER: TypeAdapter[Rule] = TypeAdapter(Rule)
QUAD = np.zeros((4, 2), np.float32)


def rule(kind: str, **keys: Any) -> Rule:
    return ADAPTER.validate_python({"name": "it", "kind": kind, "region": "r", **keys})


def see(rule: Rule, *texts: str | tuple[str, float], lot: str | None = "L2611A") -> Judgement:
    pairs = [text if isinstance(text, tuple) else (text, 0.9) for text in texts]
    lines = tuple(TextLine(text, score, QUAD) for text, score in pairs)
    return judge([rule], {"r": Findings(lines)}, Job(lot=lot), TODAY)


def opposite(inner: Rule, *texts: str | tuple[str, float], lot: str | None = "L2611A") -> Judgement:
    pairs = [text if isinstance(text, tuple) else (text, 0.9) for text in texts]
    lines = tuple(TextLine(text, score, QUAD) for text, score in pairs)
    outer = ADAPTER.validate_python({"name": "no", "kind": "not", "rules": ["it"]})
    return judge([outer, inner], {"r": Findings(lines)}, Job(lot=lot), TODAY)


def codes(judgement: Judgement) -> list[str]:
    assert judgement.ok == (not judgement.reasons)
    return [reason.code for reason in judgement.reasons]


TEXT = rule("text", equals="TEA CO.")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["TEA CO."], []),
        (["x", " T E A　CO . "], []),  # white space never counts, the wide one neither
        (["TEA C0."], ["mismatch"]),
        (["tea co."], ["mismatch"]),
        (["TEA CO.."], ["mismatch"]),
        ([], ["no_text"]),
        ([("TEA CO.", 0.59)], ["unreadable"]),
        ([("TEA CO.", 0.6)], []),
        (["other", ("???", 0.1)], ["unreadable"]),
        (["TEA CO.", ("???", 0.1)], []),
        ([("", 0.9)], ["no_text"]),
        (["TEA CO." + " " * 100], ["too_long"]),
    ],
)
def test_text(texts: list[str | tuple[str, float]], expected: list[str]) -> None:
    assert codes(see(TEXT, *texts)) == expected


def test_a_reason_reads_like_a_sentence() -> None:
    job = see(rule("code", pattern=r"LOT ?(?P<lot>\w{1,9})"), "LOT L2611B")
    assert job.reasons[0].text("en") == "it: read “L2611B”, expected “L2611A”"
    assert job.reasons[0].text("zh") == "it：读到“L2611B”，应为“L2611A”"
    assert job.fields == {"it.lot": "L2611B"}


def test_pattern_tries_the_line_as_read_and_then_squeezed() -> None:
    shift = rule("pattern", pattern="^SHIFT(?P<shift>[ABC])(?P<line>[0-9])?$")
    assert see(shift, "junk", "SH IFT B").fields == {"it.shift": "B"}
    spaced = rule("pattern", pattern="NET WT (?P<g>[0-9]{1,4}) g")
    assert see(spaced, "NET WT 500 g").ok
    assert codes(see(shift, "SHIFT D")) == ["no_match"]
    assert codes(see(shift)) == ["no_text"]
    assert codes(see(shift, ("SHIFT B", 0.2))) == ["unreadable"]


CODE = rule("code", pattern=r"LOT ?(?P<lot>\w{1,12})")


@pytest.mark.parametrize(
    ("texts", "lot", "expected"),
    [
        (["LOT L2611A"], "L2611A", []),
        (["LOTL26 11A"], "L2611A", []),
        (["LOT L26 11A"], "L2611A", []),
        (["LOT L2611A"], "L26 11A", []),
        (["LOT L2611A"], None, ["no_lot"]),
        (["LOT L261IA"], "L2611A", ["mismatch"]),
        (["LOT L2611A", "LOT L2611B"], "L2611A", ["mismatch"]),  # two lots, one is wrong
        (["L2611A"], "L2611A", ["no_match"]),
        (["LOT l2611a"], "L2611A", ["mismatch"]),
        ([("LOT L2611A", 0.3)], "L2611A", ["unreadable"]),
        ([], "L2611A", ["no_text"]),
    ],
)
def test_code(texts: list[str | tuple[str, float]], lot: str | None, expected: list[str]) -> None:
    assert codes(see(CODE, *texts, lot=lot)) == expected


@given(st.integers(0, 5), st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_no_misread_character_of_a_lot_passes(place: int, misread: str) -> None:
    lot = "L2611A"
    read = lot[:place] + misread + lot[place + 1 :]
    assert see(CODE, f"LOT {read}").ok == (read == lot)


EXP = r"EXP ?(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
MFG = r"MFG ?(?P<made>[0-9]{4}-[0-9]{2}-[0-9]{2})"


def date_rule(**keys: Any) -> Rule:
    return rule("date", **{"pattern": EXP, "formats": ["%Y-%m-%d"], **keys})


@pytest.mark.parametrize(
    ("keys", "texts", "expected"),
    [
        ({"not_expired": True}, ["EXP 2026-03-01"], []),
        ({"not_expired": True}, ["EXP 2026-02-28"], ["expired"]),
        ({}, ["EXP 2026-02-28"], []),
        ({}, ["EXP 2026-02-29"], ["bad_date"]),
        ({}, ["EXP 2036-03-01"], []),
        ({}, ["EXP 2096-03-01"], ["date_late"]),  # a misread year, or a clock back in 1970
        ({"min_days": 30}, ["EXP 2026-03-31"], []),
        ({"min_days": 30}, ["EXP 2026-03-30"], ["date_early"]),
        ({"min_days": 30, "not_expired": True}, ["EXP 2026-02-01"], ["expired"]),
        ({"min_days": -9, "not_expired": True}, ["EXP 2026-02-27"], ["expired"]),
        ({"max_days": 10}, ["EXP 2026-03-11"], []),
        ({"max_days": 10}, ["EXP 2026-03-12"], ["date_late"]),
        ({"min_days": -2, "max_days": 0}, ["EXP 2026-02-27"], []),
        ({"min_days": -2, "max_days": 0}, ["EXP 2026-02-26"], ["date_early"]),
        ({"not_expired": True}, ["EXP 2027-01-01", "EXP 2025-01-01"], ["expired"]),
        ({}, ["junk"], ["no_match"]),
        ({}, [], ["no_text"]),
        ({}, [("EXP 2026-05-01", 0.1)], ["unreadable"]),
        ({}, ["EXP 2026-0 5-01"], []),
    ],
)
def test_date_window(keys: Mapping[str, Any], texts: list[str], expected: list[str]) -> None:
    assert codes(see(date_rule(**keys), *texts)) == expected


@pytest.mark.parametrize(
    ("made", "expires", "tolerance", "expected"),
    [
        ("2025-06-01", "2026-06-01", 0, []),
        ("2024-02-29", "2025-02-28", 0, []),  # 365 days over a leap day
        ("2023-06-01", "2024-06-01", 0, ["shelf_life"]),  # 366
        ("2023-06-01", "2024-06-01", 1, []),
        ("2025-06-01", "2026-05-30", 1, ["shelf_life"]),
        ("2026-06-01", "2025-06-01", 0, ["shelf_life"]),
        ("2025-06-31", "2026-06-01", 0, ["no_made"]),
        ("", "2026-06-01", 0, ["no_made"]),
    ],
)
def test_shelf_life(made: str, expires: str, tolerance: int, expected: list[str]) -> None:
    checked = date_rule(made_pattern=MFG, shelf_life_days=365, tolerance_days=tolerance)
    found = see(checked, f"MFG {made}", f"EXP {expires}")
    assert codes(found) == expected
    if not expected:
        assert found.fields == {"it.date": expires, "it.made": made}


def test_two_production_dates_are_none() -> None:
    checked = date_rule(made_pattern=MFG, shelf_life_days=365)
    same = ["MFG 2025-06-01", "MFG 2025-06-01", "EXP 2026-06-01"]
    assert see(checked, *same).ok
    assert codes(see(checked, "MFG 2025-06-02", *same)) == ["no_made"]


def test_every_date_must_keep_its_shelf_life() -> None:
    checked = date_rule(made_pattern=MFG, shelf_life_days=365)
    late = ["MFG 2025-06-01", "EXP 2026-06-01", "EXP 2026-06-02"]
    assert codes(see(checked, *late)) == ["shelf_life"]


def test_a_production_date_that_two_formats_read_differently_is_none() -> None:
    checked = rule(
        "date",
        pattern="E(?P<date>[0-9]{6})",
        formats=["%d%m%y", "%y%m%d"],
        made_pattern="M(?P<made>[0-9]{6})",
        shelf_life_days=365,
        tolerance_days=366,
    )
    assert see(checked, "M111111", "E121212").ok
    assert codes(see(checked, "M101112", "E121212")) == ["no_made"]


def test_a_date_that_two_formats_read_differently_is_refused() -> None:
    unclear = rule("date", pattern="(?P<date>[0-9]{6})", formats=["%d%m%y", "%y%m%d"])
    assert codes(see(unclear, "101112")) == ["bad_date"]


@pytest.mark.parametrize("text", ["EXP 2026-13-01", "EXP O026-01-01", "", "EXP"])
def test_not_of_a_date_that_is_none_is_ng(text: str) -> None:
    past = date_rule(max_days=-1)
    assert opposite(past, "EXP 2027-01-01").ok
    assert not opposite(past, "EXP 2025-01-01").ok
    assert not opposite(past, text).ok


def test_not_of_what_could_not_be_read_is_ng() -> None:
    assert opposite(TEXT, "other").ok
    assert codes(opposite(TEXT, "TEA CO.")) == ["forbidden"]
    assert codes(opposite(TEXT, ("smear", 0.2))) == ["unreadable"]
    assert codes(opposite(CODE, "LOT X", lot=None)) == ["no_lot"]
    assert codes(opposite(CODE, "no lot here")) == ["no_match"]


@pytest.mark.parametrize(
    "keys",
    [
        {"made_pattern": MFG},
        {"shelf_life_days": 3},
        {"tolerance_days": 3},
        {"min_days": 5, "max_days": 4},
        {"max_days": -1, "not_expired": True},
        {"formats": []},
        {"pattern": "EXP"},
    ],
)
def test_date_rules_that_make_no_sense_are_refused(keys: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        date_rule(**keys)


@given(
    st.sampled_from([TEXT, CODE, date_rule(made_pattern=MFG, shelf_life_days=9)]),
    st.lists(st.tuples(st.text(max_size=130), st.floats()), max_size=4),
)
def test_any_print_is_judged(any_rule: Rule, lines: list[tuple[str, float]]) -> None:
    found = see(any_rule, *lines)
    assert codes(found) != [] or found.ok
    for reason in found.reasons:
        for language in ("en", "zh"):
            assert reason.text(language).isprintable()
