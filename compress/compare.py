"""How far the answers of two models lie apart, and how fast one is beside the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.engines import Array, Engine, TensorSpec, open_engine
from models.errors import ModelError

__all__ = ["Pace", "largest_difference", "latency_ratio", "random_feeds"]

WARM_UPS = 2
"""Runs before any is timed: the first ones allocate and pack weights."""

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Pace:
    """Median times of one inference, in seconds, of two models that took turns.

    Attributes
    ----------
    first, second
        By the clock.
    first_cpu, second_cpu
        Of the processor, all threads together: on a busy machine the only ones that mean much.
    """

    first: float
    second: float
    first_cpu: float
    second_cpu: float

    @property
    def ratio(self) -> float:
        """How many times as fast the second is, by the clock."""
        return self.first / self.second

    @property
    def cpu_ratio(self) -> float:
        """How many times as little processor time the second takes."""
        return self.first_cpu / self.second_cpu


def random_feeds(
    inputs: Sequence[TensorSpec], shape: Mapping[str, Sequence[int]], seed: int
) -> dict[str, Array]:
    """Numbers from a normal distribution for each input, of the shapes that are given."""
    generator = np.random.default_rng(seed)
    return {
        spec.name: generator.standard_normal(tuple(shape[spec.name])).astype(spec.dtype)
        for spec in inputs
    }


def largest_difference(
    reference: Path, other: Path, inputs: Iterable[Feeds], *, threads: int = 1
) -> float:
    """Run both models on the same inputs; gives the largest difference of any number.

    Outputs are compared in their order, since converters rename them.

    Raises
    ------
    EngineError
        A model cannot be opened or run.
    ModelError
        The outputs differ in number or shape, or are not finite.
    """
    worst = 0.0
    engines: list[Engine] = []
    for feeds in inputs:
        if not engines:
            sample = {name: value.shape for name, value in feeds.items()}
            engines = [open_engine(p, threads=threads, sample=sample) for p in (reference, other)]
        first, second = (list(engine.run(feeds).values()) for engine in engines)
        if [a.shape for a in first] != [b.shape for b in second]:
            raise ModelError(
                f"{other}: gives {[b.shape for b in second]} where {reference} gives "
                f"{[a.shape for a in first]}: convert it again"
            )
        for a, b in zip(first, second, strict=True):
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                raise ModelError(f"{other}: gives numbers that are not finite: convert it again")
            worst = max(worst, float(np.abs(a.astype(np.float64) - b).max(initial=0)))
    for engine in engines:
        engine.close()
    return worst


def latency_ratio(
    first: Path, second: Path, feeds: Feeds, *, threads: int = 1, rounds: int = 15
) -> Pace:
    """Time two models in turns, so that what else the machine does falls on both alike.

    Raises
    ------
    EngineError
        A model cannot be opened or run.
    """
    sample = {name: value.shape for name, value in feeds.items()}
    engines = [open_engine(path, threads=threads, sample=sample) for path in (first, second)]
    walls: tuple[list[float], list[float]] = ([], [])
    cpus: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UPS + rounds):
        for engine, wall, cpu in zip(engines, walls, cpus, strict=True):
            began, spent = time.perf_counter(), time.process_time()
            engine.run(feeds)
            if number >= WARM_UPS:
                cpu.append(time.process_time() - spent)
                wall.append(time.perf_counter() - began)
    for engine in engines:
        engine.close()
    return Pace(*map(statistics.median, (*walls, *cpus)))
