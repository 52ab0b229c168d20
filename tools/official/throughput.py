"""How many pictures a second each code trains on: the same steps, turn about, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import paddle

from models.ppyoloe.network import PPYOLOE, STRIDES
from models.ppyoloe.train.assign import anchors_of
from models.ppyoloe.train.loss import detection_loss
from models.ppyoloe.train.weights import arrays_of, put
from tools.bench.stats import median_ratio
from tools.line.board import CLASSES
from tools.official import peer
from tools.official.pictures import boards

__all__ = ["measure"]

BATCH = 8
SIDE = 320

WARM = 2
"""Steps that are not counted: memory and threads are got during them."""


def measure(variant: str, rounds: int) -> dict[str, Any]:
    """Time whole steps of both: forward, assignment and loss, backward, optimiser.

    Both begin with the same weights and learn the same boards with the same AdamW, assigned
    task-aligned. Reading and augmenting pictures is left out.

    Returns
    -------
    Pictures a second of each, ``ratio`` (above 1 ours is faster) with ``low`` and ``high``, its
    95% interval over the rounds, and how far the losses of the first step are apart, relative.
    """
    images, truths = boards(BATCH, (SIDE, SIDE), seed=7)
    theirs = peer.build(variant, len(CLASSES), plus=True)
    ours = PPYOLOE(variant, len(CLASSES), plus=True)
    put(ours, arrays_of(theirs), "official")
    image = paddle.to_tensor(images)
    targets = {"image": image, **peer.padded(truths, aligned=True)}
    anchors = anchors_of((SIDE, SIDE), STRIDES)

    def our_loss() -> paddle.Tensor:
        return detection_loss(ours(image), truths, anchors, aligned=True).total

    def their_loss() -> paddle.Tensor:
        return theirs(targets)["loss"]

    sides = [(_step(theirs, their_loss)), (_step(ours, our_loss))]
    times: list[list[float]] = [[], []]
    first = [0.0, 0.0]
    for number in range(-WARM, rounds):
        order = (0, 1) if number % 2 else (1, 0)
        for side in order:
            start = time.perf_counter()
            loss = sides[side]()
            if number >= 0:
                times[side].append(time.perf_counter() - start)
            elif number == -WARM:
                first[side] = loss
    ratio = median_ratio(np.array(times[0]), np.array(times[1]))
    return {
        "variant": variant,
        "batch": BATCH,
        "side": SIDE,
        "rounds": rounds,
        "their_images_per_s": round(BATCH / ratio.theirs_ms * 1000, 2),
        "our_images_per_s": round(BATCH / ratio.ours_ms * 1000, 2),
        "ratio": round(ratio.ratio, 3),
        "low": round(ratio.low, 3),
        "high": round(ratio.high, 3),
        "first_loss": abs(first[0] - first[1]) / first[0],
    }


def _step(network: paddle.nn.Layer, loss: Callable[[], paddle.Tensor]) -> Callable[[], float]:
    optimiser = paddle.optimizer.AdamW(
        1e-4, parameters=[p for p in network.parameters() if not p.stop_gradient]
    )
    network.train()

    def step() -> float:
        value = loss()
        value.backward()
        optimiser.step()
        optimiser.clear_grad()
        return float(value)

    return step
