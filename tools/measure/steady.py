"""Where a run becomes steady, and whether it stays so.

MSER-5 (White, An Effective Truncation Heuristic for Bias Reduction in Simulation Output, 1997)
leaves out as many of the first values as make the standard error of the mean of the others least.
Batches of five are taken by their median here, not their mean: one query that was interrupted is no
warm-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.measure.stats import CONFIDENCE, Interval, block_numbers, resample, resampled_percentiles

__all__ = ["Steady", "drift", "find_steady", "warm_rounds"]

BATCH = 5
"""MSER-5's."""

LEAST = 10
"""Batches; the standard error of fewer says nothing."""

WINDOW_S = 60.0
"""What is compared of the beginning and the end of a run; a third each of one that is shorter."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Steady:
    """Where the steady state begins.

    Attributes
    ----------
    start
        Number of its first query.
    found
        Whether there is one. ``False`` where the best cut lies in the second half of the run, which
        MSER takes for a run that was too short, and where there are too few queries to look.
    """

    start: int
    found: bool


def find_steady(took: Floats) -> Steady:
    """Look for the steady state in latencies ``(N,) float64`` in the order of time."""
    count = len(took) // BATCH
    if count < LEAST:
        return Steady(0, False)
    batches = np.median(took[: count * BATCH].reshape(count, BATCH), axis=1)
    left = np.arange(count, 0, -1)
    tails = np.cumsum(batches[::-1])[::-1]
    squares = np.cumsum((batches[::-1] - batches.mean()) ** 2)[::-1]
    means = tails / left - batches.mean()
    errors = np.maximum(squares - left * means**2, 0) / left.astype(np.float64) ** 2
    # The last few batches may agree by chance: the heuristic is not asked about them.
    best = int(np.argmin(errors[: count - LEAST // 2 + 1]))
    if best > count // 2:
        return Steady(0, False)
    return Steady(best * BATCH, True)


def warm_rounds(a: Sequence[Floats], b: Sequence[Floats]) -> int | None:
    """How many rounds of a comparison pass until both sides are steady; ``None`` if one never is.

    Parameters
    ----------
    a, b
        Latencies ``(N,) float64`` of each round.
    """
    sides = [find_steady(np.concatenate(side)) for side in (a, b)]
    if not all(side.found for side in sides):
        return None
    return -(-max(side.start for side in sides) // len(a[0]))


def drift(starts: Floats, took: Floats) -> tuple[Interval, float] | None:
    """Median of the last minute over that of the first, and the seconds that were compared.

    Parameters
    ----------
    starts, took
        ``(N,) float64`` seconds of the steady state.

    Returns
    -------
    1.02 is 2% slower at the end; ``None`` of too few queries.
    """
    if len(took) < 2 * LEAST * BATCH:
        return None
    window = min(WINDOW_S, float(starts[-1] - starts[0]) / 3)
    first, last = took[starts <= starts[0] + window], took[starts >= starts[-1] - window]
    if min(len(first), len(last)) < LEAST:
        return None
    medians = []
    for seed, values in enumerate((first, last)):
        block = block_numbers(len(values), LEAST * 2)
        draws = resample(int(block[-1]) + 1, seed)
        medians.append(resampled_percentiles(values, block, draws, [0.5])[:, 0])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians[1] / medians[0], [tail, 1 - tail])
    value = float(np.median(last) / np.median(first))
    return Interval(value, float(low), float(high)), window
