"""Many short runs: every model with every number of threads, size and batch; what is done is kept.

A model's file says its engine and precision, so that "engines x precision" is a list of files.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge.engines.registry import model_files
from models.atomic import write_atomic
from models.errors import LineguardError, ModelError
from models.zoo import resolve
from tools.measure.document import Document, Scenario, load_document
from tools.measure.run import measure
from tools.measure.subjects import model_facts

__all__ = ["Cell", "Outcome", "Swept", "best", "cells_of", "sweep"]


@dataclass(frozen=True)
class Cell:
    """One combination.

    Attributes
    ----------
    model
        A path, or ``zoo:NAME``.
    shapes
        Of the inputs, where it takes any.
    """

    model: str
    threads: int
    shapes: Mapping[str, Sequence[int]]
    batch: int

    @property
    def name(self) -> str:
        """Of the model, without its folder."""
        return self.model if self.model.startswith("zoo:") else Path(self.model).name

    @property
    def text(self) -> str:
        """For people: ``det.onnx, 2 threads, x 1x3x320x320, batch 1``."""
        sizes = [f"{name} {'x'.join(map(str, size))}" for name, size in self.shapes.items()]
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return ", ".join([self.name, threads, *sizes, f"batch {self.batch}"])

    def spec(self) -> dict[str, Any]:
        """What :func:`tools.measure.run.measure` takes."""
        shapes = {name: [self.batch, *size[1:]] for name, size in self.shapes.items()}
        return {
            "kind": "model",
            "model": self.model,
            "threads": self.threads,
            "shapes": shapes,
            "batch": self.batch,
        }


@dataclass(frozen=True)
class Outcome:
    """What came of a cell: its document, or why there is none."""

    cell: Cell
    document: Document | None
    fault: str = ""
    accuracy: float | None = None

    @property
    def sample_ms(self) -> float | None:
        """Median of one sample, ms."""
        if self.document is None or "p50" not in self.document.figures:
            return None
        return self.document.figures["p50"].value / max(1, self.document.scenario.samples)


@dataclass(frozen=True)
class Swept:
    """A whole sweep.

    Attributes
    ----------
    metric
        What accuracy is, empty if none was measured.
    """

    outcomes: tuple[Outcome, ...]
    metric: str = ""

    def as_json(self) -> bytes:
        """The file: a row for each cell, the best ones marked."""
        stars = best(self.outcomes)
        rows = []
        for number, each in enumerate(self.outcomes):
            row: dict[str, Any] = {
                "model": each.cell.name,
                "threads": each.cell.threads,
                "shapes": {name: list(size) for name, size in each.cell.shapes.items()},
                "batch": each.cell.batch,
                "fault": each.fault or None,
                "accuracy": each.accuracy,
                "best": number in stars,
            }
            if each.document is not None:
                facts = each.document.what
                row |= {name: facts[name] for name in ("engine", "engine_version", "precision")}
                row["figures"] = {
                    name: figure.model_dump(exclude={"early"})
                    for name, figure in each.document.figures.items()
                }
            rows.append(row)
        text = json.dumps({"metric": self.metric, "cells": rows}, ensure_ascii=False, indent=1)
        return text.encode() + b"\n"


def cells_of(
    models: Sequence[str],
    threads: Sequence[int],
    shapes: Sequence[Mapping[str, Sequence[int]]],
    batches: Sequence[int],
) -> list[Cell]:
    """All combinations, the models changing fastest, so that a slow drift falls on all alike."""
    return [
        Cell(model, count, shape, batch)
        for batch, shape, count, model in itertools.product(
            batches, shapes or [{}], threads, models
        )
    ]


def sweep(
    cells: Iterable[Cell],
    scenario: Callable[[Cell], Scenario],
    folder: Path,
    stopping: Callable[[], bool],
    accuracy: Callable[[Path, int], float] | None = None,
    metric: str = "",
    progress: Callable[[Cell, float], None] = lambda cell, seconds: None,
) -> Swept:
    """Measure every cell that ``folder`` does not hold yet.

    A cell that fails is told and the others go on. One that was cut short is measured again.

    Parameters
    ----------
    scenario
        How each is measured.
    folder
        For ``cells/*.json``, one for each that is done.
    accuracy
        Of a model file with so many threads; asked once for each file.
    metric
        What it is.

    Raises
    ------
    LineguardError
        None of the models is there.
    Interrupted
        ``stopping``; what is done is kept.
    StorageError
        The folder cannot be written.
    """
    cells = list(cells)
    _check_there(cells)
    known: dict[str, float] = {}
    outcomes = []
    for cell in cells:
        try:
            path = resolve(cell.model)
            hashes = model_facts(path)
        except (LineguardError, OSError) as error:
            outcomes.append(Outcome(cell, None, str(error)))
            continue
        wanted = scenario(cell)
        file = folder / "cells" / f"{_key(cell, hashes, wanted)}.json"
        document, fault = _kept(file), ""
        if document is None:
            try:
                told = partial(_told, progress, cell)
                document = measure(cell.spec(), wanted, stopping, told)
                if document.complete:
                    write_atomic(file, document.as_json())
                else:
                    fault = document.fault
                    document = None
            except LineguardError as error:
                fault = str(error)
        if accuracy is not None and document is not None:
            name = json.dumps(hashes, sort_keys=True)
            if name not in known:
                known[name] = accuracy(path, cell.threads)
        outcomes.append(
            Outcome(cell, document, fault, known.get(json.dumps(hashes, sort_keys=True)))
        )
    return Swept(tuple(outcomes), metric)


def best(outcomes: Sequence[Outcome]) -> set[int]:
    """Numbers of those that no other beats in both time per sample and accuracy (Pareto front).

    Without accuracies, the fastest alone.
    """
    points = [
        (number, each.sample_ms, each.accuracy if each.accuracy is not None else 0.0)
        for number, each in enumerate(outcomes)
        if each.sample_ms is not None
    ]
    return {
        number
        for number, ms, value in points
        if not any(
            other <= ms and better >= value and (other < ms or better > value)
            for _, other, better in points
            if other is not None
        )
    }


def _check_there(cells: Sequence[Cell]) -> None:
    faults = {}
    for cell in cells:
        try:
            model_files(resolve(cell.model))
        except LineguardError as error:
            faults[cell.model] = error
        else:
            return
    if faults:
        raise next(iter(faults.values()))


def _told(progress: Callable[[Cell, float], None], cell: Cell, seconds: float, _: int) -> None:
    progress(cell, seconds)


def _kept(file: Path) -> Document | None:
    """What an earlier sweep measured."""
    if not file.exists():
        return None
    try:
        return load_document(file)
    except (LineguardError, ModelError):
        return None


def _key(cell: Cell, hashes: Mapping[str, str], scenario: Scenario) -> str:
    text = json.dumps([cell.spec() | {"model": hashes}, scenario.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
