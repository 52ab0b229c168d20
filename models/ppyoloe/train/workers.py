"""Processes that each learn from a share of every batch; Paddle keeps one core busy, and no more.

The weights lie in memory that all of them see. The trainer writes them there, each process leaves
the gradients of its share there, and the trainer takes their mean, as in data-parallel training on
several cards. Batch normalisation looks at one share alone, and the statistics that ship are those
of the trainer's own share.
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from models.errors import ModelError
from models.ppyoloe.network import PPYOLOE, STRIDES, Widths, take_widths
from models.ppyoloe.train.assign import anchors_of
from models.ppyoloe.train.batches import Batch
from models.ppyoloe.train.loss import WEIGHTS, detection_loss

__all__ = ["Made", "Share", "TrainingError", "Workers", "learn_from", "shares_of"]


@dataclass(frozen=True)
class Made:
    """How a network is made."""

    variant: str
    classes: int
    plus: bool
    widths: Widths

    def network(self) -> PPYOLOE:
        """With any weights."""
        network = PPYOLOE(self.variant, self.classes, plus=self.plus)
        take_widths(network, self.widths)
        return network


class TrainingError(ModelError):
    """Training went off the rails."""


@dataclass(frozen=True)
class Share:
    """What was measured of a part of a batch: its losses, weighted, and the pictures in it."""

    pictures: int
    losses: dict[str, float]
    anchors: int


def shares_of(batch: Batch, count: int) -> list[Batch]:
    """The batch in ``count`` parts that differ by one picture at most."""
    edges = np.linspace(0, len(batch.truths), count + 1).round().astype(int)
    return [
        Batch(batch.step, batch.images[a:b], batch.truths[a:b])
        for a, b in itertools.pairwise(edges)
    ]


def learn_from(network: PPYOLOE, batch: Batch, *, aligned: bool) -> Share:
    """Losses of the batch; their gradients are left in the network's parameters."""
    side = batch.images.shape[2]
    levels = network(paddle.to_tensor(batch.images))
    anchors = anchors_of((side, side), STRIDES)
    losses = detection_loss(levels, batch.truths, anchors, aligned=aligned)
    losses.total.backward()
    parts = {"cls": losses.cls, "iou": losses.iou, "dfl": losses.dfl}
    measured = {name: WEIGHTS[name] * float(part) for name, part in parts.items()}
    return Share(len(batch.truths), {"loss": float(losses.total), **measured}, losses.boxes)


class Workers:
    """The other processes of a training.

    Parameters
    ----------
    count
        Of them, beside the one that asks; 0 starts none.
    made
        How the network was made.
    """

    def __init__(self, network: PPYOLOE, count: int, made: Made) -> None:
        self._parameters = _learnt(network)
        size = sum(p.size for p in self._parameters)
        # A fork of a process with threads, as Paddle has, may hang.
        context = multiprocessing.get_context("spawn")
        self._weights: Any = context.RawArray("f", size if count else 0)
        self._gradients: list[Any] = [context.RawArray("f", size) for _ in range(count)]
        self._pipes: list[Connection] = []
        self._processes = []
        for gradients in self._gradients:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(theirs, self._weights, gradients, made),
                daemon=True,
            )
            process.start()
            theirs.close()  # so that its end is noticed
            self._pipes.append(ours)
            self._processes.append(process)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._processes)

    def start(self, batches: Sequence[Batch], *, aligned: bool) -> None:
        """Give each its share, and the weights as they are now."""
        if self.count:
            flat = np.frombuffer(self._weights, np.float32)
            for parameter, place in zip(self._parameters, _places(self._parameters), strict=True):
                flat[place] = parameter.numpy().ravel()
        for pipe, batch in zip(self._pipes, batches, strict=True):
            self._ask(pipe.send, (batch.step, batch.images, batch.truths, aligned))

    def finish(self, own: Share) -> Share:
        """Wait for all; the parameters' gradients are then those of the whole batch.

        Raises
        ------
        TrainingError
            One of them ended.
        """
        shares = [own] + [self._ask(pipe.recv) for pipe in self._pipes]
        whole = sum(share.pictures for share in shares)
        if self.count:
            others = [np.frombuffer(each, np.float32) for each in self._gradients]
            for parameter, place in zip(self._parameters, _places(self._parameters), strict=True):
                if parameter.grad is None:
                    continue
                mean = parameter.grad.numpy().ravel() * (own.pictures / whole)
                for share, gradient in zip(shares[1:], others, strict=True):
                    mean += gradient[place] * (share.pictures / whole)
                parameter.grad.set_value(mean.reshape(parameter.shape))
        losses = {
            name: sum(share.losses[name] * share.pictures for share in shares) / whole
            for name in own.losses
        }
        return Share(whole, losses, sum(share.anchors for share in shares))

    def close(self) -> None:
        """Let them end."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()

    def _ask(self, ask: Any, *args: Any) -> Any:
        try:
            return ask(*args)
        except (EOFError, OSError):
            for process in self._processes:
                process.join(1)
            codes = ", ".join(str(process.exitcode) for process in self._processes)
            raise TrainingError(
                f"training: one of its processes ended (exit codes {codes}; -9 is mostly the "
                "system, short of memory): give a smaller --batch, or --threads 1; the same "
                "command goes on from the last checkpoint"
            ) from None


def _learnt(network: PPYOLOE) -> list[Any]:
    return [p for p in network.parameters() if not p.stop_gradient]


def _places(parameters: Sequence[Any]) -> list[slice]:
    """Of each parameter in the array that holds them all."""
    ends = np.cumsum([p.size for p in parameters]).tolist()
    return [slice(end - int(p.size), end) for p, end in zip(parameters, ends, strict=True)]


def _work(pipe: Connection, weights: Any, gradients: Any, made: Made) -> None:
    """A process: shares come, gradients go, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    network = made.network()
    network.train()
    parameters = _learnt(network)
    places = _places(parameters)
    given: NDArray[np.float32] = np.frombuffer(weights, np.float32)
    found: NDArray[np.float32] = np.frombuffer(gradients, np.float32)
    while True:
        try:
            step, images, truths, aligned = pipe.recv()
        except (EOFError, OSError):
            return
        for parameter, place in zip(parameters, places, strict=True):
            parameter.set_value(given[place].reshape(parameter.shape))
            parameter.clear_grad()
        share = learn_from(network, Batch(step, images, truths), aligned=aligned)
        for parameter, place in zip(parameters, places, strict=True):
            found[place] = 0.0 if parameter.grad is None else parameter.grad.numpy().ravel()
        pipe.send(share)
