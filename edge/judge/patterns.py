r"""Regular expressions of a station file, compiled once and kept from running away.

Python's ``re`` backtracks: ``(\w+ ?)+x`` needs time exponential in the length of a line, and holds
the interpreter meanwhile, so that no deadline could stop it. Hence two bounds. A line longer than
:data:`MAX_LINE_CHARS` is not matched at all but counts as unreadable, and a pattern whose worst
case on such a line exceeds :data:`MAX_PATHS` is refused when the station is loaded.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator

if sys.version_info >= (3, 11):
    from re import _parser as sre_parse
else:
    import sre_parse

__all__ = ["MAX_LINE_CHARS", "Pattern", "count_paths", "with_field"]

MAX_LINE_CHARS = 100
"""Longest line that is matched: the longest line of an ingredients list stays below it."""

MAX_PATHS = 10**7
"""Ways through a pattern, as ``count_paths`` has them: three open repeats in a row just pass. The
worst pattern below it takes a quarter of a second on one x86 core of 2020."""

MAX_PATTERN_CHARS = 500
"""Longest pattern: keeps the parser far from its recursion limit."""


class _TooManyError(Exception):
    """There are more than :data:`MAX_PATHS` ways."""


def count_paths(pattern: str) -> float:
    r"""Count the ways in which ``pattern`` can be tried on the worst line there may be.

    That is a line of :data:`MAX_LINE_CHARS` of which every character matches every class, and
    whose end fails. What a part of a pattern can consume is a polynomial: the coefficient of x^n
    counts the ways to consume n characters. Parts in sequence multiply, alternatives add up.
    Infinite beyond :data:`MAX_PATHS`.

    >>> count_paths(r"LOT:?\d{1,3}")
    573.0
    """
    try:
        ways = _sequence(sre_parse.parse(pattern))
    except _TooManyError:
        return math.inf
    starts = np.arange(len(ways), 0, -1)
    return float(ways @ starts)


_Ways: TypeAlias = NDArray[np.float64]
_LENGTHS = MAX_LINE_CHARS + 1


def _power(exponent: int) -> _Ways:
    """x^exponent: one way, so many characters."""
    ways = np.zeros(_LENGTHS)
    ways[exponent] = 1
    return ways


def _sequence(items: Any) -> _Ways:
    ways = _power(0)
    for operation, argument in items:
        ways = _times(ways, _item(operation.name, argument))
    return ways


def _item(operation: str, argument: Any) -> _Ways:
    if operation in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, most, body = argument
        return _repeat(_sequence(body), int(least), int(most))
    if operation in {"BRANCH", "GROUPREF_EXISTS"}:
        branches = argument[1] if operation == "BRANCH" else argument[1:]
        return sum((_sequence(branch or ()) for branch in branches), start=np.zeros(_LENGTHS))
    if operation == "SUBPATTERN":
        return _sequence(argument[-1])
    if operation == "ATOMIC_GROUP":
        return _sequence(argument)
    if operation in {"ASSERT", "ASSERT_NOT"}:  # tried in as many ways, but consumes nothing
        return _power(0) * float(_sequence(argument[1]).sum())
    return _power(0 if operation in {"AT", "GROUPREF"} else 1)


def _repeat(body: _Ways, least: int, most: int) -> _Ways:
    total, power = np.zeros(_LENGTHS), _power(0)
    for count in range(min(most, MAX_LINE_CHARS) + 1):
        if count >= least:
            total += power
        if not power.any():
            break  # longer than any line
        power = _times(power, body)
    return total


def _times(one: _Ways, other: _Ways) -> _Ways:
    product = np.convolve(one, other)[:_LENGTHS]
    if product.sum() > MAX_PATHS:
        raise _TooManyError
    return product


def _compile(value: object) -> object:
    """Compile a pattern; ``ValueError`` says what is wrong with it."""
    if not isinstance(value, str):
        return value  # pydantic says that it must be a text
    if not value or len(value) > MAX_PATTERN_CHARS:
        raise ValueError(f"must have 1 to {MAX_PATTERN_CHARS} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what one Python warns of, the next refuses
            compiled = re.compile(value)
            paths = count_paths(value)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        raise ValueError(f"is no regular expression: {error.msg}{at}") from error
    except (Warning, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if paths > MAX_PATHS:
        raise ValueError(
            r"could take minutes on one line: bound its repeats, e.g. \d{1,8} for \d+,"
            " and repeat nothing that holds a repeat"
        )
    if compiled.search("") is not None:
        raise ValueError("matches an empty line, so every part would pass: ask for a character")
    return compiled


Pattern = Annotated[re.Pattern[str], BeforeValidator(_compile)]
"""A regular expression, searched for in a line."""


def with_field(name: str) -> AfterValidator:
    """Demand a named field of a :data:`Pattern`."""

    def check(pattern: re.Pattern[str]) -> re.Pattern[str]:
        if name not in pattern.groupindex:
            raise ValueError(f"needs a named field (?P<{name}>...)")
        return pattern

    return AfterValidator(check)
