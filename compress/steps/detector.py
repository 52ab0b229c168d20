"""PP-YOLOE is pruned and tuned as it was trained: from weights, with the losses of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress.cache import CHECKPOINT
from compress.prune.detector import prune_detector
from compress.recipe import Prune, Tune
from compress.steps.program import cost, finished
from compress.tune.ppyoloe import tune_detector
from compress.work import Model, Stopped, Work
from models.errors import ModelError
from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.dataset import Dataset, Picture
from models.ppyoloe.train.schedule import Plan

__all__ = ["smaller_detector"]

WEIGHTS = "model.pdparams"

MANY = 10**9
"""Steps, where minutes are what ends it."""

SHARES = 1000
"""Of a training, as a bar counts it."""


def smaller_detector(work: Work, prune: Prune | None, tune: Tune | None, against: Model) -> Model:
    """Pruned, then tuned, as the recipe asks; whether it passed its verdict says.

    Raises
    ------
    ModelError
        The recipe's model is a program: its weights are needed.
    Stopped
        The run was asked to stop; the training goes on from its checkpoint.
    """
    weights, config = work.source.path, work.source.config
    if weights.suffix != ".pdparams" or config is None:
        raise ModelError(
            f"{weights}: a detector is pruned and tuned from its weights: give the .pdparams of "
            "its training, with the .json beside it"
        )
    name, seconds = "", 0.0
    parameters: dict[str, Any] = {}
    if prune is not None:
        weights, facts = _pruned(work, prune, weights)
        name, parameters = f"pruned to {prune.flops:.0%}", dict(facts)
    if tune is not None:
        weights, seconds = _tuned(work, tune, weights, config)
        name = f"{name}, tuned".lstrip(", ")
        parameters |= tune.model_dump(exclude_none=True)
    model = finished(work, name, weights, against)
    stage = "prune" if prune is not None else "tune"
    flops, numbers = cost(work, model.program)
    work.tried(
        model, stage, seconds=seconds, flops=flops, weights=numbers, parameters=parameters
    )  # fmt: skip
    return model


def _pruned(work: Work, prune: Prune, weights: Path) -> tuple[Path, dict[str, Any]]:
    bar = work.show("pruning")

    def make(folder: Path) -> dict[str, Any]:
        done = prune_detector(weights, folder / WEIGHTS, prune.flops)
        return {
            "ratio": done.ratio,
            "flops": done.flops_after / done.flops_before,
            "parameters": done.parameters_after / done.parameters_before,
        }

    parameters = {"flops": prune.flops}
    stage = work.stages.run("prune-detector", 1, {"weights": weights}, parameters, make)
    bar(1, 1)
    return stage.folder / WEIGHTS, dict(stage.facts)


def _tuned(work: Work, tune: Tune, weights: Path, config: DetectorConfig) -> tuple[Path, float]:
    tuning = work.sets["tuning"]
    pictures = tuple(each.truth for each in tuning.items if isinstance(each.truth, Picture))
    bar = work.show("tuning")

    def make(folder: Path) -> dict[str, Any]:
        (folder / CHECKPOINT).mkdir(exist_ok=True)
        length = Plan(tune.steps or MANY, tune.minutes * 60 if tune.minutes else None)
        ended = tune_detector(
            weights, config, Dataset(tuning.labels, pictures), folder / WEIGHTS,
            length=length, checkpoint=folder / CHECKPOINT / "checkpoint.npz",
            rate=tune.learning_rate, batch=tune.batch, seed=work.recipe.seed,
            progress=lambda share, measured: bar(round(share * SHARES), SHARES), stop=work.stop,
        )  # fmt: skip
        if not ended:
            raise Stopped
        return {}

    parameters = {**tune.model_dump(), "seed": work.recipe.seed, "tuning": tuning.sha256}
    inputs = {**work.source.inputs(), "model": weights}
    stage = work.stages.run("tune-detector", 1, inputs, parameters, make)
    return stage.folder / WEIGHTS, stage.seconds
