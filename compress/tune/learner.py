"""Losses and gradients of one batch, by Paddle's static graph.

Paddle computes convolutions by plain loops here, ten times slower than oneDNN does, and spends as
long again on threads that wait. So the convolutions alone go through oneDNN (as a whole, with
``FLAGS_use_mkldnn``, its training is wrong), and the graph runs in one thread: a step of PP-OCRv4's
recogniser takes a third of the processor time. The first batch is computed both ways, and oneDNN
is given up if they differ.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from numpy.typing import NDArray

from compress.pdmodel import save_program
from compress.program import Program
from compress.tune.losses import LABELS, LENGTHS, TAUGHT, Ctc, Loss, build, encode
from compress.tune.trainable import TEACHER, parameters_of, trainable
from edge.engines import Array
from models.errors import ModelError

__all__ = ["Batch", "Learner", "Learnt", "flat_of", "values_of"]

Vector = NDArray[np.float32]

ALIKE = 1e-2
"""What oneDNN's gradient may differ by, as a share of the gradient's length; it is off by 1e-5 when
it is right, and by more than 1 when it is wrong."""

NOTHING = 1e-6
"""Length of a gradient that is rounding alone, as a student's that equals its teacher: nothing
can be told from it."""

_FAST = ("conv2d", "depthwise_conv2d", "conv2d_grad", "depthwise_conv2d_grad")


@dataclass(frozen=True)
class Batch:
    """Pictures, and what is known of them.

    Attributes
    ----------
    feeds
        The network's inputs, pictures along the first axis.
    texts
        What is written on each, ``None`` where nobody knows; empty if nothing learns from texts.
    taught
        Which pictures the teacher is asked about, a weight each; ``None`` asks about all.
    """

    feeds: Mapping[str, Array]
    texts: Sequence[str | None] = ()
    taught: Sequence[float] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.feeds.values())))

    def part(self, first: int, last: int) -> Batch:
        """Pictures ``first`` up to ``last``, which is not among them."""
        return Batch(
            {name: value[first:last] for name, value in self.feeds.items()},
            self.texts[first:last],
            None if self.taught is None else self.taught[first:last],
        )


@dataclass(frozen=True)
class Learnt:
    """Of one batch: the pictures in it, each loss, and the gradient of their sum."""

    pictures: int
    losses: dict[str, float]
    gradient: Vector


def flat_of(parameters: Mapping[str, Array], names: Sequence[str]) -> Vector:
    """Values of the named parameters, one after the other."""
    flat = np.concatenate([parameters[name].ravel() for name in names])
    return np.asarray(flat, np.float32)


def values_of(
    flat: Vector, parameters: Mapping[str, Array], names: Sequence[str]
) -> dict[str, Array]:
    """What :func:`flat_of` has put together, by name and in shape."""
    ends = np.cumsum([parameters[name].size for name in names])
    parts = np.split(flat, ends[:-1])
    return {n: p.reshape(parameters[n].shape) for n, p in zip(names, parts, strict=True)}


class Learner:
    """A student, its teacher and their losses as one graph.

    Parameters
    ----------
    student
        Any inference program; fake quantisation is let pass by its gradient.
    teacher
        The original, for :class:`compress.tune.Distil`.
    fast
        Whether oneDNN may be used.

    Attributes
    ----------
    names
        The parameters that learn, sorted.

    Raises
    ------
    ModelError
        A loss does not fit the student, or an operator has no gradient.
    """

    def __init__(
        self,
        student: Program,
        teacher: Program | None,
        losses: Sequence[Loss],
        *,
        fast: bool = True,
    ) -> None:
        self._student, self._losses = student, tuple(losses)
        self.names = parameters_of(student)
        if not self.names:
            raise ModelError("has no parameters that could learn: give a network with weights")
        self._whole = trainable(student, teacher)
        self._teacher = teacher
        self._dictionary = next((x.dictionary for x in losses if isinstance(x, Ctc)), None)
        self._plain = _Graph(self, fast=False)
        self._graph = _Graph(self, fast=True) if fast else self._plain
        self._checked = not fast

    def learn(self, flat: Vector, batch: Batch) -> Learnt:
        """Losses of a batch at the weights ``flat``, and their gradient."""
        feeds = dict(batch.feeds)
        if self._dictionary is not None:
            texts = batch.texts or [None] * len(batch)
            feeds[LABELS], feeds[LENGTHS] = encode(texts, self._dictionary)
        if self._teacher is not None:
            taught = np.ones(len(batch)) if batch.taught is None else batch.taught
            feeds[TAUGHT] = np.asarray(taught, np.float32)
        values = values_of(flat, self._student.parameters, self.names)
        learnt = self._graph.run(values, feeds, len(batch))
        if not self._checked:
            self._checked = True
            sure = self._plain.run(values, feeds, len(batch))
            apart = float(np.linalg.norm(sure.gradient - learnt.gradient))
            length = float(np.linalg.norm(sure.gradient))
            if length < NOTHING:
                self._checked, learnt = False, sure
            elif apart <= ALIKE * length:
                del self._plain
            else:
                self._graph, learnt = self._plain, sure
        return learnt


class _Graph:
    """The graph, ready to run."""

    def __init__(self, learner: Learner, *, fast: bool) -> None:
        whole = learner._whole
        self._names = learner.names
        with _static():
            self._program = paddle.static.Program.parse_from_string(_bytes(whole))
            self._scope = paddle.static.Scope()
            self._place = paddle.CPUPlace()
            self._executor = paddle.static.Executor(self._place)
            block = self._program.global_block()
            for variable in block.vars.values():
                variable.stop_gradient = variable.name.startswith(TEACHER)
            for name in set(whole.parameters) - set(self._names):
                block.var(name).stop_gradient = True
            for feed in learner._student.feeds:
                block.var(feed).stop_gradient = True
            startup = paddle.static.Program()
            with (
                paddle.static.program_guard(self._program, startup),
                paddle.utils.unique_name.guard("loss/"),  # the network's names stand as well
                warnings.catch_warnings(),
            ):
                # Paddle warns of its own operators.
                warnings.simplefilter("ignore", DeprecationWarning)
                parts = build(learner._losses, learner._student, learner._teacher, block)
                total = sum(parts.values())
                try:
                    gradients = paddle.static.gradients(
                        [total], [block.var(name) for name in self._names]
                    )
                except (RuntimeError, ValueError, NotImplementedError) as error:
                    raise ModelError(
                        f"Paddle has no gradient of it ({str(error).splitlines()[0]}): "
                        "leave tuning out"
                    ) from error
            self._parts = list(parts)
            self._fetches = [*parts.values(), *[g for g in gradients if g is not None]]
            self._reached = [g is not None for g in gradients]
            if fast:
                for op in block.ops:
                    if op.type in _FAST:
                        op._set_attr("use_mkldnn", True)
        for name, value in whole.parameters.items():
            self._set(name, value)

    def run(self, values: Mapping[str, Array], feeds: Mapping[str, Array], pictures: int) -> Learnt:
        for name, value in values.items():
            self._set(name, value)
        with _static(), paddle.static.scope_guard(self._scope):
            found = self._executor.run(self._program, feed=dict(feeds), fetch_list=self._fetches)
        count = len(self._parts)
        measured = {
            name: float(value) for name, value in zip(self._parts, found[:count], strict=True)
        }
        reached = iter(found[count:])
        gradient = [
            next(reached).ravel() if there else np.zeros(values[name].size, np.float32)
            for name, there in zip(self._names, self._reached, strict=True)
        ]
        return Learnt(pictures, measured, np.concatenate(gradient))

    def _set(self, name: str, value: Array) -> None:
        self._scope.var(name).get_tensor().set(np.ascontiguousarray(value), self._place)


def _bytes(program: Program) -> bytes:
    with tempfile.TemporaryDirectory(prefix="lineguard-tune-") as scratch:
        path = Path(scratch) / "model.pdmodel"
        save_program(program, path)
        return path.read_bytes()


@contextmanager
def _static() -> Iterator[None]:
    """Paddle's static mode, in one thread, and the mode that was on afterwards."""
    flag = "FLAGS_new_executor_serial_run"
    before = paddle.get_flags([flag])
    dynamic = paddle.in_dynamic_mode()
    paddle.set_flags({flag: True})
    paddle.enable_static()
    try:
        yield
    finally:
        paddle.set_flags(before)
        if dynamic:
            paddle.disable_static()
