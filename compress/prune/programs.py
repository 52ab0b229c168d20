"""A program without the channels that matter least.

::

    prune_program(Path("det.pdmodel"), Path("small.pdmodel"), {"conv2d_3.w_0": 0.5}, shapes)

Criterion: the L1 norm of the filters that make a channel, https://arxiv.org/abs/1608.08710.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.prune.cost import cost_of
from compress.prune.groups import Group, Layout, layout_of
from compress.prune.repair import repair
from edge.engines import Array
from models.errors import ModelError

__all__ = ["Pruned", "cut", "declare", "narrow", "prune_program", "width_of"]

MULTIPLE = 8
"""Widths are multiples of this: what vector units and GEMM kernels take at once."""


@dataclass(frozen=True)
class Pruned:
    """What pruning left.

    Attributes
    ----------
    flops_before, flops_after
        Multiplications of one picture.
    parameters_before, parameters_after
        Numbers in the parameters.
    widths
        Of each group, before and after.
    """

    flops_before: int
    flops_after: int
    parameters_before: int
    parameters_after: int
    widths: dict[str, tuple[int, int]]


def prune_program(
    source: Path,
    out: Path,
    ratios: Mapping[str, float],
    shapes: Mapping[str, tuple[int, ...]],
    feeds: Sequence[Mapping[str, Array]] = (),
) -> Pruned:
    """Write ``out`` without the given share of each group's channels.

    Parameters
    ----------
    source
        A ``.pdmodel``, simplified before: batch norms and affine operators hide how much a filter
        matters.
    ratios
        Share of the channels to take away, 0 to 1, by the group's name; widths are rounded to
        multiples of 8, and no group is lost.
    shapes
        Of each input, to count FLOPs with.
    feeds
        Inputs, real ones, some tens: the convolutions that lost inputs are refitted on them, and
        there is much less to tune.

    Raises
    ------
    ModelError
        There is no such group.
    EngineError
        The pruned program does not run.
    StorageError
        The disk is full.
    """
    program = load_program(source)
    layout = layout_of(program)
    before, parameters = cost_of(program, shapes).flops(program.parameters), _numbers(program)
    narrow(program, layout, ratios, feeds)
    after = cost_of(program, shapes).flops(program.parameters)  # it runs the program
    save_program(program, out)
    widths = {g.name: (g.size, width_of(g, ratios.get(g.name, 0.0))) for g in layout.groups}
    return Pruned(before, after, parameters, _numbers(program), widths)


def narrow(
    program: Program,
    layout: Layout,
    ratios: Mapping[str, float],
    feeds: Sequence[Mapping[str, Array]] = (),
) -> None:
    """Take the least important channels out of a program, in place, and refit what is left.

    Raises
    ------
    ModelError
        There is no such group.
    """
    strange = sorted(ratios.keys() - {group.name for group in layout.groups})
    if strange:
        raise ModelError(
            f"no channels go by {', '.join(strange)}: name groups of the program that is pruned"
        )
    gone = _weakest(program.parameters, layout, ratios)
    whole = copy.deepcopy(program) if feeds else program
    program.parameters.update(cut(program.parameters, layout, gone))
    for name in {name for name, _ in layout.axes}:
        declare(program, name, program.parameters[name].shape)
    for name, wire in layout.wires.items():
        shape = program.shape(name) or ()
        if len(shape) == 4:
            declare(
                program, name, (shape[0], int(np.isin(wire, gone, invert=True).sum()), *shape[2:])
            )
    for op in program.of_type("conv2d", "depthwise_conv2d"):
        if int(op.get("groups", 1)) > 1 and (op.input("Filter"), 0) in layout.axes:
            op.put(groups=program.parameters[op.input("Filter")].shape[0])
    if feeds:
        repair(whole, program, layout, gone, feeds)


def cut(
    parameters: Mapping[str, Array], layout: Layout, gone: NDArray[np.int64]
) -> dict[str, Array]:
    """The parameters that lose something, without the channels of these numbers."""
    left: dict[str, Array] = {}
    for (name, axis), wire in layout.axes.items():
        places = np.flatnonzero(np.isin(wire, gone, invert=True))
        if len(places) < len(wire):
            left[name] = np.take(left.get(name, parameters[name]), places, axis=axis)
    return left


def width_of(group: Group, ratio: float) -> int:
    """How many channels of a group stay."""
    wanted = round(group.size * (1 - ratio) / MULTIPLE) * MULTIPLE
    return group.size if ratio <= 0 else min(group.size, max(MULTIPLE, wanted))


def _weakest(
    parameters: Mapping[str, Array], layout: Layout, ratios: Mapping[str, float]
) -> NDArray[np.int64]:
    gone: list[int] = []
    for group in layout.groups:
        away = group.size - width_of(group, ratios.get(group.name, 0.0))
        if away:
            order = np.argsort(_norms(parameters, group), kind="stable")
            gone += [group.channels[i] for i in order[:away]]
    return np.array(sorted(gone), np.int64)


def _norms(parameters: Mapping[str, Array], group: Group) -> NDArray[np.float64]:
    made = {(name, axis) for unit in group.units for name, axis, _ in unit}
    norms = {
        key: np.abs(parameters[key[0]]).sum(tuple(i for i in range(4) if i != key[1]), np.float64)
        for key in made
    }
    return np.array(
        [sum(norms[name, axis][position] for name, axis, position in u) for u in group.units]
    )


def declare(program: Program, name: str, shape: tuple[int, ...]) -> None:
    """Say that a variable has another shape than before."""
    dims = program.variables[name].type.lod_tensor.tensor.dims
    del dims[:]
    dims.extend(shape)


def _numbers(program: Program) -> int:
    return sum(value.size for value in program.parameters.values())
