"""Any inference program learns again, as it is, without the code that it was trained with.

::

    def batches(step: int) -> Batch: ...

    tune(
        Path("pruned.pdmodel"), Path("tuned.pdmodel"), batches,
        losses=(Ctc(dictionary), Distil()), teacher=Path("original.pdmodel"),
        length=Plan(2000), rate=3e-4,
    )

Fake quantisation with scales that stand is a program like any other: what is tuned is then what
rounding leaves.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from compress.pdmodel import load_program, save_program
from compress.tune.learner import Batch, Vector, flat_of, values_of
from compress.tune.losses import Loss
from compress.tune.trainable import parameters_of
from compress.tune.workers import Workers
from models.errors import ModelError
from models.ppyoloe.train.checkpoint import Checkpoint
from models.ppyoloe.train.schedule import Plan, learning_rate

__all__ = ["Tuned", "tune"]

MOMENTS = (0.9, 0.999)
EPSILON = 1e-8
"""Adam's, as its authors give them (https://arxiv.org/abs/1412.6980)."""

SAVE_SECONDS = 60.0
"""What a kill may cost."""


@dataclass(frozen=True)
class Tuned:
    """How tuning went.

    Attributes
    ----------
    finished
        Whether it came to its end; if it was stopped, there is a checkpoint, and no program.
    steps
        Batches learnt, all in all.
    seconds
        Spent on them.
    losses
        Means of each tenth of the steps, by the losses' names; ``loss`` is their sum.
    """

    finished: bool
    steps: int
    seconds: float
    losses: list[dict[str, float]]


def tune(
    student: Path,
    out: Path,
    batches: Callable[[int], Batch],
    *,
    losses: Sequence[Loss],
    teacher: Path | None = None,
    length: Plan,
    rate: float,
    checkpoint: Path,
    workers: int = 1,
    progress: Callable[[float, dict[str, float]], None] = lambda share, measured: None,
    stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """Train the weights of ``student`` by Adam, and write the program with them.

    Parameters
    ----------
    student, teacher
        ``.pdmodel``; the student may be pruned or have fake quantisation.
    out
        A ``.pdmodel``: the student with other values, and nothing else of it changed.
    batches
        Gives the batch of a step, the same one whenever it is asked for that step.
    checkpoint
        To go on from after a kill or a stop; removed at the end.
    workers
        Processes that share every batch, each on a core.
    progress
        Told how far it is, 0 to 1, and the losses of each step.
    stop
        Asked after each step.

    Raises
    ------
    InputError
        A text has a character that the dictionary has not, or the checkpoint is of another
        training.
    ModelError
        The networks and losses do not fit each other, or the loss is no number any more; what was
        learnt until then is in the checkpoint.
    StorageError
        The disk is full.
    """
    program = load_program(student)
    names = parameters_of(program)
    if not names:
        raise ModelError(f"{student}: has no parameters that could learn: give one with weights")
    setup = _setup(student, teacher, losses, length, rate)
    state = _State.begin(flat_of(program.parameters, names))
    if checkpoint.exists():
        state = _State.load(checkpoint, setup)
    begun, saved = time.monotonic() - state.seconds, time.monotonic()
    with Workers(workers, student, teacher, losses, state.flat.size) as team:
        while (share := length.progress(state.step, state.seconds)) < 1:
            learnt = team.learn(state.flat, batches(state.step))
            total = sum(learnt.losses.values())
            if not (np.isfinite(total) and np.isfinite(learnt.gradient).all()):
                state.save(checkpoint, setup)
                raise ModelError(
                    f"{student}: tuning: the loss is no number at step {state.step}: give a lower "
                    f"learning rate; {checkpoint} holds what was learnt before"
                )
            state.move(learnt.gradient, learning_rate(share, rate))
            state.seconds = time.monotonic() - begun
            state.history.append({"loss": total, **learnt.losses})
            progress(length.progress(state.step, state.seconds), state.history[-1])
            if stop():
                state.save(checkpoint, setup)
                return Tuned(False, state.step, state.seconds, state.tenths())
            if time.monotonic() - saved > SAVE_SECONDS:
                state.save(checkpoint, setup)
                saved = time.monotonic()
    program.parameters.update(values_of(state.flat, program.parameters, names))
    save_program(program, out)
    checkpoint.unlink(missing_ok=True)
    return Tuned(True, state.step, state.seconds, state.tenths())


@dataclass
class _State:
    """All that changes: the weights, Adam's moments, and how far it is."""

    flat: Vector
    mean: Vector
    square: Vector
    step: int
    seconds: float
    history: list[dict[str, float]]

    @classmethod
    def begin(cls, flat: Vector) -> _State:
        return cls(flat, np.zeros_like(flat), np.zeros_like(flat), 0, 0.0, [])

    @classmethod
    def load(cls, path: Path, setup: dict[str, str]) -> _State:
        found = Checkpoint.load(path)
        found.check_setup(setup, path)
        moments = found.optimizer
        return cls(
            found.network["flat"],
            moments["mean"],
            moments["square"],
            found.step,
            found.seconds,
            found.history["losses"],
        )

    def save(self, path: Path, setup: dict[str, str]) -> None:
        moments = {"mean": self.mean, "square": self.square}
        Checkpoint(
            setup, self.step, self.seconds, {"flat": self.flat}, {}, moments,
            {"losses": self.history},
        ).save(path)  # fmt: skip

    def move(self, gradient: Vector, rate: float) -> None:
        """One step of Adam."""
        self.step += 1
        first, second = MOMENTS
        self.mean += np.float32(1 - first) * (gradient - self.mean)
        self.square += np.float32(1 - second) * (gradient * gradient - self.square)
        scale = rate * (1 - second**self.step) ** 0.5 / (1 - first**self.step)
        self.flat -= np.float32(scale) * self.mean / (np.sqrt(self.square) + np.float32(EPSILON))

    def tenths(self) -> list[dict[str, float]]:
        parts = np.array_split(np.arange(len(self.history)), min(10, len(self.history)) or 1)
        return [
            {key: float(np.mean([self.history[i][key] for i in part])) for key in self.history[0]}
            for part in parts
            if len(part)
        ]


def _setup(
    student: Path, teacher: Path | None, losses: Sequence[Loss], length: Plan, rate: float
) -> dict[str, str]:
    """What must be the same to go on."""

    def digest(program: Path) -> str:
        made = hashlib.sha256(program.read_bytes())
        made.update(program.with_suffix(".pdiparams").read_bytes())
        return made.hexdigest()[:16]

    described = [
        f"{type(x).__name__} "
        + " ".join(f"{f.name}={_short(getattr(x, f.name))}" for f in fields(x))
        for x in losses
    ]
    return {
        "student": digest(student),
        "teacher": digest(teacher) if teacher else "none",
        "losses": "; ".join(described),
        "steps": str(length.steps),
        "budget": str(length.seconds),
        "rate": repr(rate),
    }


def _short(value: object) -> str:
    if isinstance(value, tuple):
        joined = "\n".join(map(str, value))
        return f"{len(value)}:{hashlib.sha256(joined.encode()).hexdigest()[:8]}"
    return repr(value)
