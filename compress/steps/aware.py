"""Weights that have learnt to be rounded, where rounding alone loses too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compress.metrics import Feeds
from compress.pdmodel import load_program, save_program
from compress.quantise.aware import AwareTarget, train_aware
from compress.recipe import Aware
from compress.source import PROGRAM
from compress.steps.program import exported
from compress.steps.smaller import learnt
from compress.work import Model, Work

__all__ = ["aware_model"]


def aware_model(work: Work, aware: Aware, model: Model, target: AwareTarget) -> Model:
    """The FP32 model with such weights; it is to be quantised as any other.

    Raises
    ------
    Stopped
        The run was asked to stop; the training goes on from its checkpoint.
    """
    items = work.items("calibration")
    facts: dict[str, Any] = {}

    def feeds() -> Iterator[Feeds]:
        for item in items:
            work.check_stop()
            yield from work.metric.feeds(item)

    def train(rounded: Path, tuned: Path) -> None:
        program, said, _ = learnt(work, aware, rounded, model.program)
        facts.update(said)
        save_program(load_program(program), tuned)

    def make(folder: Path) -> dict[str, Any]:
        bar = work.show("calibrating for training with rounding")
        train_aware(
            model.program, folder / PROGRAM, feeds(), train,
            target=target, skip=skip, progress=bar,
        )  # fmt: skip
        return dict(facts)

    skip = () if work.recipe.quantise is None else work.recipe.quantise.skip
    parameters = {
        **aware.model_dump(), "target": target, "skip": sorted(skip), "seed": work.recipe.seed,
        "calibration": work.sets["calibration"].sha256, "tuning": work.sets["tuning"].sha256,
        "measure": {**work.measure.facts, "items": None},
    }  # fmt: skip
    stage = work.stages.run("aware", 1, {"program": model.program}, parameters, make)
    program = stage.folder / PROGRAM
    name = f"{model.name}, trained to be rounded"
    name += " for Lite" if target == "lite" else ""
    found = work.judged(name, exported(work, program), program, work.baseline.evaluation)
    said = {**aware.model_dump(exclude_none=True), **stage.facts}
    work.tried(found, "aware", seconds=stage.seconds, parameters=said)
    return found
