"""Dates as they are printed on packs, read strictly.

A subset of :meth:`datetime.datetime.strptime` with fixed widths. ``strptime`` itself takes
``2026111`` for ``%Y%m%d`` and so turns a character that was not read into another date; here that
is no date. It also follows the locale of the process, which this does not.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache

from edge.judge.fields import squeeze

__all__ = ["compile_format", "parse_dates"]

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_DIRECTIVES = {
    "%Y": "(?P<Y>[0-9]{4})",
    "%y": "(?P<y>[0-9]{2})",
    "%m": "(?P<m>[0-9]{2})",
    "%b": f"(?P<b>(?ai:{'|'.join(_MONTHS)}))",
    "%d": "(?P<d>[0-9]{2})",
    "%j": "(?P<j>[0-9]{3})",
    "%%": "%",
}

_SETS = {"Ymd", "ymd", "Ybd", "ybd", "Yj", "yj", "Ym", "ym", "Yb", "yb"}

_PIVOT = 69  # two-digit years: 69 to 99 are of the last century (POSIX, as strptime)


@lru_cache(maxsize=256)
def compile_format(form: str) -> re.Pattern[str]:
    """Turn a date format into a regular expression; white space in it counts for nothing.

    Raises
    ------
    ValueError
        It has a directive that is not known, or does not name one day or month once.
    """
    parts = re.findall(r"%.?|[^%]+", squeeze(form), re.DOTALL)
    unknown = [part for part in parts if part[0] == "%" and part not in _DIRECTIVES]
    if unknown:
        raise ValueError(f"{unknown[0]} is unknown: there are {' '.join(_DIRECTIVES)}")
    used = [part[1] for part in parts if part[0] == "%" and part != "%%"]
    if len(set(used)) != len(used) or set(used) not in map(set, _SETS):
        raise ValueError("must name year, month and day once each, e.g. %Y-%m-%d or %d%b%y")
    return re.compile("".join(_DIRECTIVES.get(part) or re.escape(part) for part in parts))


def parse_dates(text: str, formats: Iterable[str]) -> set[date]:
    """All days that ``text`` can stand for; white space in it counts for nothing.

    More than one means that the formats leave it open. A month without a day is its last day, as
    "best before end" is understood.

    >>> parse_dates("2026-11-05", ["%Y-%m-%d"])
    {datetime.date(2026, 11, 5)}
    """
    found = (compile_format(form).fullmatch(squeeze(text)) for form in formats)
    days = (_day(match.groupdict()) for match in found if match)
    return {day for day in days if day is not None}


def _day(read: dict[str, str]) -> date | None:
    if "Y" in read:
        year = int(read["Y"])
    else:
        year = int(read["y"]) + (1900 if int(read["y"]) >= _PIVOT else 2000)
    try:
        if "j" in read:
            day = date(year, 1, 1) + timedelta(days=int(read["j"]) - 1)
            return day if day.year == year else None
        month = int(read["m"]) if "m" in read else _MONTHS.index(read["b"].upper()) + 1
        last = calendar.monthrange(year, month)[1]
        return date(year, month, int(read.get("d", last)))
    except (ValueError, OverflowError):  # 30 February, month 13, year 0
        return None
