"""A TOML file that a person wrote, as tables, or all that is wrong with it."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge.station.lines import KeyPath, at_line, line_of, locate
from edge.station.words import lookup, show, show_path, suggest
from models.errors import ConfigError
from models.nearest import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Fault", "load_toml", "printable", "read_toml", "tell_faults"]

Fault: TypeAlias = tuple[KeyPath, str]
"""Where, and what is wrong."""

MAX_FAULTS = 100
"""Nobody reads more of them at once."""

MAX_BYTES = 128 * 1024
"""Keeps the time to find all faults of any file to a second or two."""

_WORDS = {
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "missing": "is missing",
    "model_type": "must be a table",
    "string_pattern_mismatch": "may hold letters, digits, _ and - only",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a text in quotes",
    "too_long": "must hold at most {max_length}",
    "too_short": "must hold at least {min_length}",
    "tuple_type": "must be a list",
}

M = TypeVar("M", bound=BaseModel)


def load_toml(
    path: Path,
    model: type[M],
    tables: Mapping[str, type[BaseModel]],
    what: str,
    check: Callable[[Mapping[str, Any]], Iterable[Fault]] = lambda raw: (),
) -> M:
    """Read a file.

    Parameters
    ----------
    model
        What the whole file must be.
    tables
        What each of its tables must be, by name.
    what
        What the file is called: ``a fleet file``.
    check
        Finds faults between tables, in whatever was written there.

    Raises
    ------
    ConfigError
        With every fault of the file, in its order, each ``FILE:LINE: KEY = VALUE: what is wrong``.
    """
    name = printable(str(path))
    text = read_toml(path, name, what)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{name}: is not TOML: {printable(str(error))}"]) from error
    made = None
    faults: list[Fault] = []
    try:
        made = model.model_validate(raw)
    except ValidationError as error:
        faults = list(_explain(error.errors(include_url=False), {"": model, **tables}))
    faults += check(raw)
    if made is None or faults:
        raise ConfigError(tell_faults(name, text, raw, faults))
    return made


def read_toml(path: Path, name: str, what: str) -> str:
    """The text of a file that is called ``name`` in faults and should be ``what``.

    Raises
    ------
    ConfigError
        It is missing, no file, too large, or not UTF-8.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would make us wait for ever
            raise ConfigError([f"{name}: is no file: name {what}"])
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        cause = getattr(error, "strerror", None) or error
        raise ConfigError([f"{name}: cannot be read ({cause}): check the path"]) from error
    if len(data) > MAX_BYTES:
        limit = MAX_BYTES // 1024
        raise ConfigError([f"{name}: is larger than {limit} KiB: this is not {what}"])
    try:
        return data.decode("utf-8-sig")  # some editors put a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}:{line}: is not UTF-8: save it as UTF-8"]) from error


def _explain(errors: list[ErrorDetails], tables: Mapping[str, type[BaseModel]]) -> Iterator[Fault]:
    """Put them into words, without what only follows from another one."""
    around = {each["loc"][:depth] for each in errors for depth in range(len(each["loc"]))}
    meant = {
        (*place[:-1], nearest(place[-1], _table(place, tables).model_fields))
        for place in (each["loc"] for each in errors if each["type"] == "extra_forbidden")
    }
    for error in errors:
        misspelt = error["type"] == "missing" and error["loc"] in meant
        # A list is also called too short if none of what it holds is sound.
        if not misspelt and not (error["type"] == "too_short" and error["loc"] in around):
            yield _reason(error, _table(error["loc"], tables))


def _table(place: KeyPath, tables: Mapping[str, type[BaseModel]]) -> type[BaseModel]:
    """The table that ``place`` is a key of."""
    # What stands in a plain list is no table: its key is one of the whole file.
    return tables.get(str(place[0]) if len(place) > 1 else "", tables[""])


def _reason(error: ErrorDetails, table: type[BaseModel]) -> Fault:
    place, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return place, f"unknown key: {suggest(place[-1], table.model_fields)}"
    if kind == "value_error":
        return place, str(error["ctx"]["error"])
    words = _WORDS.get(kind, error["msg"]).format_map(error.get("ctx", {}))
    field = table.model_fields.get(str(place[-1]))
    return place, f"{words} ({field.description})" if field and field.description else words


def tell_faults(name: str, text: str, raw: Mapping[str, Any], faults: Iterable[Fault]) -> list[str]:
    """Faults in the order of the file, one line each, up to a hundred."""
    lines = locate(text)
    placed = [(line_of(lines, place), place, words) for place, words in faults]
    told = []
    for line, place, words in sorted(placed, key=lambda one: one[0])[:MAX_FAULTS]:
        value = None if "unknown key" in words else show(lookup(raw, place))
        equals = "" if value is None else f" = {value}"
        told.append(printable(f"{at_line(name, line)}: {show_path(place)}{equals}: {words}"))
    return told


def printable(text: str) -> str:
    """Keep a fault on one line, whatever the file holds."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
