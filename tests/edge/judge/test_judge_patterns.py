"""Patterns: what compiles, and what could run away."""

from __future__ import annotations

import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edge.judge.patterns import MAX_LINE_CHARS, MAX_PATHS, Pattern, count_paths

ADAPTER: TypeAdapter[re.Pattern[str]] = TypeAdapter(Pattern)


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("abc", 98),  # start positions
        ("a*", 5151),  # sum of 101 - n
        ("ab|c", 199),
        ("a?b", 199),
        (r"LOT:?\d{1,3}", 573),
        ("(?:ab){2}", 97),
        ("^a$", 100),
        (r"(a)\1", 100),
        ("(?=ab|c)d", 200),
        ("a{101,}", 0),
    ],
)
def test_ways_counted_by_hand(pattern: str, paths: int) -> None:
    assert count_paths(pattern) == paths


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a|aa)+b",
        "([a-zA-Z]+)*x",
        "(.*a){12}",
        r"(\w+ ?)+x",
        r"(\s*,?)*;",
        "(?:a?){40}b",
        r"a*a*a*a*b",
        "(?=(a+)+b)a",
        "((a{1,9}){1,9}){1,9}b",
    ],
)
def test_patterns_that_could_run_away_are_refused(pattern: str) -> None:
    assert count_paths(pattern) == math.inf or count_paths(pattern) > MAX_PATHS
    with pytest.raises(ValidationError, match="could take minutes"):
        ADAPTER.validate_python(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "a*a*a*b",
        r"LOT\s*:?\s*(?P<lot>[A-Z0-9]+)",
        "(?:a|b|ab){6}c",
        r"(\w{1,20} ?){3}x",
        "(?=a*a*b)a",
        r"(?P<date>\d{1,4}[-/.]?\d{1,2}[-/.]?\d{1,4})x",
    ],
)
@pytest.mark.parametrize("worst", ["a", "1", "LOT:", " "])
def test_what_is_accepted_is_fast_on_the_worst_line(pattern: str, worst: str) -> None:
    compiled = ADAPTER.validate_python(pattern)
    line = (worst * MAX_LINE_CHARS)[:MAX_LINE_CHARS]
    started = time.perf_counter()
    compiled.search(line)
    assert time.perf_counter() - started < 5  # runaways take hours


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("", "1 to 500"),
        ("a" * 501, "1 to 500"),
        ("a(", "unterminated subpattern at character 2"),
        ("a**", "multiple repeat at character 3"),
        ("[[a]", "Possible nested set"),
        ("x(?i)", "no regular expression"),
        ("(" * 250 + "a" + ")" * 249, "no regular expression"),
        ("a{99999999999999}", "no regular expression"),
        ("a*", "empty line"),
        (r"(?P<lot>\w*)", "empty line"),
        (3, "valid pattern"),
    ],
)
def test_faults_name_the_place(pattern: object, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        ADAPTER.validate_python(pattern)


@given(st.text(st.sampled_from("ab()[]{}|*+?.^$\\dw0123456789,<>=!:P#-& "), max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        compiled = ADAPTER.validate_python(text)
    except ValidationError:
        return
    compiled.search("ab1 " * 25)
