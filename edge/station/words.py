"""What pydantic finds wrong, in words that say what to write instead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic_core import ErrorDetails

from edge.camera.source import mask
from edge.judge.fields import Table
from edge.judge.rules import GroupRule, Job, LeafRule
from edge.station.challenge import ChallengeTable, GoldenPart
from edge.station.drift import DriftTable
from edge.station.lines import KeyPath
from edge.station.outputs import OutputTable
from edge.station.schema import (
    Camera,
    Display,
    Line,
    PpocrModel,
    PpyoloeModel,
    RecordsTable,
    Region,
    ShadowTable,
    Station,
)
from edge.station.triggers import TriggerTable
from models.nearest import nearest

__all__ = ["lookup", "plain_path", "reason", "show", "show_path", "suggest", "table_of"]

MAX_SHOWN = 60
"""Characters of a value or key that a fault shows: the fault stays one line of a terminal."""

MAX_NAMES = 20
"""Names that a fault lists when none is near: more are no help."""

_TABLES: dict[str, type[Table]] = {
    "station": Line,
    "job": Job,
    "cameras": Camera,
    "regions": Region,
    "display": Display,
    "records": RecordsTable,
    "shadow": ShadowTable,
    "challenge": ChallengeTable,
    "drift": DriftTable,
}

_TAGS = {"rules": "kind", "models": "family", "outputs": "kind", "trigger": "kind"}


def _by_tag(tag: str, *classes: type[Table]) -> dict[str, type[Table]]:
    return {get_args(each.model_fields[tag].annotation)[0]: each for each in classes}


_TAGGED: dict[str, dict[str, type[Table]]] = {
    "rules": _by_tag("kind", *get_args(LeafRule), *get_args(GroupRule)),
    "models": _by_tag("family", PpocrModel, PpyoloeModel),
    "outputs": _by_tag("kind", *get_args(get_args(OutputTable)[0])),
    "trigger": _by_tag("kind", *get_args(get_args(TriggerTable)[0])),
}

_WORDS = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "literal_error": "must be one of {expected}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "missing": "is missing",
    "model_attributes_type": "must be a table",
    "model_type": "must be a table",
    "pattern_type": "must be a text in quotes",
    "string_pattern_mismatch": "may hold letters, digits, _ and - only",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a text in quotes",
    "too_long": "must hold at most {max_length}",
    "too_short": "must hold at least {min_length}",
    "tuple_type": "must be a list in [ ]",
}

_EXPLAINED = {"missing", "too_long", "too_short"} | {
    key for key in _WORDS if key.startswith(("greater", "less", "string_too"))
}
"""Faults that the description of the key explains."""


def plain_path(location: tuple[str | int, ...]) -> KeyPath:
    """Pydantic's location without the tag of a union, which is not written in the file."""
    depth = _depth(location)
    if len(location) > depth and _section(location) in _TAGS:
        return (*location[:depth], *location[depth + 1 :])
    return location


def _section(path: KeyPath) -> str:
    """The section that a path leads into; triggers stand in cameras, and are one of their own."""
    nested = path[:1] == ("cameras",) and path[2:3] == ("trigger",)
    return "trigger" if nested else str(path[0]) if path else ""


def _depth(path: KeyPath) -> int:
    """How many keys lead to a table of the section."""
    return 3 if _section(path) == "trigger" else 2


def table_of(path: KeyPath, raw: Mapping[str, Any]) -> type[Table] | None:
    """The table that ``path`` is a key of."""
    section, depth = _section(path), _depth(path)
    if len(path) == 1:
        return Station
    if section in _TAGGED and len(path) > depth:
        tag = lookup(raw, (*path[:depth], _TAGS[section]))
        return _TAGGED[section].get(tag) if isinstance(tag, str) else None
    if path[:2] == ("challenge", "parts") and len(path) > 2:
        return GoldenPart
    return _TABLES.get(str(path[0]))


def reason(error: ErrorDetails, path: KeyPath, raw: Mapping[str, Any]) -> tuple[KeyPath, str]:
    """Where a fault stands and what it is."""
    kind, context = error["type"], error.get("ctx", {})
    section = _section(path)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        tag, known = _TAGS[section], list(_TAGGED[section])
        path = (*path, tag)
        if kind == "union_tag_not_found":
            return path, f"is missing: {suggest('', known)}"
        return path, f"is not known: {suggest(lookup(raw, path), known)}"
    table = table_of(path, raw)
    if kind == "extra_forbidden":
        return path, f"unknown key: {suggest(path[-1], table.model_fields if table else ())}"
    field = table.model_fields.get(str(path[-1])) if table is not None else None
    written = lookup(raw, path)
    if kind == "literal_error" and isinstance(written, str) and field is not None:
        known = [str(each) for each in get_args(field.annotation)]
        return path, f"is not known: {suggest(written, known)}"
    if kind == "missing" and isinstance(path[-1], int):
        return path[:-1], "must be four whole numbers [x0, y0, x1, y1]"
    if kind == "value_error":
        return path, str(context["error"])
    words = _WORDS.get(kind, error["msg"]).format_map(context)
    if kind in _EXPLAINED and field is not None and field.description:
        words += f" ({field.description})"
    return path, words


def suggest(word: object, known: Iterable[str]) -> str:
    """Name the nearest of ``known``; all of them if none is near."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f'did you mean "{_clip(near)}"?'
    more = ", …" if len(names) > MAX_NAMES else ""
    return f"one of {', '.join(map(_clip, names[:MAX_NAMES]))}{more}" if names else "there is none"


def lookup(raw: object, path: KeyPath) -> object:
    """The value at ``path`` of what ``tomllib`` gave; ``None``, which TOML has not, if absent."""
    for key in path:
        here: Any = raw if isinstance(raw, dict | list) else ()
        try:
            raw = here[key]
        except (LookupError, TypeError):
            return None
    return raw


def show_path(path: KeyPath) -> str:
    """``cameras[0].name``."""
    shown = ""
    for key in path:
        if isinstance(key, int):
            shown += f"[{key}]"
        else:
            bare = key.replace("-", "").replace("_", "").isalnum()
            shown += f".{_clip(key)}" if bare else f".{_clip(json.dumps(key, ensure_ascii=False))}"
    return shown.removeprefix(".")


def show(value: object) -> str | None:
    """A value as a fault shows it, without passwords; ``None`` for tables and long lists."""
    if isinstance(value, str):
        return _clip(json.dumps(value, ensure_ascii=False))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > 10**18:
        return "a huge number"
    if isinstance(value, list) and len(value) <= 8:
        parts = [show(each) for each in value if not isinstance(each, list)]
        texts = [part for part in parts if part is not None]
        return _clip(f"[{', '.join(texts)}]") if len(texts) == len(value) else None
    return None if value is None or isinstance(value, dict | list) else _clip(str(value))


def _clip(text: str) -> str:
    """Shorten what was written, and hide a password wherever somebody put it."""
    text = mask(text) if "://" in text else text
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
