"""Which of two is faster, by how much, or that nobody can tell.

Two ways of having measured: interleaved, a round of A and a round of B in turn, where whatever
slows the machine slows both; and apart, in two runs, where it may have slowed one alone. Rounds (or
blocks of a run) are resampled as a whole, never single queries: neighbours are alike, and an
interval that takes them for independent is far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tools.measure.stats import (
    CONFIDENCE,
    Interval,
    block_numbers,
    percentile,
    resample,
    resampled_percentiles,
)

__all__ = ["APART", "Answer", "Comparison", "a12", "compare_apart", "compare_rounds", "size_word"]

APART = 0.03
"""By how much two runs of one bench may differ with nothing changed; what lies within is nobody's
to tell from runs that were made apart."""

PS = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
"""Percentiles that are compared."""

Answer = Literal["faster", "slower", "cannot tell"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """B beside A.

    Attributes
    ----------
    answer
        What B is, by its median.
    ratios
        ``p50`` and so on: B's over A's; below 1, B is faster.
    a12
        How often a query of B takes longer than one of A, ties counted half.
    queries
        Of A and of B.
    interleaved
        Whether they were measured in turn.
    """

    answer: Answer
    ratios: dict[str, Interval]
    a12: float
    queries: tuple[int, int]
    interleaved: bool


def a12(a: Floats, b: Floats) -> float:
    """Vargha and Delaney's effect size: the probability that a value of ``b`` exceeds one of ``a``.

    Ties count half; it is the Mann-Whitney statistic U over its largest value. Source: Vargha and
    Delaney, A Critique and Improvement of the CL Common Language Effect Size Statistics, 2000.
    """
    ordered = np.sort(a)
    below = np.searchsorted(ordered, b, side="left").sum()
    upto = np.searchsorted(ordered, b, side="right").sum()
    return float((below + upto) / 2 / (len(a) * len(b)))


def size_word(effect: float) -> str:
    """Vargha and Delaney's words for an effect: negligible, small, medium or large."""
    away = abs(effect - 0.5)
    return (
        "large"
        if away >= 0.21
        else "medium"
        if away >= 0.14
        else "small"
        if away >= 0.06
        else "negligible"
    )


def compare_rounds(a: Sequence[Floats], b: Sequence[Floats]) -> Comparison:
    """Compare what was measured in turn.

    Parameters
    ----------
    a, b
        The latencies of each round; round i of both lay side by side in time. At least two rounds,
        none empty.
    """
    draws = resample(len(a))
    both = [
        (
            np.concatenate(rounds),
            np.repeat(np.arange(len(rounds)), [len(each) for each in rounds]),
            draws,
        )
        for rounds in (a, b)
    ]
    return _compare(both[0], both[1], margin=0.0, interleaved=True)


def compare_apart(a: Floats, b: Floats) -> Comparison:
    """Compare two runs, latencies ``(N,) float64`` and ``(M,) float64`` in the order of time."""
    both = []
    for seed, values in enumerate((a, b)):
        block = block_numbers(len(values))
        both.append((values, block, resample(int(block[-1]) + 1, seed)))
    return _compare(both[0], both[1], margin=APART, interleaved=False)


_Sampled = tuple[Floats, NDArray[np.int64], NDArray[np.int32]]


def _compare(a: _Sampled, b: _Sampled, *, margin: float, interleaved: bool) -> Comparison:
    ps = list(PS.values())
    found = resampled_percentiles(*b, ps) / resampled_percentiles(*a, ps)
    tail = (1 - CONFIDENCE) / 2
    lows, highs = np.quantile(found, [tail, 1 - tail], axis=0)
    ordered = np.sort(a[0]), np.sort(b[0])
    ratios = {
        name: Interval(
            percentile(ordered[1], p) / percentile(ordered[0], p), float(low), float(high)
        )
        for (name, p), low, high in zip(PS.items(), lows, highs, strict=True)
    }
    return Comparison(
        _answer(ratios["p50"], margin),
        ratios,
        a12(*ordered),
        (len(a[0]), len(b[0])),
        interleaved,
    )


def _answer(ratio: Interval, margin: float) -> Answer:
    if ratio.high < 1 / (1 + margin):
        return "faster"
    return "slower" if ratio.low > 1 + margin else "cannot tell"
