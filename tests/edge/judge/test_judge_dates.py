"""Printed dates, against strptime as the independent reader."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.judge.dates import compile_format, parse_dates

FULL = ["%Y-%m-%d", "%Y%m%d", "%d.%m.%y", "%d/%b/%Y", "%d%b%y", "%Y年%m月%d日", "%y%j", "%Y %m %d"]
ANY_DAY = st.dates(date(1970, 1, 1), date(2068, 12, 31))


@given(ANY_DAY, st.sampled_from(FULL))
def test_what_strftime_prints_is_read_back(day: date, form: str) -> None:
    printed = day.strftime(form)
    assert parse_dates(printed, [form]) == {day}
    assert parse_dates(f" {printed.upper()[:4]} {printed.upper()[4:]} ", [form]) == {day}


@given(
    ANY_DAY,
    st.sampled_from(FULL),
    st.integers(0, 12),
    st.sampled_from([*"0123456789 OBIl.-/年日", ""]),
)
def test_a_misread_date_is_never_more_than_strptime_allows(
    day: date, form: str, place: int, misread: str
) -> None:
    printed = day.strftime(form)
    text = printed[:place] + misread + printed[place + 1 :]
    for found in parse_dates(text, [form]):
        squeezed = "".join(text.split())
        assert datetime.strptime(squeezed, form.replace(" ", "")).date() == found
        assert len(squeezed) == len(printed.replace(" ", ""))  # no character is made up


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026111", "%Y%m%d"),  # strptime says 1 November
        ("5.1.26", "%d.%m.%y"),
        ("2026-02-29", "%Y-%m-%d"),
        ("2025366", "%Y%j"),
        ("0000-01-01", "%Y-%m-%d"),
        ("2026-13-01", "%Y-%m-%d"),
        ("2026-11-O5", "%Y-%m-%d"),
        ("٢٠٢٦-١١-٠٥", "%Y-%m-%d"),
        ("05NOW26", "%d%b%y"),
        ("2026-11-05x", "%Y-%m-%d"),
        ("2026x11x05", "%Y.%m.%d"),  # a dot is a dot
        ("", "%Y-%m-%d"),
    ],
)
def test_what_is_no_date(text: str, form: str) -> None:
    assert parse_dates(text, [form]) == set()


@pytest.mark.parametrize(
    ("text", "form", "day"),
    [
        ("2024-02-29", "%Y-%m-%d", date(2024, 2, 29)),
        ("2024366", "%Y%j", date(2024, 12, 31)),
        ("02/2024", "%m/%Y", date(2024, 2, 29)),  # best before end
        ("FEB2026", "%b%Y", date(2026, 2, 28)),
        ("05 nov 26", "%d%b%y", date(2026, 11, 5)),
        ("010169", "%d%m%y", date(1969, 1, 1)),
        ("010168", "%d%m%y", date(2068, 1, 1)),
        ("100%2026-01-02", "100%%%Y-%m-%d", date(2026, 1, 2)),
    ],
)
def test_leap_days_months_and_centuries(text: str, form: str, day: date) -> None:
    assert parse_dates(text, [form]) == {day}


def test_two_formats_that_disagree_give_both_days() -> None:
    both = {date(2012, 11, 10), date(2010, 11, 12)}
    assert parse_dates("101112", ["%d%m%y", "%y%m%d"]) == both
    assert parse_dates("111111", ["%d%m%y", "%y%m%d"]) == {date(2011, 11, 11)}


@pytest.mark.parametrize(
    "form", ["", "EXP", "%Y", "%d", "%Y-%d", "%Y-%y-%m-%d", "%H:%M", "%", "%Y%m%d%", "%m%b%Y", "%D"]
)
def test_formats_that_name_no_day_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match=r"must name|is unknown"):
        compile_format(form)


@given(st.text(max_size=20), st.sampled_from(FULL))
def test_any_text_is_read_without_an_error(text: str, form: str) -> None:
    assert len(parse_dates(text, [form])) <= 1
