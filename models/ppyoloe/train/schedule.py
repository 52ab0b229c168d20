"""How far a training has come, and how large its steps are."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Plan", "ema_decay", "learning_rate"]

WARM_UP = 0.05
"""Share of the training in which the steps grow: large first steps wreck a new network."""

ATSS = 0.1
"""Share of the training that learns from ATSS; after it the network's own scores mean something."""

FINAL = 0.01
"""Of the peak, the learning rate at the end."""

EMA_DECAY = 0.9998
"""PP-YOLOE's; reached after some 50,000 steps, and less before."""


@dataclass(frozen=True)
class Plan:
    """How long to train.

    Attributes
    ----------
    steps
        Batches.
    seconds
        Time budget, or ``None``. The schedule is squeezed so that it ends when the time does.
    """

    steps: int
    seconds: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """0 at the beginning, 1 at the end: by steps or by time, whichever is further."""
        share = step / self.steps
        return min(1.0, max(share, seconds / self.seconds) if self.seconds else share)

    def aligned(self, progress: float) -> bool:
        """Whether assignment is task-aligned by now."""
        return progress >= ATSS


def learning_rate(progress: float, peak: float) -> float:
    """Linear warm-up, then half a cosine."""
    if progress < WARM_UP:
        return peak * (progress + 1e-3) / (WARM_UP + 1e-3)
    cosine = (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2
    return peak * (FINAL + (1 - FINAL) * cosine)


def ema_decay(step: int) -> float:
    """Of the moving average of the weights: short at first, so that it forgets the start."""
    return min(EMA_DECAY, (1 + step) / (10 + step))
