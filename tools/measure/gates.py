"""Gates for CI: ``p99 > 40ms`` says when a bench has failed.

::

    gate   = figure [".low" | ".high" | ".early"] operator number [unit]
    figure = p50 | p99.9 | max | throughput | stage.infer | ratio.p50 | memory.peak | ...
    operator = ">" | ">=" | "<" | "<="
    unit   = us | ms | s | /s | MB | %

Without a unit the number is in the figure's own. A figure that is not known fails every gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt

from models.errors import InputError
from models.nearest import nearest
from tools.measure.document import Document

__all__ = ["Gate", "Outcome", "judge_gate", "parse_gate"]

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}

_UNITS = {
    "us": ("ms", 1e-3),
    "µs": ("ms", 1e-3),
    "ms": ("ms", 1.0),
    "s": ("ms", 1e3),
    "/s": ("/s", 1.0),
    "MB": ("MB", 1.0),
    "%": ("%", 1.0),
}
"""What may be written, the unit that figures have, and how many of those it is."""

_GATE = re.compile(
    r"\s*(?P<figure>[A-Za-z][\w.\-]*?)(?:\.(?P<end>low|high|early))?\s*"
    r"(?P<operator>>=|<=|>|<)\s*"
    r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[A-Za-zµ%/]*)\s*"
)

_FIGURES = (
    "p50", "p90", "p95", "p99", "p99.9", "max", "first", "open", "throughput", "rate", "jitter",
    "drift", "overhead", "memory.peak", "memory.growth", "a12",
)  # fmt: skip
_FAMILIES = ("stage.", "signal.", "ratio.", "a.", "b.")


@dataclass(frozen=True)
class Gate:
    """When a bench has failed, as it was written and as it is understood."""

    text: str
    figure: str
    end: str
    operator: str
    number: float
    unit: str


@dataclass(frozen=True)
class Outcome:
    """What came of a gate: whether it was missed, and why in one line."""

    gate: Gate
    missed: bool
    why: str


def parse_gate(text: str) -> Gate:
    """Understand a gate.

    Raises
    ------
    InputError
        It is none: says what is wrong and what may stand there.
    """
    found = _GATE.fullmatch(text)
    if found is None:
        raise InputError(
            f"--fail-if {text!r}: is no gate: write FIGURE > NUMBER UNIT, as in 'p99 > 40ms'"
        )
    figure, unit = found["figure"], found["unit"]
    if figure not in _FIGURES and not figure.startswith(_FAMILIES):
        near = nearest(figure, _FIGURES)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(_FIGURES)}"
        raise InputError(f"--fail-if {text!r}: no figure is called {figure}: {hint}")
    if unit and unit not in _UNITS:
        raise InputError(
            f"--fail-if {text!r}: no unit is called {unit}: use {', '.join(_UNITS)}, or none"
        )
    number = float(found["number"])
    return Gate(text, figure, found["end"] or "value", found["operator"], number, unit)


def judge_gate(gate: Gate, document: Document) -> Outcome:
    """Hold a result against a gate.

    A gate is missed, too, if the figure is not known, and if the bench is incomplete.

    Raises
    ------
    InputError
        The figure has another unit.
    """
    figure = document.figures.get(gate.figure)
    if figure is None:
        known = document.missing.get(gate.figure) or f"known are {', '.join(document.figures)}"
        return Outcome(gate, True, f"{gate.figure} is not known: {known}")
    kind, factor = _UNITS.get(gate.unit, (figure.unit, 1.0))
    if kind != figure.unit:
        raise InputError(
            f"--fail-if {gate.text!r}: {gate.figure} is in {figure.unit or 'no unit'}: "
            f"write a number of those"
        )
    value = getattr(figure, gate.end)
    if value is None:
        return Outcome(gate, True, f"{gate.figure} has no early stopping")
    missed = _OPERATORS[gate.operator](value, gate.number * factor)
    said = f"{gate.figure}{'' if gate.end == 'value' else '.' + gate.end} is {figure.shown(value)}"
    said = f"{said} {figure.unit}".rstrip()
    if not missed and not document.complete:
        return Outcome(gate, True, f"{said}, but the bench is incomplete: {document.fault}")
    return Outcome(gate, missed, said)
