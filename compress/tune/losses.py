"""What a model in training is held against: texts, and the answers of its teacher.

Each loss is a sum over one picture, meant over the pictures of the batch, so that losses of
pictures with and without text mix in one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle.nn import functional as F  # noqa: N812 - Paddle's own name for it

from compress.program import Program
from compress.tune.trainable import TEACHER, branches, logits
from edge.engines import Array
from models.errors import InputError, ModelError

__all__ = ["LABELS", "LENGTHS", "TAUGHT", "Ctc", "Distil", "Loss", "build", "encode"]

LABELS, LENGTHS, TAUGHT = "truth.labels", "truth.lengths", "truth.taught"
"""Inputs beside the network's own: texts as classes, how many of them, and which pictures the
teacher is asked about."""

_TEXT = 0.3
"""Probability from which a pixel counts as text (``models.ppocr.det``)."""

_TINY = 1e-12
"""Added to probabilities before their logarithm is taken."""


@dataclass(frozen=True)
class Ctc:
    """Texts, by Connectionist Temporal Classification (Graves et al., ICML 2006).

    Attributes
    ----------
    dictionary
        Characters by class, the blank first.
    weight
        Of this loss among the others.
    """

    dictionary: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Distil:
    """The teacher's answers (Hinton et al., https://arxiv.org/abs/1503.02531).

    An output of softmax is held against the teacher's by the Kullback-Leibler divergence, the map
    of a text detector by that of each pixel, text and background weighing the same, and by the
    overlap (Dice); any other by the squared difference over the teacher's square. Feature maps are
    held against each other by where their energy lies (attention transfer,
    https://arxiv.org/abs/1612.03928), which fits narrower ones as well.

    Attributes
    ----------
    weight
        Of the outputs.
    features
        Of the feature maps; 0 leaves them out.
    """

    weight: float = 1.0
    features: float = 0.0


Loss = Ctc | Distil


def encode(texts: Sequence[str | None], dictionary: Sequence[str]) -> tuple[Array, Array]:
    """Texts as classes ``(N, L) int32`` and lengths ``(N,) int64``; 0 where there is no text.

    Raises
    ------
    InputError
        A character is not in the dictionary.
    """
    known = {character: number for number, character in enumerate(dictionary) if number}
    classes: list[list[int]] = []
    for text in texts:
        strange = sorted(set(text or "") - known.keys())
        if strange:
            raise InputError(
                f"{text!r}: {' '.join(map(repr, strange))} is not in the dictionary: "
                "leave the text out, or correct it"
            )
        classes.append([known[c] for c in text or ""])
    lengths = np.array([len(row) for row in classes], np.int64)
    labels = np.zeros((len(classes), max(1, *map(len, classes), 1)), np.int32)
    for slot, row in zip(labels, classes, strict=True):
        slot[: len(row)] = row
    return labels, lengths


def build(
    losses: Sequence[Loss], student: Program, teacher: Program | None, block: Any
) -> dict[str, Any]:
    """Put the losses behind the networks; gives the weighted scalar of each by its name.

    To be called within the guard of the Paddle program whose block it is.

    Raises
    ------
    ModelError
        A loss does not fit the network, or there is no teacher to learn from.
    """
    parts: dict[str, Any] = {}
    for loss in losses:
        if isinstance(loss, Ctc):
            parts["ctc"] = loss.weight * _ctc(loss, student, block)
            continue
        if teacher is None:
            raise ModelError("distillation has no teacher: give the original model")
        taught = paddle.static.data(TAUGHT, [-1], "float32")
        outputs = [
            _output(student, teacher, s, t, block)
            for s, t in zip(student.fetches, teacher.fetches, strict=True)
        ]
        parts["distil"] = loss.weight * _mean(sum(outputs), taught)
        if loss.features:
            names = branches(student, teacher)
            if not names:
                raise ModelError(
                    "student and teacher share no feature map by name: set features to 0"
                )
            maps = [_attention(block.var(n), block.var(TEACHER + n)) for n in names]
            parts["features"] = loss.features * _mean(sum(maps) / len(maps), taught)
    return parts


def _ctc(loss: Ctc, student: Program, block: Any) -> Any:
    kind, name = logits(student, student.fetches[0])
    shape = student.shape(student.fetches[0]) or ()
    if kind != "softmax" or len(shape) != 3 or len(student.fetches) != 1:
        raise ModelError("is no recogniser, with one output of probabilities by step: has no texts")
    if shape[2] > 0 and shape[2] != len(loss.dictionary):
        raise ModelError(
            f"the dictionary has {len(loss.dictionary)} classes, the recogniser {shape[2]}: "
            "use the one that it was trained with"
        )
    labels = paddle.static.data(LABELS, [-1, -1], "int32")
    lengths = paddle.static.data(LENGTHS, [-1], "int64")
    given = paddle.cast(lengths > 0, "float32")
    steps = paddle.transpose(block.var(name), [1, 0, 2])
    frames = paddle.zeros_like(lengths) + paddle.cast(paddle.shape(steps)[0], "int64")
    # A text of no length breaks warp-ctc: such a picture reads as one blank, and weighs nothing.
    each = F.ctc_loss(steps, labels, frames, paddle.clip(lengths, min=1), blank=0, reduction="none")
    return _mean(paddle.reshape(each, [-1]), given)


def _output(student: Program, teacher: Program, s: str, t: str, block: Any) -> Any:
    kind, name = logits(student, s)
    other, source = logits(teacher, t)
    seen, target = block.var(name), block.var(TEACHER + source)
    if kind != other:
        seen, target, kind = block.var(s), block.var(TEACHER + t), ""
    if kind == "softmax":
        # Paddle's log_softmax takes longer than the network.
        truth, said = block.var(TEACHER + t), block.var(s)
        return _per_picture(truth * (paddle.log(truth + _TINY) - paddle.log(said + _TINY)))
    if kind == "sigmoid":
        return _map(seen, target)
    return _per_picture(paddle.square(seen - target)) / (_per_picture(paddle.square(target)) + 1e-6)


def _map(seen: Any, target: Any) -> Any:
    truth, said = F.sigmoid(target), F.sigmoid(seen)
    # Of two Bernoulli distributions, by their logits: no logarithm of 0.
    far = truth * (target - seen) + F.softplus(seen) - F.softplus(target)
    text = paddle.cast(truth > _TEXT, "float32")
    rest = 1.0 - text
    halves = [_per_picture(far * part) / (_per_picture(part) + 1.0) for part in (text, rest)]
    shared = _per_picture(said * truth) + 1.0
    squares = _per_picture(paddle.square(said)) + _per_picture(paddle.square(truth)) + 2.0
    return halves[0] + halves[1] + (1.0 - 2.0 * shared / squares)


def _attention(seen: Any, target: Any) -> Any:
    maps = []
    for value in (seen, target):
        energy = paddle.mean(paddle.square(value), axis=1)
        total = paddle.sqrt(paddle.sum(paddle.square(energy), axis=[1, 2], keepdim=True))
        maps.append(energy / (total + 1e-6))
    return _per_picture(paddle.square(maps[0] - maps[1]))


def _per_picture(value: Any) -> Any:
    # A product with ones: Paddle's sum takes ten times as long.
    flat = paddle.flatten(value, 1)
    return paddle.squeeze(paddle.matmul(flat, paddle.ones_like(flat[:1]), transpose_y=True), 1)


def _mean(each: Any, weights: Any) -> Any:
    return paddle.mean(each * weights)
