"""Which channels of a program must stay or go together.

Each channel that a convolution makes has a number. The program is followed once, with a *wire* of
such numbers in place of each variable's values: channels that are added to each other, or weighed
by each other, become one. What an operator that is not known here sees, stays.

PaddleSlim 2.6 finds groups in the same way, but asserts on scalar operands, takes the wrong axis of
a transposition, and leaves widths that no kernel likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.program import Op, Program

__all__ = ["Group", "Layout", "layout_of"]

Wire = NDArray[np.int64]
"""Numbers of the channels that a variable carries, in their order."""

_PASS = (
    "abs",
    "assign",
    "bilinear_interp_v2",
    "cast",
    "clip",
    "dropout",
    "elu",
    "exp",
    "gelu",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "mish",
    "nearest_interp_v2",
    "pad3d",
    "pool2d",
    "relu",
    "relu6",
    "scale",
    "sigmoid",
    "silu",
    "softplus",
    "sqrt",
    "square",
    "swish",
    "tanh",
)
"""Operators that treat each channel for itself, and all alike."""

_ELEMENTWISE = frozenset(
    ("elementwise_add", "elementwise_mul", "elementwise_sub", "elementwise_div", "elementwise_max")
)


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that are weighed against each other, and pruned by one ratio.

    Attributes
    ----------
    name
        The filter of the first convolution that makes them.
    units
        For each of them, what must go with it: positions along axes, as
        ``(parameter, axis, position)`` of the filters that make it.
    channels
        Number of each unit.
    """

    name: str
    channels: tuple[int, ...]
    units: tuple[tuple[tuple[str, int, int], ...], ...]

    @property
    def size(self) -> int:
        """How many channels may go or stay."""
        return len(self.channels)


@dataclass(frozen=True)
class Layout:
    """Where the channels stand.

    Attributes
    ----------
    groups
        All that may lose channels, in the order in which they are made.
    axes
        Numbers of the channels along an axis of a parameter.
    wires
        Numbers of the channels of each variable.
    """

    groups: tuple[Group, ...]
    axes: dict[tuple[str, int], Wire]
    wires: dict[str, Wire]

    def group(self, name: str) -> Group | None:
        """The group with a filter among those that make its channels."""
        for group in self.groups:
            if any(made[0] == name for unit in group.units for made in unit):
                return group
        return None


def layout_of(program: Program) -> Layout:
    """Follow a program."""
    walk = _Walk(program)
    for op in program.ops:
        walk.follow(op)
    return walk.layout()


