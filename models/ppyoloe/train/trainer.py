"""Training itself: one step after the other, and all that must survive a kill."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from models.ppyoloe.dataset import Dataset
from models.ppyoloe.network import PPYOLOE, take_widths
from models.ppyoloe.train.batches import Batch, BatchPlan, batches
from models.ppyoloe.train.checkpoint import Checkpoint
from models.ppyoloe.train.schedule import Plan, ema_decay, learning_rate
from models.ppyoloe.train.weights import Start, arrays_of, put, start_from
from models.ppyoloe.train.workers import Made, TrainingError, Workers, learn_from, shares_of

__all__ = ["Setup", "Trainer", "TrainingError"]

CLIP = 10.0
"""Norm to which longer gradients are cut; ordinary ones have 1 to 5."""

SKIPPED_MAX = 10
"""Steps in a row whose loss or gradient is no number, after which training is given up."""

LONGEST_STEP_S = 120.0
"""Of a step that takes longer, only this counts: the machine slept, or the process was stopped."""

STATISTICS = ("._mean", "._variance")
"""Of batch normalisation: not learnt but followed, so that what is no number stays in them."""


@dataclass(frozen=True)
class Setup:
    """What a training is made of, apart from its data and how long it takes.

    Attributes
    ----------
    variant, plus
        Of the network.
    rate
        Peak of the learning rate.
    decay
        Weight decay (AdamW); scales, shifts and biases are left alone.
    workers
        Processes that share every batch.
    """

    variant: str
    plan: BatchPlan
    plus: bool = True
    rate: float = 1e-3
    decay: float = 0.05
    workers: int = 1


class Trainer:
    """One training.

    Parameters
    ----------
    path
        Of the checkpoint; if it is there, training goes on from it.
    start
        First weights; not looked at if there is a checkpoint.

    Attributes
    ----------
    step, seconds
        How far it is.
    average
        Moving average of the weights by name: what is evaluated and shipped.
    history
        ``steps`` and ``scores`` as they were measured.

    Raises
    ------
    InputError
        The checkpoint is of another training.
    """

    def __init__(
        self,
        dataset: Dataset,
        setup: Setup,
        length: Plan,
        path: Path,
        start: Start | None = None,
    ) -> None:
        self.dataset, self.setup, self.length, self.path = dataset, setup, length, path
        saved = Checkpoint.load(path) if path.exists() else None
        first = Start(saved.network, str(path)) if saved is not None else start
        paddle.seed(setup.plan.seed)
        with paddle.utils.unique_name.guard():  # the optimiser's state is stored by these names
            self.network = PPYOLOE(setup.variant, len(dataset.labels), plus=setup.plus)
            widths = first.widths(self.network) if first is not None else {}
            take_widths(self.network, widths)
            self._optimizer = _optimizer(self.network, setup)
        self.step, self.seconds = 0, 0.0
        self.history: dict[str, list[dict[str, float]]] = {"steps": [], "scores": []}
        self._skipped = 0
        if saved is not None:
            self._resume(saved)
        else:
            if start is not None:
                start_from(self.network, start.arrays, start.source)
            self.average = arrays_of(self.network)
        self.network.train()
        self._made = Made(setup.variant, len(dataset.labels), setup.plus, widths)
        self._workers = Workers(self.network, setup.workers - 1, self._made)

    @property
    def parameters(self) -> int:
        """Numbers that the network has learnt, before fusion."""
        return sum(p.size for p in self.network.parameters() if not p.stop_gradient)

    @property
    def progress(self) -> float:
        """0 to 1."""
        return self.length.progress(self.step, self.seconds)

    def run(self, each: Callable[[dict[str, float]], None]) -> None:
        """Train to the end; ``each`` is called after every step with what it measured.

        Its time counts too. An exception that it raises ends the run between two steps.

        Raises
        ------
        TrainingError
            Losses or gradients are no numbers any more.
        ImageError
            A picture cannot be read any more.
        """
        source = batches(self.dataset, self.setup.plan, self.step)
        try:
            while self.progress < 1:
                begin = time.monotonic()
                each(self.learn(next(source)))
                self.seconds += min(time.monotonic() - begin, LONGEST_STEP_S)
        finally:
            source.close()
            self.close()

    def close(self) -> None:
        """Let its other processes end."""
        self._workers.close()

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step: losses of the batch, and the step that makes them smaller."""
        progress = self.progress
        rate = learning_rate(progress, self.setup.rate)
        self._optimizer.set_lr(rate)
        aligned = self.length.aligned(progress)
        own, *others = shares_of(batch, 1 + self._workers.count)
        self._workers.start(others, aligned=aligned)
        whole = self._workers.finish(learn_from(self.network, own, aligned=aligned))
        norm = float(
            paddle.nn.utils.clip_grad_norm_(
                [p for p in self.network.parameters() if p.grad is not None], CLIP
            )
        )
        measured = {
            "step": self.step,
            **whole.losses,
            "lr": rate,
            "norm": norm,
            "anchors": whole.anchors,
        }
        if np.isfinite(norm) and np.isfinite(measured["loss"]):
            self._skipped = 0
            # Its state is named in the first step; a second training in the process would otherwise
            # count on, and could not go on from what the first one saved.
            with paddle.utils.unique_name.guard():
                self._optimizer.step()
            self._follow()
            self.history["steps"].append({k: round(float(v), 6) for k, v in measured.items()})
        else:
            self._skip(measured)
        self._optimizer.clear_grad()
        self.step += 1
        return measured

    def _skip(self, measured: dict[str, float]) -> None:
        """Leave the weights as they are, and undo what the pass did to the running statistics."""
        self._skipped += 1
        for name, value in self.network.state_dict().items():
            if name.endswith(STATISTICS) and not np.isfinite(value.numpy()).all():
                value.set_value(self.average[name])
        if self._skipped >= SKIPPED_MAX:
            raise TrainingError(
                f"training: {SKIPPED_MAX} steps in a row gave no finite loss and gradient "
                f"(step {self.step}, loss {measured['loss']:.3g}, gradient "
                f"{measured['norm']:.3g}): lower --rate; the last checkpoint is good"
            )

    def _follow(self) -> None:
        """Let the moving average of the weights follow them."""
        decay = ema_decay(self.step)
        for name, value in self.network.state_dict().items():
            average = self.average[name]
            average *= decay
            average += (1 - decay) * value.numpy()

    def averaged(self) -> PPYOLOE:
        """A network with the averaged weights, in inference mode."""
        network = self._made.network()
        put(network, self.average, "average")
        network.eval()
        return network

    def _settings(self) -> dict[str, Any]:
        plan = self.setup.plan
        return {
            "variant": self.setup.variant,
            "plus": self.setup.plus,
            "rate": self.setup.rate,
            "decay": self.setup.decay,
            "batch": plan.size,
            "workers": self.setup.workers,
            "sides": list(plan.sides),
            "seed": plan.seed,
            "pose": plan.pose,
            "fit": plan.fit,
            "input": list(plan.whole),
            "labels": list(self.dataset.labels),
            "pictures": len(self.dataset.pictures),
        }

    def save(self) -> None:
        """Write the checkpoint; ``StorageError`` if the disk is full."""
        state = self._optimizer.state_dict()
        Checkpoint(
            self._settings(),
            self.step,
            self.seconds,
            arrays_of(self.network),
            self.average,
            {k: v.numpy() for k, v in state.items() if isinstance(v, paddle.Tensor)},
            self.history,
        ).save(self.path)

    def _resume(self, saved: Checkpoint) -> None:
        saved.check_setup(self._settings(), self.path)
        put(self.network, saved.network, str(self.path))
        self.average = saved.average
        self._optimizer.set_state_dict(
            {name: paddle.to_tensor(value) for name, value in saved.optimizer.items()}
        )
        self.step, self.seconds, self.history = saved.step, saved.seconds, saved.history


def _optimizer(network: PPYOLOE, setup: Setup) -> Any:
    """AdamW that leaves alone what has one dimension: scales, shifts, biases."""
    decayed = {p.name for p in network.parameters() if p.ndim > 1}
    return paddle.optimizer.AdamW(
        setup.rate,
        parameters=[p for p in network.parameters() if not p.stop_gradient],
        weight_decay=setup.decay,
        apply_decay_param_fun=lambda name: name in decayed,
    )
