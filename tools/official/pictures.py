"""Pictures of real boards and their defects, as both networks take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.ppyoloe.train.loss import Truth
from tools.line import render
from tools.line.board import CLASSES

__all__ = ["boards"]


def boards(
    count: int, size: tuple[int, int], seed: int
) -> tuple[NDArray[np.float32], tuple[Truth, ...]]:
    """``(N, 3, H, W) float32`` RGB, 0 to 1, and what is wrong with each; ``size`` is (W, H)."""
    images, truths = [], []
    for index in range(count):
        image, part = render("board", seed, index, size=size, ng=1.0)
        images.append(image[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / 255)
        truths.append(
            Truth(
                np.array([d.box for d in part.defects], np.float32).reshape(-1, 4),
                np.array([CLASSES.index(d.label) for d in part.defects], np.int64),
            )
        )
    return np.stack(images), tuple(truths)
