"""Processes that each learn from a share of every batch.

Paddle's static mode, its flags and its crashes stay in them. The weights lie in memory that all
see, and each process leaves the gradient of its share there; their mean is that of the whole batch.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from compress.pdmodel import load_program
from compress.tune.learner import Batch, Learner, Learnt, Vector
from compress.tune.losses import Loss
from models.errors import InputError, LineguardError, ModelError

__all__ = ["Workers"]


class Workers:
    """Processes that learn together; to be left with ``with``.

    Parameters
    ----------
    count
        How many, one core each.
    student, teacher
        Programs; each process loads them.
    size
        How many numbers learn.

    Raises
    ------
    ModelError
        The networks and losses do not fit, or a process ended.
    """

    def __init__(
        self, count: int, student: Path, teacher: Path | None, losses: Sequence[Loss], size: int
    ) -> None:
        # A fork of a process with threads, as Paddle has, may hang.
        context = multiprocessing.get_context("spawn")
        self._flat: Any = context.RawArray("f", size)
        self._gradients: list[Any] = [context.RawArray("f", size) for _ in range(count)]
        self._pipes: list[Connection] = []
        self._processes = []
        with _environment():
            for gradient in self._gradients:
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work,
                    args=(theirs, self._flat, gradient, student, teacher, tuple(losses)),
                    daemon=True,
                )
                process.start()
                theirs.close()  # so that its end is noticed
                self._pipes.append(ours)
                self._processes.append(process)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            if kind is not None:  # it may be in the middle of a step
                process.terminate()
            process.join()

    def learn(self, flat: Vector, batch: Batch) -> Learnt:
        """Losses and gradient of a batch at the weights ``flat``.

        Raises
        ------
        InputError, ModelError
            What the processes raised, or one of them ended.
        """
        np.frombuffer(self._flat, np.float32)[:] = flat
        edges = np.linspace(0, len(batch), len(self._pipes) + 1).round().astype(int).tolist()
        shares = [
            (pipe, gradient, batch.part(a, b))
            for pipe, gradient, (a, b) in zip(
                self._pipes, self._gradients, itertools.pairwise(edges), strict=True
            )
            if a < b
        ]
        for pipe, _, share in shares:
            self._ask(pipe.send, share)
        gradient, losses = np.zeros_like(flat), dict[str, float]()
        for pipe, found, share in shares:
            answer = self._ask(pipe.recv)
            if isinstance(answer, LineguardError):
                raise answer
            weight = len(share) / len(batch)
            gradient += np.frombuffer(found, np.float32) * np.float32(weight)
            for name, value in answer.items():
                losses[name] = losses.get(name, 0.0) + weight * value
        return Learnt(len(batch), losses, gradient)

    def _ask(self, ask: Any, *args: Any) -> Any:
        try:
            return ask(*args)
        except (EOFError, OSError):
            for process in self._processes:
                process.join(1)
            codes = ", ".join(str(process.exitcode) for process in self._processes)
            raise ModelError(
                f"tuning: one of its processes ended (exit codes {codes}; -9 is mostly the "
                "system, short of memory): give a smaller batch, or one process; the same "
                "command goes on from the last checkpoint"
            ) from None


@contextmanager
def _environment() -> Iterator[None]:
    """Of processes started within: libraries read it when they are loaded, and never again."""
    wanted = {"OMP_NUM_THREADS": "1", "GLOG_minloglevel": "2"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    pipe: Connection,
    flat: Any,
    gradient: Any,
    student: Path,
    teacher: Path | None,
    losses: tuple[Loss, ...],
) -> None:
    """A process: shares come, gradients go, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides when to stop
    given, found = np.frombuffer(flat, np.float32), np.frombuffer(gradient, np.float32)
    learner: Learner | None = None
    while True:
        try:
            batch = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if learner is None:
                original = None if teacher is None else load_program(teacher)
                learner = Learner(load_program(student), original, losses)
            learnt = learner.learn(given, batch)
        except LineguardError as error:
            kind = InputError if isinstance(error, InputError) else ModelError
            pipe.send(kind(f"{student}: {error}" if kind is ModelError else str(error)))
            continue
        found[:] = learnt.gradient
        pipe.send(learnt.losses)
