"""On which line of a TOML file each key and value stands.

``tomllib`` gives values but no places; tree-sitter gives places. The text has been accepted by
``tomllib`` before, so only well-formed TOML is walked here.
"""

from __future__ import annotations

import sys
from typing import TypeAlias

try:
    import tree_sitter_toml
    from tree_sitter import Language, Node, Parser
except ImportError:  # nobody builds it for 32-bit boards: faults are told without their lines
    tree_sitter_toml = None  # type: ignore[assignment]

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["KeyPath", "at_line", "line_of", "locate"]

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and positions in arrays, from the top: ``("cameras", 0, "name")``."""

MAX_DEPTH = 8
"""Deeper keys are not followed: no key of a station file lies deeper than four."""


def locate(text: str) -> dict[KeyPath, int]:
    r"""Map each key path to the line, from 1, on which it is first written.

    >>> locate("[[cameras]]\nname = 'top'")[("cameras", 0, "name")]
    2
    """
    lines: dict[KeyPath, int] = {}
    if tree_sitter_toml is None:
        return lines
    sizes: dict[KeyPath, int] = {}  # arrays of tables, and how many they hold so far
    parser = Parser(Language(tree_sitter_toml.language()))
    for node in parser.parse(text.encode("utf-8")).root_node.named_children:
        if node.type == "pair":
            _pair(node, (), lines)
        elif node.type in {"table", "table_array_element"}:
            path = _header(node, sizes, lines)
            for child in node.named_children:
                if child.type == "pair":
                    _pair(child, path, lines)
    return lines


def at_line(name: str, line: int) -> str:
    """``station.toml:12``; the name alone where lines are not known."""
    return name if tree_sitter_toml is None else f"{name}:{line}"


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of ``path``, or of the nearest thing around it that is written; else 1."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _header(node: Node, sizes: dict[KeyPath, int], lines: dict[KeyPath, int]) -> KeyPath:
    """Resolve ``[a.b]`` or ``[[a.b]]``: what is an array of tables means its last table."""
    keys = _keys(node.named_children[0])
    path: KeyPath = ()
    for position, key in enumerate(keys):
        path = (*path, key)
        lines.setdefault(path, _line(node))
        if node.type == "table_array_element" and position == len(keys) - 1:
            sizes[path] = sizes.get(path, 0) + 1
        if path in sizes:
            path = (*path, sizes[path] - 1)
            lines.setdefault(path, _line(node))
    return path


def _pair(node: Node, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    key, *rest = (child for child in node.named_children if child.type != "comment")
    for part in _keys(key):
        path = (*path, part)
        lines.setdefault(path, _line(key))
    for value in rest[:1]:
        _value(value, path, lines)


def _value(node: Node, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    if len(path) >= MAX_DEPTH:
        return
    inside = [child for child in node.named_children if child.type != "comment"]
    if node.type == "inline_table":
        for child in inside:
            if child.type == "pair":
                _pair(child, path, lines)
    elif node.type == "array":
        for position, child in enumerate(inside):
            place: KeyPath = (*path, position)
            lines[place] = _line(child)
            _value(child, place, lines)


def _keys(node: Node) -> list[str]:
    if node.type == "dotted_key":  # nested to the left: a.b.c is (a.b).c
        keys: list[str] = []
        while node.type == "dotted_key":
            keys[:0] = _keys(node.named_children[-1])
            node = node.named_children[0]
        return (_keys(node) + keys)[:MAX_DEPTH]
    text = (node.text or b"").decode("utf-8")
    if node.type == "quoted_key":
        return list(tomllib.loads(f"{text} = 0"))
    return [text]


def _line(node: Node) -> int:
    return node.start_point[0] + 1
