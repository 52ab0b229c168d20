"""Pictures kept back from training, to see how it does on what it has not learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.ppyoloe.dataset import Dataset

__all__ = ["HELD_OUT", "hold_out"]

HELD_OUT = 0.05
"""Share of a set that comes without a validation split."""


def hold_out(dataset: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Split a set at random, the same way for the same seed: to learn from, and to check with."""
    count = len(dataset.pictures)
    order = np.random.default_rng(seed).permutation(count)
    kept = set(order[: max(1, round(count * HELD_OUT))].tolist())
    learn = tuple(p for i, p in enumerate(dataset.pictures) if i not in kept)
    check = tuple(p for i, p in enumerate(dataset.pictures) if i in kept)
    return replace(dataset, pictures=learn), replace(dataset, pictures=check)
