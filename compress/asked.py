"""What the original says of the lines that are learnt from, before anything is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.datasets import Item
from compress.metrics import Network, Progress
from models.images import load_image
from models.ppocr.reader import Reader
from models.ppocr.score import exact, ned

__all__ = ["Asked", "ask"]


@dataclass(frozen=True)
class Asked:
    """Of each line.

    Attributes
    ----------
    likeness
        ``(N, 1 or 2) float64``: how like its label the original reads it as it lies, and upside
        down: 2 for an exact reading, else 1 minus the normalised edit distance.
    """

    likeness: NDArray[np.float64]

    @property
    def taught(self) -> NDArray[np.float64]:
        """``(N,)``: 1 where the original reads what the label says, else 0.

        Where it is right it also says how to be right; where it is wrong the label alone counts.
        """
        return np.asarray(self.likeness.max(axis=1) == 2.0, np.float64)

    @property
    def turned(self) -> NDArray[np.bool_]:
        """``(N,)``: whether the crop lies upside down, as far as the original can tell.

        A line that may be read either way up is learnt upright alone: a reader of both ways keeps
        the surer reading, and is misled by a model that is sure of both.
        """
        # Of equals argmax takes the first: the crop as it lies.
        return np.asarray(self.likeness.argmax(axis=1) == 1)


def ask(
    original: Network,
    dictionary: Sequence[str],
    items: Sequence[Item],
    *,
    either_way: bool,
    progress: Progress,
) -> Asked:
    """Have the original read labelled lines; both ways up if the recipe takes them for labels."""
    reader = Reader(original, dictionary)
    found = np.zeros((len(items), 2 if either_way else 1))
    for number, item in enumerate(items):
        image, truth = load_image(item.path), str(item.truth)
        for way in range(found.shape[1]):
            view = np.ascontiguousarray(image[::-1, ::-1]) if way else image
            (line,) = reader.read(view, "fixed")
            found[number, way] = 2.0 if exact(line.text, truth) else ned(line.text, truth)
        progress(number + 1, len(items))
    return Asked(found)
