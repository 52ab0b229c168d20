"""What is left of a pruned program does the work of what went, as well as it can.

Each convolution that lost inputs gets the weights that make its output most like the one before,
on real pictures, by least squares; one after the other, so that each also mends what those before
it left. He et al., "Channel pruning for accelerating very deep neural networks", ICCV 2017,
https://arxiv.org/abs/1707.06168.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from compress.program import Op, Program
from compress.prune.groups import Layout
from compress.prune.look import look
from edge.engines import Array

__all__ = ["repair"]

Feeds = Mapping[str, Array]
Matrix = NDArray[np.float64]

SAMPLES = 8192
"""Places of the maps of all pictures together that a convolution is fitted on."""

HELD = 5
"""One sample of so many is held back, to see whether the fit holds for others as well."""

RIDGE = 1e-3
"""Of the mean square of the inputs: how much a change of weights is avoided."""


def repair(
    whole: Program, left: Program, layout: Layout, gone: NDArray[np.int64], every: Sequence[Feeds]
) -> int:
    """Refit the convolutions of ``left``, in place.

    Parameters
    ----------
    whole
        The program before it was pruned.
    left
        It without the channels ``gone``, numbers of ``layout``.
    every
        Inputs, real ones, of one picture or several each.

    Returns
    -------
    How many convolutions answer better for it.
    """
    ops = [op for op in left.of_type("conv2d") if _lost(op, layout, gone)]
    if not ops or not every:
        return 0
    rng = np.random.default_rng(0)
    places: dict[str, list[NDArray[np.int64]]] = {}
    wanted: dict[str, list[Array]] = {}
    for seen in look(whole, every, [op.output("Output") for op in ops]):
        for op in ops:
            name = op.output("Output")
            made = seen[name]
            stays = np.isin(layout.wires[name], gone, invert=True)
            whole_map = made.shape[0] * made.shape[2] * made.shape[3]
            count = min(whole_map, max(1, SAMPLES // len(every)))
            chosen = np.sort(rng.permutation(whole_map)[:count])
            number, row, column = np.unravel_index(chosen, (made.shape[0], *made.shape[2:]))
            places.setdefault(name, []).append(chosen)
            wanted.setdefault(name, []).append(made[number, :, row, column][:, stays])
    mended = 0
    for op in ops:
        name = op.output("Output")
        inputs = look(left, every, [op.input("Input")])
        patches = [
            _patches(seen[op.input("Input")], op, left, chosen)
            for seen, chosen in zip(inputs, places[name], strict=True)
        ]
        mended += _refit(op, left, np.concatenate(patches), np.concatenate(wanted[name]))
    return mended


def _lost(op: Op, layout: Layout, gone: NDArray[np.int64]) -> bool:
    wire = layout.axes.get((op.input("Filter"), 1))
    plain = int(op.get("groups", 1)) == 1 and set(op.get("dilations", [1, 1])) == {1}
    explicit = op.get("padding_algorithm", "EXPLICIT") == "EXPLICIT"
    return wire is not None and plain and explicit and bool(np.isin(wire, gone).any())


def _patches(value: Array, op: Op, program: Program, chosen: NDArray[np.int64]) -> Array:
    """What the convolution multiplies at the chosen places of its output, ``(S, I * h * w)``."""
    height, width = program.parameters[op.input("Filter")].shape[2:]
    down, right = op.get("strides", [1, 1])
    pads = list(op.get("paddings", [0, 0]))
    top, bottom, before, after = pads if len(pads) == 4 else (pads[0],) * 2 + (pads[1],) * 2
    padded = np.pad(value, ((0, 0), (0, 0), (top, bottom), (before, after)))
    rows = (padded.shape[2] - height) // down + 1
    columns = (padded.shape[3] - width) // right + 1
    number, row, column = np.unravel_index(chosen, (len(padded), rows, columns))
    parts = [
        padded[number, :, row * down + i, column * right + j]
        for i in range(height)
        for j in range(width)
    ]
    return np.asarray(np.stack(parts, axis=2).reshape(len(chosen), -1))


def _refit(op: Op, program: Program, patches: Array, wanted: Array) -> bool:
    """Weights, and the bias that follows, by ridge regression towards those that are there."""
    filters = program.parameters[op.input("Filter")]
    bias = _bias_of(op, program)
    x, now = patches.astype(np.float64), filters.reshape(len(filters), -1).astype(np.float64)
    rest = wanted - x @ now.T
    held = np.arange(len(x)) % HELD == 0
    own = ~held if len(x) >= 2 * HELD else np.ones(len(x), np.bool_)
    mean_x = x[own].mean(0) if bias else np.zeros(x.shape[1])
    mean_rest = rest[own].mean(0) if bias else np.zeros(rest.shape[1])
    centred, target = x[own] - mean_x, rest[own] - mean_rest
    square = centred.T @ centred
    square[np.diag_indices_from(square)] += RIDGE * np.trace(square) / len(square) + 1e-9
    change: Matrix = np.linalg.solve(square, centred.T @ target)
    shift = mean_rest - mean_x @ change
    after = rest - x @ change - shift
    if not (after[held] ** 2).sum() < (rest[held] ** 2).sum():
        return False
    updated = (now + change.T).reshape(filters.shape).astype(np.float32)
    program.parameters[op.input("Filter")] = updated
    if bias:
        program.parameters[bias] = (program.parameters[bias] + shift).astype(np.float32)
    return True


def _bias_of(op: Op, program: Program) -> str:
    """The parameter that is added to each channel of what the convolution alone makes."""
    taker = program.only_taker(op.output("Output"))
    if taker is None or taker.type != "elementwise_add":
        return ""
    name, count = taker.input("Y"), len(program.parameters[op.input("Filter")])
    value = program.parameters.get(name)
    alone = value is not None and value.shape == (count,) and len(program.takers(name)) == 1
    return name if alone and int(taker.get("axis", -1)) == 1 else ""
