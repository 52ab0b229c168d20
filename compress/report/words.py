"""Figures and tables as a reader wants them, in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from compress.result import Accuracy, Speed

__all__ = [
    "accuracy",
    "drop",
    "duration",
    "facts",
    "large",
    "megabytes",
    "share",
    "speed",
    "table",
]

NOTHING = "–"
"""Of what was not measured."""


def accuracy(of: Accuracy | None) -> str:
    """``91.8% (90.1 to 93.3)``."""
    if of is None:
        return NOTHING
    return f"{of.value:.1%} <small>({of.low * 100:.1f} to {of.high * 100:.1f})</small>"


def drop(of: Accuracy | None) -> str:
    """``0.42% (-0.11 to 0.95)``, relative to the original."""
    if of is None:
        return NOTHING
    between = f"({of.drop_low * 100:.2f} to {of.drop_high * 100:.2f})"
    return f"{of.drop * 100 + 0.0:.2f}% <small>{between}</small>"


def speed(of: Speed | None) -> str:
    """``2.31x (2.25x by the clock)``."""
    if of is None:
        return NOTHING
    return f"{of.cpu_ratio:.2f}x <small>({of.ratio:.2f}x by the clock)</small>"


def megabytes(number: int) -> str:
    """``4.53 MB``."""
    return f"{number / 1e6:.2f} MB" if number else NOTHING


def large(number: int) -> str:
    """Three digits and a letter: ``779 M``."""
    if not number:
        return NOTHING
    value, letter = float(f"{number:.3g}"), ""  # rounded first: 999,999 is a million
    for unit, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit:
            value, letter = value / unit, name
            break
    return f"{value:.4g}{letter}"


def share(number: float, whole: float) -> str:
    """``(31%)`` of the whole; nothing if either is not known, or it is the whole."""
    if not number or not whole or number == whole:
        return ""
    return f" <small>({number / whole:.0%})</small>"


def duration(seconds: float) -> str:
    """``1 h 04 min``, ``3 min 20 s``, ``4.2 s``."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{seconds:.1f} s"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], classes: Sequence[str] = ()) -> str:
    """A table of cells that are HTML already; ``classes`` of the rows."""
    lines = ["<div class=wide><table>"]
    if head:
        lines.append("<tr>" + "".join(f"<th>{cell}" for cell in head))
    for number, row in enumerate(rows):
        kind = classes[number] if number < len(classes) else ""
        start = f"<tr class={kind}>" if kind else "<tr>"
        lines.append(start + "".join(f"<td>{cell}" for cell in row))
    return "\n".join([*lines, "</table></div>"])


def facts(of: Mapping[str, Any]) -> str:
    """A table of names and what they are, escaped here; empty ones are left out."""
    rows = []
    for name, value in of.items():
        if value in (None, "", [], (), {}):
            continue
        said = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        rows.append((escape(str(name)), escape(said)))
    return table((), rows)
