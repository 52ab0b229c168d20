"""Models on the evaluation set, each measured once, and timed beside the original."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress.cache import Stages
from compress.compare import Pace, latency_ratio
from compress.datasets import Item
from compress.metrics import Evaluation, Metric, Network, Progress
from compress.result import Speed
from edge.engines import Array, open_engine

__all__ = ["Measure", "feeds_of", "open_network", "random_input"]

VERSION = 1
"""Of what an evaluation says: another number measures all models again."""

ROUNDS = 25
"""Of timing: half a minute for the largest model here."""

Open = Callable[[Path], Network]


def open_network(path: Path, threads: int = 1) -> Network:
    """Open ``.onnx`` or ``.pdmodel`` as something that metrics can run."""
    return open_engine(path, threads=threads)


@dataclass
class Measure:
    """Evaluates models on one set of pictures.

    Attributes
    ----------
    stages
        Where evaluations are kept.
    metric
        What is measured.
    items
        The evaluation set.
    facts
        What decides besides the model: hashes of the set and of what the metric needs.
    threads
        Of every engine.
    """

    stages: Stages
    metric: Metric
    items: Sequence[Item]
    facts: Mapping[str, Any]
    threads: int
    inputs: Mapping[str, Path] = field(default_factory=dict)

    def evaluate(
        self, model: Path, progress: Progress, open_: Open | None = None, *, way: str = ""
    ) -> Evaluation:
        """Run a model on all pictures, or remember how it did.

        Parameters
        ----------
        open_
            Opens the model where no engine does.
        way
            How it is opened, if otherwise than by its suffix.
        """

        def make(folder: Path) -> dict[str, Any]:
            network = open_(model) if open_ else open_network(model, self.threads)
            with ExitStack() as stack:
                close = getattr(network, "close", None)
                if close:
                    stack.callback(close)
                found = self.metric.evaluate(network, self.items, progress)
            np.save(folder / "rows.npy", found.per_item)
            np.save(folder / "scores.npy", found.scores)
            (folder / "answers.json").write_text(
                json.dumps(found.answers, ensure_ascii=False), "utf-8"
            )
            return {"value": found.value}

        facts = {**self.facts, "way": way}
        stage = self.stages.run("evaluate", VERSION, {"model": model, **self.inputs}, facts, make)
        return Evaluation(
            float(stage.facts["value"]),
            np.load(stage.folder / "rows.npy"),
            json.loads((stage.folder / "answers.json").read_text("utf-8")),
            np.load(stage.folder / "scores.npy"),
        )

    def part(self, items: Sequence[Item], name: str) -> Measure:
        """The same on other pictures, which ``name`` stands for."""
        facts = {**self.facts, "items": name}
        return Measure(self.stages, self.metric, items, facts, self.threads, self.inputs)

    def speed(self, original: Path, model: Path, shape: Mapping[str, Sequence[int]]) -> Speed:
        """Time a model beside the original, on numbers of a shape; every time anew."""
        pace = latency_ratio(
            original, model, random_input(shape), threads=self.threads, rounds=ROUNDS
        )
        return _speed(pace, shape, self.threads, model)


def feeds_of(metric: Metric, items: Sequence[Item], count: int) -> list[dict[str, Array]]:
    """What the network gets to see of the first few pictures."""
    return [dict(feeds) for item in items[:count] for feeds in metric.feeds(item)]


def random_input(shape: Mapping[str, Sequence[int]]) -> dict[str, Array]:
    """Normally distributed numbers, always the same."""
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(tuple(n)).astype(np.float32) for name, n in shape.items()}


def _speed(pace: Pace, shape: Mapping[str, Sequence[int]], threads: int, model: Path) -> Speed:
    from importlib.metadata import version

    return Speed(
        ratio=pace.ratio,
        cpu_ratio=pace.cpu_ratio,
        ms=pace.second * 1000,
        cpu_ms=pace.second_cpu * 1000,
        threads=threads,
        shape={name: tuple(n) for name, n in shape.items()},
        engine=f"onnxruntime {version('onnxruntime')}" if model.suffix == ".onnx" else model.suffix,
    )
