"""Which layers mind eight bits, and which to spare for a model to pass.

::

    seen = observe(model, calibration)
    noises = {method: layer_noises(seen, feeds, method=method) for method in METHODS}
    method = suited(seen, noises)
    least = least_noises(noises)
    spared = choose_skip(seen, out, least, measure, floor=0.99 * before, method=method)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.metrics.base import Feeds, Progress
from compress.onnx_graph import Graph
from compress.quantise.eight import companions, layers
from compress.quantise.observe import Observed
from compress.quantise.onnx import quantise_onnx
from compress.quantise.ranges import Method
from edge.engines import Array, open_engine
from models.errors import ModelError

__all__ = [
    "Noises",
    "Spared",
    "Trial",
    "choose_skip",
    "layer_noises",
    "least_noises",
    "suited",
    "worst_layers",
]

Noises = Mapping[str, float]
"""By layer: squared difference of the outputs over squared output."""


@dataclass(frozen=True)
class Trial:
    """One skip list and what the model was worth with it."""

    skip: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Spared:
    """What was chosen.

    Attributes
    ----------
    best
        The shortest list that passed, or the best of all if none did.
    passed
        Whether it did.
    trials
        All, in the order in which they were made.
    """

    best: Trial
    passed: bool
    trials: tuple[Trial, ...]


def layer_noises(
    seen: Observed, feeds: Sequence[Feeds], *, method: Method, progress: Progress | None = None
) -> dict[str, float]:
    """For each layer, how much noise the outputs have when it alone is quantised.

    What follows a layer is quantised with it, as it would be in the end.

    Parameters
    ----------
    feeds
        Of every kind of picture: of 24 lines the worst three of PP-OCRv4's recogniser are always
        the same, of 8 they are not.

    Returns
    -------
    Squared difference over squared output, by layer: 0.01 is a signal 20 dB above its noise.
    """
    names = layers(seen.model)
    reference = _answers(seen.path, feeds)
    noises: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="lineguard-noise-") as scratch:
        path = Path(scratch) / "one.onnx"
        for number, name in enumerate(names, 1):
            others = [each for each in names if each != name]
            quantise_onnx(seen.path, path, seen, method=method, skip=others)
            noises[name] = _noise(reference, _answers(path, feeds))
            if progress:
                progress(number, len(names))
    return noises


def suited(seen: Observed, noises: Mapping[Method, Noises]) -> dict[str, Method]:
    """For each tensor the method by which the layers at it make the least noise.

    No method is the best for every layer: where outliers carry nothing they are cut, where they
    carry the answer they are not.

    Parameters
    ----------
    noises
        Of :func:`layer_noises`, by each method.
    """
    names, graph = layers(seen.model), Graph(seen.model)
    nodes = {node.name: node for node in graph.nodes}
    at: dict[str, list[str]] = {}
    for name in names:
        others = [each for each in names if each != name]
        own: dict[str, None] = {}
        for each in companions(seen.model, others):
            own.update(dict.fromkeys((*graph.activations(nodes[each]), *nodes[each].output)))
        for tensor in own:
            at.setdefault(tensor, []).append(name)

    def loud(method: Method, tensor: str) -> float:
        return sum(noises[method][name] for name in at[tensor])

    return {tensor: min(noises, key=lambda method: loud(method, tensor)) for tensor in at}


def least_noises(noises: Mapping[Method, Noises]) -> dict[str, float]:
    """Of each layer, by the method that suits it."""
    first = next(iter(noises.values()))
    return {name: min(each[name] for each in noises.values()) for name in first}


def worst_layers(noises: Noises) -> list[str]:
    """Names of layers, the noisiest first; of equals the one that comes first in the network."""
    return sorted(noises, key=lambda name: -noises[name])


def choose_skip(
    seen: Observed,
    out: Path,
    noises: Noises,
    measure: Callable[[Path], float],
    *,
    floor: float,
    method: Method | Mapping[str, Method],
    always: Collection[str] = (),
    most: int | None = None,
    progress: Progress | None = None,
) -> Spared:
    """Spare as few of the noisiest layers as it takes, and write ``out`` so.

    The list is doubled until the model passes, then cut back by halves: a metric on real data is
    no smooth function of it, but each layer that is spared costs time for certain.

    Parameters
    ----------
    measure
        What a model is worth on the real metric; more is better.
    floor
        What it must be worth.
    always
        Layers that are spared in any case.
    most
        Further layers to spare at most; half of all if not given.

    Raises
    ------
    ModelError
        ``noises`` are of another model.
    """
    if set(noises) != set(layers(seen.model)):
        raise ModelError(f"{seen.path}: the noises are of another model: measure them again")
    order = [name for name in worst_layers(noises) if name not in always]
    limit = len(order) // 2 if most is None else min(most, len(order))
    # At most as many trials as it takes to double up and to halve back.
    total = 2 * max(1, limit).bit_length() + 1
    trials: dict[int, Trial] = {}

    def passes(count: int) -> bool:
        if count not in trials:
            skip = (*always, *order[:count])
            quantise_onnx(seen.path, out, seen, method=method, skip=skip)
            trials[count] = Trial(skip, measure(out))
            if progress:
                progress(len(trials), total)
        return trials[count].value >= floor

    failed, count = -1, 0
    while not passes(count) and count < limit:
        failed, count = count, min(max(1, 2 * count), limit)
    if passes(count):
        while count - failed > 1:
            middle = (failed + count) // 2
            failed, count = (failed, middle) if passes(middle) else (middle, count)
        best = trials[count]
    else:
        best = max(trials.values(), key=lambda trial: (trial.value, -len(trial.skip)))
    quantise_onnx(seen.path, out, seen, method=method, skip=best.skip)
    if progress:
        progress(total, total)
    return Spared(best, best.value >= floor, tuple(trials.values()))


def _answers(path: Path, feeds: Sequence[Feeds]) -> list[Array]:
    engine = open_engine(path, threads=1, trial=False)
    answers = [value for each in feeds for value in engine.run(each).values()]
    engine.close()
    return answers


def _noise(reference: Sequence[Array], other: Sequence[Array]) -> float:
    signal = sum(float(np.square(a, dtype=np.float64).sum()) for a in reference)
    pairs = zip(reference, other, strict=True)
    noise = sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b in pairs)
    return noise / max(signal, 1e-30)
