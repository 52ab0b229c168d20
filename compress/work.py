"""What all steps of a compression share: pictures, metric, clock, and what was tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.cache import Stages
from compress.datasets import Item, ItemSet, check_characters, check_readable, load_sets
from compress.gate import Verdict, judge, measured
from compress.measure import Measure, Open, open_network
from compress.metrics import Evaluation, Metric, Progress, groups, make_metric
from compress.recipe import Recipe, Which, quick_recipe
from compress.result import Accuracy, LayerSensitivity, Outcome, Try
from compress.source import Source, find_source, timed_shape

__all__ = ["Job", "Model", "Show", "Stop", "Stopped", "Work", "never", "silent"]

Show = Callable[[str], Progress]
"""Begins a bar of that name; gives what moves it."""

Stop = Callable[[], bool]
"""Whether to stop as soon as it can be gone on from there."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The run was asked to stop; the same command goes on from there."""


def silent(what: str) -> Progress:
    """Show nothing."""
    return lambda done, total: None


def never() -> bool:
    """Go on to the end."""
    return False


@dataclass(frozen=True)
class Job:
    """What to do.

    Attributes
    ----------
    recipe
        Sound: ``recipe.faults()`` finds nothing.
    base
        Folder of the recipe, which paths of the model are relative to.
    data
        Folder which paths of pictures are relative to.
    out
        Folder of what comes out.
    quick
        Fewer pictures and less time, as ``[quick]`` says.
    threads
        Of every engine.
    text, command
        The recipe's own text and the command line, for the report.
    """

    recipe: Recipe
    base: Path
    data: Path
    out: Path
    quick: bool = False
    threads: int = 1
    text: str = ""
    command: str = ""


@dataclass(frozen=True)
class Model:
    """A model that was measured.

    Attributes
    ----------
    name
        Of the try that it came of.
    path
        The file that was measured.
    program
        The Paddle program that it was made from.
    evaluation, verdict
        How it did, and what the gate says of it.
    """

    name: str
    path: Path
    program: Path
    evaluation: Evaluation
    verdict: Verdict


