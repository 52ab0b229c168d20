"""Any program is pruned and tuned as it is: with the FP32 original as its teacher."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from compress.asked import Asked, ask
from compress.batches import Batches
from compress.cache import CHECKPOINT
from compress.measure import open_network
from compress.recipe import Prune, Tune
from compress.source import PROGRAM
from compress.steps.program import cost, exported
from compress.steps.prune import pruned
from compress.tune.losses import Ctc, Distil, Loss
from compress.tune.programs import tune as learn
from compress.work import Model, Stopped, Work
from models.ppyoloe.train.schedule import Plan

__all__ = ["learnt", "smaller_program"]

MANY = 10**9
"""Steps, where minutes are what ends it."""

SHARES = 1000
"""Of a training, as a bar counts it."""


def smaller_program(work: Work, prune: Prune | None, tune: Tune | None, model: Model) -> Model:
    """Pruned, then tuned, as the recipe asks; whether it passed its verdict says."""
    if tune is None:
        raise ValueError("a pruned program is tuned")
    program = model.program
    names: list[str] = []
    parameters: dict[str, Any] = {}
    if prune is not None:
        program, parameters = pruned(work, prune, program)
        names.append(f"pruned to {prune.flops:.0%}")
    names.append("tuned")
    program, facts, seconds = learnt(work, tune, program, model.program)
    parameters |= {**tune.model_dump(exclude_none=True), **facts}
    path = exported(work, program)
    found = work.judged(", ".join(names), path, program, work.baseline.evaluation)
    work.tried(
        found, "prune" if prune is not None else "tune", seconds=seconds,
        flops=cost(work, program)[0], weights=cost(work, program)[1], parameters=parameters,
    )  # fmt: skip
    return found


def learnt(
    work: Work, tune: Tune, student: Path, teacher: Path
) -> tuple[Path, dict[str, Any], float]:
    """Train a program; gives it with what is to be said of it, and the seconds that it took.

    Parameters
    ----------
    student
        The FP32, pruned or fake-quantised program.
    teacher
        The FP32 program, simplified.

    Raises
    ------
    Stopped
        The run was asked to stop; the training goes on from its checkpoint.
    """
    tuning = work.sets["tuning"]
    labels = tune.labels and any(isinstance(each.truth, str) for each in tuning.items)
    losses: list[Loss] = [Distil()]
    if labels:
        losses.append(Ctc(work.source.characters))
    asked = _asked(work) if labels else None
    batches = Batches(
        work.recipe, work.metric, tuning.items, tune.batch, labels, asked, work.source.config
    )
    bar = work.show("tuning")

    def make(folder: Path) -> dict[str, Any]:
        (folder / CHECKPOINT).mkdir(exist_ok=True)
        done = learn(
            student, folder / PROGRAM, batches, losses=losses, teacher=teacher,
            length=Plan(tune.steps or MANY, tune.minutes * 60 if tune.minutes else None),
            rate=tune.learning_rate, checkpoint=folder / CHECKPOINT / "checkpoint.npz",
            workers=min(tune.batch, len(os.sched_getaffinity(0))),
            progress=lambda share, measured: bar(round(share * SHARES), SHARES), stop=work.stop,
        )  # fmt: skip
        if not done.finished:
            raise Stopped
        return {"batches": done.steps, "losses": done.losses}

    parameters = {
        **tune.model_dump(), "seed": work.recipe.seed, "tuning": tuning.sha256,
        "mode": work.recipe.mode, "max_side": work.recipe.max_side, "beside": work.source.facts(),
    }  # fmt: skip
    inputs = {"student": student, "teacher": teacher}
    stage = work.stages.run("tune", 2, inputs, parameters, make)
    last = stage.facts["losses"][-1] if stage.facts["losses"] else {}
    facts = {"batches": stage.facts["batches"], "last loss": last.get("loss")}
    return stage.folder / PROGRAM, facts, stage.seconds


def _asked(work: Work) -> Asked:
    bar = work.show("asking the original")
    tuning, either_way = work.sets["tuning"], work.recipe.mode == "label"

    def make(folder: Path) -> dict[str, Any]:
        found = ask(
            open_network(work.baseline.path, work.job.threads), work.source.characters,
            tuning.items, either_way=either_way, progress=bar,
        )  # fmt: skip
        return {"likeness": found.likeness.tolist()}

    parameters = {
        "tuning": tuning.sha256, "ways": 1 + either_way, "beside": work.source.facts(),
    }  # fmt: skip
    stage = work.stages.run("ask", 1, {"model": work.baseline.path}, parameters, make)
    return Asked(np.array(stage.facts["likeness"], np.float64))
