"""Channels of zeros where a kernel of eight bits is faster with more: the opposite of pruning.

ONNX Runtime's fast convolutions of eight bits want inputs in fours and at least 16 outputs; one of
12 to 12 channels takes twice as long as one of 16 to 16. Nothing reads what is added.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from compress.program import Program
from compress.prune.groups import Layout, Wire, layout_of
from compress.prune.programs import declare

__all__ = ["LEAST", "MULTIPLE", "widen"]

MULTIPLE = 4
LEAST = 16
"""ONNX Runtime 1.23, ``MlasConvSymPackWSize`` and measured: see docs/compress.md."""


def widen(program: Program) -> int:
    """Add channels in place, of zero weights, until each width suits; gives how many."""
    layout = layout_of(program)
    more = _wanted(layout)
    for (name, axis), wire in layout.axes.items():
        value = program.parameters[name]
        program.parameters[name] = np.insert(value, _places(wire, more), 0, axis=axis)
    _declare_all(program, layout, more)
    return sum(more.values())


def _wanted(layout: Layout) -> dict[int, int]:
    """How many channels are to follow which."""
    free = {number for group in layout.groups for number in group.channels}
    filters = {(name, axis) for g in layout.groups for unit in g.units for name, axis, _ in unit}
    more: dict[int, int] = {}
    # What is concatenated comes before what it is concatenated to.
    for wire in sorted(
        (layout.axes[key] for key in filters), key=lambda wire: (len(wire), wire[0])
    ):
        width = len(wire) + len(_places(wire, more))
        extra = max(LEAST, -(-width // MULTIPLE) * MULTIPLE) - width
        last = int(wire[-1])
        if extra and last in free:
            more[last] = more.get(last, 0) + extra
    return more


def _places(wire: Wire, more: Mapping[int, int]) -> list[int]:
    """Before which channels others are put in: behind the last one of each group."""
    return [
        place + 1 for place, number in enumerate(wire.tolist()) for _ in range(more.get(number, 0))
    ]


def _declare_all(program: Program, layout: Layout, more: Mapping[int, int]) -> None:
    for name in {name for name, _ in layout.axes}:
        declare(program, name, program.parameters[name].shape)
    for name, wire in layout.wires.items():
        shape = program.shape(name) or ()
        if len(shape) == 4:
            declare(program, name, (shape[0], len(wire) + len(_places(wire, more)), *shape[2:]))
    for op in program.of_type("conv2d", "depthwise_conv2d"):
        if int(op.get("groups", 1)) > 1 and (op.input("Filter"), 0) in layout.axes:
            op.put(groups=program.parameters[op.input("Filter")].shape[0])