@dataclass
class Work:
    """One run.

    Attributes
    ----------
    recipe
        With less of everything if it is quick.
    baseline
        The original.
    tries, sensitivities, notes
        For the result, in their order.
    failures
        Stages that missed the gate or another goal, and why.
    """

    job: Job
    show: Show = silent
    stop: Stop = never
    recipe: Recipe = field(init=False)
    stages: Stages = field(init=False)
    source: Source = field(init=False)
    sets: dict[Which, ItemSet] = field(init=False)
    measure: Measure = field(init=False)
    shape: dict[str, tuple[int, ...]] = field(init=False)
    tries: list[Try] = field(default_factory=list)
    sensitivities: list[LayerSensitivity] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    baseline: Model = field(init=False)
    _known: dict[Path, Accuracy] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.recipe = quick_recipe(self.job.recipe) if self.job.quick else self.job.recipe
        self.stages = Stages(self.job.out / ".stages")

    def open(self) -> None:
        """Find the model, read the pictures, and refuse what cannot go well.

        Raises
        ------
        LineguardError
            Names what is wrong with the model, the labels or the pictures.
        """
        recipe, job = self.recipe, self.job
        self.source = find_source(recipe, job.base)
        self.sets = load_sets(recipe, job.data, quick=job.quick, follow=self._follow("reading"))
        if self.source.dictionary is not None:
            learns = any(tune and tune.labels for tune in (recipe.tune, recipe.aware))
            texts = self.items("evaluation") + (self.items("tuning") if learns else ())
            check_characters(texts, self.source.characters, self.source.dictionary)

        def check(folder: Path) -> dict[str, Any]:
            every = [item for each in self.sets.values() for item in each.items]
            check_readable(every, self._follow("checking pictures"))
            return {"pictures": len(every)}

        hashes: dict[str, str] = {which: each.sha256 for which, each in self.sets.items()}
        self.stages.run("check", 1, {}, hashes, check)

    def measure_with(self, original: Path, name: str) -> None:
        """Say what is measured; ``original`` is the FP32 model as ONNX, ``name`` its input's."""
        recipe, evaluation = self.recipe, self.sets["evaluation"]
        raw = recipe.family == "raw"
        metric = make_metric(
            recipe,
            dictionary=self.source.characters,
            config=self.source.config,
            labels=evaluation.labels,
            original=open_network(original, self.job.threads) if raw else None,
        )
        facts = {
            "items": evaluation.sha256,
            "metric": metric.name,
            "mode": recipe.mode,
            "max_side": recipe.max_side,
            "input": recipe.input.model_dump() if recipe.input else None,
            "beside": self.source.facts(),
        }
        inputs = {"original": original} if raw else {}
        threads = self.job.threads
        self.measure = Measure(self.stages, metric, evaluation.items, facts, threads, inputs)
        self.shape = timed_shape(recipe, self.source, name)

    @property
    def metric(self) -> Metric:
        """What is measured."""
        return self.measure.metric

    @property
    def late(self) -> bool:
        """Whether the budget is spent: no further try is begun then."""
        return time.monotonic() - self._began > self.recipe.budget * 60

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    def items(self, which: Which) -> tuple[Item, ...]:
        """The pictures of a set."""
        return self.sets[which].items

    def groups(self) -> dict[str, NDArray[np.intp]]:
        """Positions of the pictures of each group of the evaluation set."""
        return groups(self.items("evaluation"))

    def check_stop(self) -> None:
        """``Stopped`` if the run was asked to."""
        if self.stop():
            raise Stopped

    def judged(
        self, name: str, path: Path, program: Path, against: Evaluation | None,
        open_: Open | None = None, *, way: str = "",
    ) -> Model:  # fmt: skip
        """Measure a model and hold it against another, or against itself."""
        self.check_stop()
        bar = self.show(f"measuring {name}")
        found = self.measure.evaluate(path, bar, open_, way=way)
        verdict = judge(self.recipe.gate, self.metric, against or found, found, self.groups())
        return Model(name, path, program, found, verdict)

    def tried(
        self, model: Model, stage: str, *, seconds: float = 0.0, size: int = 0, flops: int = 0,
        weights: int = 0, parameters: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Write a try down, as dropped or passed; :meth:`choose` says which was chosen."""
        outcome: Outcome = "passed" if model.verdict.passed else "dropped"
        self.tries.append(
            Try(
                name=model.name,
                stage=stage,
                parameters=dict(parameters or {}),
                accuracy=self.accuracy(model),
                bytes=size or model.path.stat().st_size,
                flops=flops,
                parameters_count=weights,
                outcome=outcome,
                why=model.verdict.why,
                seconds=seconds,
            )
        )

    def accuracy(self, model: Model) -> Accuracy:
        """Its figures beside the original's; drawn a thousand times, so asked for once a model."""
        if model.path not in self._known:
            self._known[model.path] = measured(
                self.metric, self.baseline.evaluation, model.evaluation, self.recipe.seed
            )
        return self._known[model.path]

    def failed(self, name: str, stage: str, why: str, seconds: float = 0.0) -> None:
        """Write down a try that did not come to its end."""
        self.tries.append(Try(name=name, stage=stage, outcome="failed", why=why, seconds=seconds))

    def choose(self, name: str, why_others: str = "") -> None:
        """Mark one try as chosen; the others of its stage that passed get ``why_others``."""
        (stage,) = {each.stage for each in self.tries if each.name == name}
        for number, each in enumerate(self.tries):
            if each.name == name:
                self.tries[number] = each.model_copy(update={"outcome": "chosen", "why": ""})
            elif each.stage == stage and each.outcome == "passed" and not each.why:
                self.tries[number] = each.model_copy(update={"why": why_others})

    def _follow(self, what: str) -> Callable[[Any], Any]:
        def follow(items: Any) -> Any:
            bar = self.show(what)
            for number, item in enumerate(items):
                yield item
                bar(number + 1, len(items))

        return follow