class _Walk:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.parent: list[int] = []
        self.stays: list[bool] = []
        self.makers: list[tuple[str, int, int]] = []
        self.axes: dict[tuple[str, int], Wire] = {}
        self.wires: dict[str, Wire] = {}

    def follow(self, op: Op) -> None:
        if op.type == "feed":
            return
        done = False
        if not self._shares(op) and op.get("data_format") != "NHWC":
            if op.type in ("conv2d", "depthwise_conv2d"):
                done = self._convolution(op)
            elif op.type == "conv2d_transpose":
                done = self._transposed(op)
            elif op.type in _ELEMENTWISE:
                done = self._elementwise(op)
            elif op.type == "batch_norm":
                done = self._batch_norm(op)
            elif op.type == "concat":
                done = self._concat(op)
            elif op.type in _PASS:
                done = self._pass(op)
        if not done:
            for name in op.reads():
                self._keep(name)

    def layout(self) -> Layout:
        roots = np.array([self._root(n) for n in range(len(self.parent))], np.int64)
        kept = {int(roots[n]) for n, stays in enumerate(self.stays) if stays}
        units: dict[int, list[tuple[str, int, int]]] = {}
        for number, maker in enumerate(self.makers):
            units.setdefault(int(roots[number]), []).append(maker)
        # Filters that make a channel together are of one group, with all their channels.
        groups: dict[str, str] = {}

        def head(name: str) -> str:
            while groups.setdefault(name, name) != name:
                name = groups[name]
            return name

        for made in units.values():
            for name, _, _ in made[1:]:
                first, other = head(made[0][0]), head(name)
                if first != other:
                    groups[other] = first
        members: dict[str, list[int]] = {}
        for root, made in units.items():
            if root not in kept:
                members.setdefault(head(made[0][0]), []).append(root)
        found = tuple(
            Group(
                units[roots_of[0]][0][0], tuple(roots_of), tuple(tuple(units[r]) for r in roots_of)
            )
            for roots_of in members.values()
        )
        return Layout(
            found,
            {key: roots[wire] for key, wire in self.axes.items()},
            {name: roots[wire] for name, wire in self.wires.items()},
        )

    def _root(self, number: int) -> int:
        while self.parent[number] != number:
            self.parent[number] = self.parent[self.parent[number]]
            number = self.parent[number]
        return number

    def _join(self, first: Wire, second: Wire) -> None:
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            a, b = sorted((self._root(one), self._root(other)))
            self.parent[b] = a

    def _keep(self, name: str) -> None:
        for number in self.wires.get(name, np.zeros(0, np.int64)).tolist():
            self.stays[number] = True

    def _shares(self, op: Op) -> bool:
        """Whether a parameter of it is another operator's as well."""
        return any(
            name in self.program.parameters and len(self.program.takers(name)) > 1
            for name in op.reads()
        )

    def _make(self, op: Op, slot: str, filters: str, axis: int) -> None:
        count = self.program.parameters[filters].shape[axis]
        wire = np.arange(len(self.parent), len(self.parent) + count)
        self.parent += wire.tolist()
        self.stays += [False] * count
        self.makers += [(filters, axis, position) for position in range(count)]
        self.axes[filters, axis] = wire
        self.wires[op.output(slot)] = wire
        if bias := op.input("Bias"):
            self.axes[bias, 0] = wire

    def _convolution(self, op: Op) -> bool:
        filters, source = op.input("Filter"), op.input("Input")
        if filters not in self.program.parameters:
            return False
        made, taken = self.program.parameters[filters].shape[:2]
        groups, wire = int(op.get("groups", 1)), self.wires.get(source)
        if groups == 1:
            if wire is not None:
                self.axes[filters, 1] = wire
            self._make(op, "Output", filters, 0)
            return True
        if wire is None or taken != 1 or made != groups or op.inputs.get("Bias"):
            return False
        self.axes[filters, 0] = wire
        self.wires[op.output("Output")] = wire
        return True

    def _transposed(self, op: Op) -> bool:
        filters, wire = op.input("Filter"), self.wires.get(op.input("Input"))
        if filters not in self.program.parameters or int(op.get("groups", 1)) != 1:
            return False
        if wire is not None:
            self.axes[filters, 0] = wire
        self._make(op, "Output", filters, 1)
        return True

    def _elementwise(self, op: Op) -> bool:
        first, second = op.input("X"), op.input("Y")
        wire, out = self.wires.get(first), op.output("Out")
        if wire is None or len(self.program.shape(first) or ()) != 4:
            return False
        if second in self.program.parameters:
            return self._with_parameter(op, wire)
        other = self.wires.get(second)
        if other is None or len(self.program.shape(second) or ()) != 4:
            return False
        if len(other) == len(wire):
            self._join(wire, other)
        elif 1 not in (len(wire), len(other)):
            return False
        self.wires[out] = wire if len(wire) >= len(other) else other
        return True

    def _with_parameter(self, op: Op, wire: Wire) -> bool:
        name, axis = op.input("Y"), int(op.get("axis", -1))
        shape = self.program.parameters[name].shape
        first = axis if axis >= 0 else 4 - len(shape)
        place = 1 - first  # of the channels among the parameter's axes
        if 0 <= place < len(shape) and shape[place] == len(wire) and len(wire) > 1:
            self.axes[name, place] = wire
        elif 0 <= place < len(shape) and shape[place] != 1:
            return False
        self.wires[op.output("Out")] = wire
        return True

    def _batch_norm(self, op: Op) -> bool:
        wire = self.wires.get(op.input("X"))
        if wire is None:
            return False
        for slot in ("Scale", "Bias", "Mean", "Variance"):
            self.axes[op.input(slot), 0] = wire
        self.wires[op.output("Y")] = wire
        return True

    def _concat(self, op: Op) -> bool:
        wires = [self.wires.get(name) for name in op.inputs["X"]]
        shape = self.program.shape(op.inputs["X"][0]) or ()
        if len(shape) != 4 or int(op.get("axis", 0)) not in (1, -3) or op.inputs.get("AxisTensor"):
            return False
        whole = [wire for wire in wires if wire is not None]
        if len(whole) != len(wires):
            return False
        self.wires[op.output("Out")] = np.concatenate(whole)
        return True

    def _pass(self, op: Op) -> bool:
        wire, out = self.wires.get(op.input("X")), op.output("Out")
        others: Sequence[str] = [n for n in op.reads() if n != op.input("X") and n in self.wires]
        if wire is None or others or not out:
            return False
        self.wires[out] = wire
        return True
