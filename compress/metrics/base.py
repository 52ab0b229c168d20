"""What a model is measured by, and how sure a figure is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress.datasets import Item
from edge.engines import Array

__all__ = ["Counts", "Evaluation", "Feeds", "Metric", "Network", "Progress", "groups", "summed"]

Feeds = Mapping[str, Array]
"""One input of a network, by name."""

Counts = NDArray[np.float64]
"""``(N, K)``: what each picture adds to the metric."""

Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


class Network(Protocol):
    """What is measured: an ``edge.engines.Engine``, or anything that answers as one."""

    @property
    def inputs(self) -> Sequence[Any]:
        """Input descriptions; each has a ``name`` and a ``shape``."""

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """One inference."""


@dataclass(frozen=True)
class Evaluation:
    """How a model did on some pictures.

    Attributes
    ----------
    value
        The metric, 0 to 1.
    per_item
        ``(N, K) float64``, from which the metric of any choice of pictures follows.
    answers
        What it said of each picture, as JSON can say it.
    scores
        ``(N,) float64``, 0 to 1: how good each answer is, to find those that changed most.
    """

    value: float
    per_item: Counts
    answers: list[Any]
    scores: NDArray[np.float64]


class Metric(Protocol):
    """What models of a family are measured by.

    Attributes
    ----------
    name
        As the field calls it: ``exact match``, ``hmean``, ``AP50``.
    """

    name: str

    def feeds(self, item: Item) -> Iterator[Feeds]:
        """What the network gets to see of a picture, in measuring and on the box."""

    def evaluate(
        self, network: Network, items: Sequence[Item], progress: Progress | None = None
    ) -> Evaluation:
        """Run a model on pictures.

        Raises
        ------
        EngineError
            It puts out what is no number, or something else than it should.
        """

    def value_of(self, per_item: Counts, weights: Counts | None = None) -> float:
        """The metric of these pictures, 0 to 1; each counts once, or ``weights`` ``(N,)`` times."""

    def more(self, per_item: Counts) -> dict[str, float]:
        """Other figures of these pictures, by name."""


def summed(per_item: Counts, weights: Counts | None) -> Counts:
    """Sums ``(K,)`` over the pictures, each counted once or ``weights`` times."""
    total = per_item.sum(axis=0) if weights is None else weights @ per_item
    return np.asarray(total, np.float64)


def groups(items: Sequence[Item]) -> dict[str, NDArray[np.intp]]:
    """Positions of the items of each group, in the order in which groups first come."""
    found: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        found.setdefault(item.group, []).append(number)
    return {name: np.array(numbers, np.intp) for name, numbers in found.items()}
