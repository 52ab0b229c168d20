"""What can be said of many latencies, and how surely.

Percentiles and early stopping are those of MLPerf's LoadGen (``loadgen/results.cc`` and
``loadgen/early_stopping.cc`` of mlcommons/inference), so that the same latencies give the same
figures; ``tools/official/loadgen.py`` compares the two. Intervals are bootstrapped in blocks of
neighbouring queries, since what disturbs one query disturbs the next one too (Künsch, The
Jackknife and the Bootstrap for General Stationary Observations, 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "EarlyStopping",
    "Interval",
    "block_numbers",
    "early_stopping",
    "jitter_interval",
    "percentile",
    "percentile_intervals",
    "queries_needed",
    "resample",
    "resampled_percentiles",
    "throughput_interval",
]

CONFIDENCE = 0.99
"""Of every interval and verdict; LoadGen's."""

BLOCKS = 100
"""Blocks that a run is cut into: enough to resample, and of a minute each lasts 0.6 s, longer than
a scheduler or another process disturbs."""

RESAMPLES = 1000
"""Bootstrap samples: an end of a 99% interval then rests on five of them on its far side."""

CHUNK = 8_000_000
"""Numbers that a resampling holds at once: 64 MB, which a small box has."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and between what it lies with :data:`CONFIDENCE`."""

    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class EarlyStopping:
    """LoadGen's estimate: the percentile is not above ``value`` with :data:`CONFIDENCE`.

    Attributes
    ----------
    value
        In the unit of the latencies.
    discarded
        Higher latencies that were left out.
    """

    value: float
    discarded: int


def percentile(ordered: Floats, p: float) -> float:
    """LoadGen's percentile: of N sorted values, number ``floor(N p)``, counted from 0.

    Parameters
    ----------
    ordered
        ``(N,) float64`` in rising order, N >= 1.
    p
        From 0 to 1; 1 gives the maximum.
    """
    return float(ordered[min(int(len(ordered) * p), len(ordered) - 1)])


def queries_needed(p: float, confidence: float = CONFIDENCE) -> int:
    """The fewest queries from which early stopping states the percentile ``p``.

    Of so many, two or more exceed the true percentile but for ``1 - confidence`` of the cases.
    """
    few = 1
    while _at_most(1, few, p) >= 1 - confidence:
        few *= 2
    low, high = few // 2, few
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _at_most(1, middle, p) < 1 - confidence else (middle, high)
    return high


def early_stopping(
    ordered: Floats, p: float, confidence: float = CONFIDENCE
) -> EarlyStopping | None:
    """What LoadGen states of the percentile ``p``; ``None`` of too few queries.

    The largest t is looked for such that t or fewer of N queries above the percentile would be
    unlikely (binomial; below ``1 - confidence``); then the t-th highest latency bounds it.
    """
    count = len(ordered)
    if count < queries_needed(p, confidence):
        return None
    odds = np.cumsum(_binomial(count, p, upto=int(count * (1 - p)) + 1))
    most = int(np.searchsorted(odds, 1 - confidence, side="left")) - 1
    return EarlyStopping(float(ordered[count - most]), most - 1)


def _at_most(t: int, count: int, p: float) -> float:
    return float(_binomial(count, p, upto=t).sum())


def _binomial(count: int, p: float, upto: int) -> Floats:
    """Probabilities of 0 to ``upto`` of ``count`` queries lying above the percentile ``p``."""
    k = np.arange(min(upto, count))
    steps = np.log((count - k) / (k + 1)) + math.log((1 - p) / p)
    logs = count * math.log(p) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(np.exp(logs), np.float64)


def block_numbers(count: int, blocks: int = BLOCKS) -> NDArray[np.int64]:
    """Which block each of ``count`` values in the order of time belongs to, ``(count,) int64``."""
    return np.arange(count) * min(blocks, count) // max(count, 1)


@lru_cache(maxsize=4)
def resample(blocks: int, seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.int32]:
    """How often each block is drawn in each bootstrap sample, ``(resamples, blocks) int32``."""
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples).astype(np.int32)
    draws.setflags(write=False)  # it is kept: drawing takes longer than all else
    return draws


def resampled_percentiles(
    values: Floats, block: NDArray[np.int64], draws: NDArray[np.int32], ps: Sequence[float]
) -> Floats:
    """Percentiles of bootstrap samples.

    Parameters
    ----------
    values
        ``(N,) float64`` in the order of time.
    block
        ``(N,) int64``: the block of each.
    draws
        ``(R, B) int32`` of :func:`resample`.
    ps
        P percentiles from 0 to 1.

    Returns
    -------
    ``(R, P) float64``.
    """
    order = np.argsort(values, kind="stable")
    ordered, owner = values[order], block[order]
    found = np.empty((len(draws), len(ps)))
    step = max(1, CHUNK // len(values))
    for start in range(0, len(draws), step):
        # Sorting once and counting is far cheaper than to sort each sample.
        counted = np.cumsum(draws[start : start + step][:, owner], axis=1, dtype=np.int32)
        totals = counted[:, -1]
        for column, p in enumerate(ps):
            rank = np.minimum((totals * p).astype(np.int64), totals - 1)
            place = (counted <= rank[:, None]).sum(axis=1)
            found[start : start + step, column] = ordered[place]
    return found


def percentile_intervals(values: Floats, ps: Sequence[float]) -> list[Interval]:
    """Percentiles of latencies in the order of time, ``(N,) float64``, N >= 1, and how sure."""
    block = block_numbers(len(values))
    found = resampled_percentiles(values, block, resample(int(block[-1]) + 1), ps)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail], axis=0)
    ordered = np.sort(values)
    return [
        Interval(percentile(ordered, p), float(low[i]), float(high[i])) for i, p in enumerate(ps)
    ]


def throughput_interval(starts: Floats, took: Floats, samples: int) -> Interval:
    """Samples a second of queries of ``samples`` each, one after the other.

    Parameters
    ----------
    starts, took
        ``(N,) float64`` seconds: when each query began and how long it took.
    """
    # What passes between two queries counts too: it is time in which nothing is answered.
    mean = _mean_interval(np.append(np.diff(starts), took[-1]))
    return Interval(samples / mean.value, samples / mean.high, samples / mean.low)


def jitter_interval(took: Floats) -> Interval:
    """Mean difference of one latency to the next, as RFC 3550 has it, without its smoothing.

    ``took`` is ``(N,) float64`` in the order of time, N >= 2.
    """
    return _mean_interval(np.abs(np.diff(took)))


def _mean_interval(values: Floats) -> Interval:
    block = block_numbers(len(values))
    blocks = int(block[-1]) + 1
    sums, counts = np.bincount(block, values, blocks), np.bincount(block, minlength=blocks)
    draws = resample(blocks)
    means = (draws @ sums) / (draws @ counts)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values.mean()), float(low), float(high))
