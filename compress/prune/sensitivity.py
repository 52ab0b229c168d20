"""How much of its accuracy a model loses with the channels of one group, and what follows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.prune.cost import Cost
from compress.prune.groups import Layout, layout_of
from compress.prune.programs import narrow, width_of
from edge.engines import Array
from models.atomic import write_atomic

__all__ = ["Sensitivities", "choose_ratios", "sensitivity"]

Sensitivities = dict[str, dict[float, float]]
"""By group and ratio, the share of the metric that is lost; below 0 where it gains."""

HALVINGS = 40


def sensitivity(
    program: Path,
    evaluate: Callable[[Path], float],
    ratios: Sequence[float],
    *,
    store: Path,
    feeds: Sequence[Mapping[str, Array]] = (),
    skip: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, whole: None,
    stop: Callable[[], None] = lambda: None,
) -> Sensitivities:
    """Prune each group by each ratio, alone and untuned, and measure.

    Parameters
    ----------
    program
        A ``.pdmodel``, simplified.
    evaluate
        The metric of a ``.pdmodel``, 0 to 1.
    store
        A JSON file, written after each measurement and read at the beginning: a killed run goes on.
        It must not be that of another program or another ``evaluate``.
    feeds
        Inputs to refit on, as :func:`compress.prune.programs.prune_program` does.
    skip
        Filters whose groups stay as they are.
    progress
        Told how many measurements are done, and of how many.
    stop
        Called between measurements; may raise.
    """
    source = load_program(program)
    layout = layout_of(source)
    kept = {group.name for name in skip if (group := layout.group(name))}
    wanted = [
        (group, ratio)
        for group in layout.groups
        for ratio in ratios
        if group.name not in kept and width_of(group, ratio) < group.size
    ]
    known: dict[str, float] = json.loads(store.read_bytes()) if store.exists() else {}

    def measured(key: str, ratios: Mapping[str, float]) -> float:
        if key not in known:
            stop()
            known[key] = _measure(program, layout, ratios, feeds, evaluate)
            write_atomic(store, json.dumps(known, indent=1).encode())
        return known[key]

    whole = len(wanted) + 1
    base = measured("whole", {})
    progress(1, whole)
    found: Sensitivities = {}
    for done, (group, ratio) in enumerate(wanted, 2):
        value = measured(f"{group.name} {ratio:g}", {group.name: ratio})
        found.setdefault(group.name, {})[ratio] = (base - value) / base if base else 0.0
        progress(done, whole)
    return found


def choose_ratios(
    program: Program, sensitivities: Sensitivities, cost: Cost, keep: float
) -> dict[str, float]:
    """Ratios at which every group costs about the same accuracy, and ``keep`` of the FLOPs is left.

    Loss between two measured ratios is taken to be linear, and no group goes beyond the largest
    that was measured: what is asked may be out of reach.
    """
    layout = layout_of(program)
    whole = cost.flops(program.parameters)
    low, high = 0.0, max((max(each.values()) for each in sensitivities.values()), default=0.0)
    high = max(high, 1e-6) * 1.01
    if _left(program, layout, cost, _at(sensitivities, high)) > keep * whole:
        return _at(sensitivities, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if _left(program, layout, cost, _at(sensitivities, middle)) > keep * whole:
            low = middle
        else:
            high = middle
    return _at(sensitivities, high)


def _at(sensitivities: Sensitivities, loss: float) -> dict[str, float]:
    """The largest ratio of each group that loses no more than ``loss``."""
    chosen = {}
    for name, measured in sensitivities.items():
        ratios = np.array([0.0, *sorted(measured)])
        # More channels away never count as less lost: what is measured is noisy.
        losses = np.maximum.accumulate([0.0, *(max(0.0, measured[r]) for r in sorted(measured))])
        last = int(np.flatnonzero(losses <= loss)[-1])
        ratio = float(ratios[last])
        if last + 1 < len(ratios):
            rise = (loss - losses[last]) / (losses[last + 1] - losses[last])
            ratio += rise * float(ratios[last + 1] - ratios[last])
        chosen[name] = ratio
    return chosen


def _left(program: Program, layout: Layout, cost: Cost, ratios: Mapping[str, float]) -> int:
    """FLOPs that the ratios leave."""
    gone = {
        channel
        for group in layout.groups
        for channel in group.channels[width_of(group, ratios.get(group.name, 0.0)) :]
    }
    numbers = np.array(sorted(gone), np.int64)
    shapes = {name: list(value.shape) for name, value in program.parameters.items()}
    for (name, axis), wire in layout.axes.items():
        shapes[name][axis] = int(np.isin(wire, numbers, invert=True).sum())
    sizes: dict[str, Array] = {
        name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()
    }
    return cost.flops(sizes)


def _measure(
    path: Path,
    layout: Layout,
    ratios: Mapping[str, float],
    feeds: Sequence[Mapping[str, Array]],
    evaluate: Callable[[Path], float],
) -> float:
    program = load_program(path)
    narrow(program, layout, ratios, feeds)
    with tempfile.TemporaryDirectory(prefix="lineguard-prune-") as scratch:
        pruned = Path(scratch) / "model.pdmodel"
        save_program(program, pruned)
        return evaluate(pruned)
