"""From a histogram of what a tensor held to the range that eight bits shall cover.

A histogram here has ``BINS`` bins from ``-limit`` to ``limit``, ``limit`` a power of two. When a
number lies outside, bins are merged in pairs: since ``floor(x / 2w)`` is exactly
``floor(floor(x / w) / 2)``, the histogram does not depend on the order in which the numbers came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "METHODS", "Histogram", "Method", "Range", "range_of"]

Range = tuple[float, float]

Method = Literal["minmax", "percentile", "mse"]

BINS = 4096

LEVELS = 255
"""Steps of eight bits."""

PERCENTILE = 99.99
"""Of the numbers, that stay inside; half of the others are cut on each side."""

SHRINKS = np.linspace(1.0, 0.2, 41)
"""Parts of the full range that are tried for the least squared error."""


@dataclass
class Histogram:
    """What a tensor held in all runs together.

    Attributes
    ----------
    low, high
        The least and the greatest number, exactly.
    limit
        Power of two; no number is beyond it on either side. 0 if all were 0.
    counts
        ``(BINS,) int64`` from ``-limit`` to ``limit``.
    """

    low: float = 0.0
    high: float = 0.0
    limit: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: NDArray[np.float32]) -> None:
        """Count numbers, all of them finite."""
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        self.low, self.high = min(self.low, low), max(self.high, high)
        reach = max(-low, high)
        if reach == 0 and self.limit == 0:
            self.counts[BINS // 2] += values.size
            return
        while self.limit < reach or self.limit == 0:
            self._grow(reach)
        width = np.float32(2 * self.limit / BINS)
        places = np.floor(values.ravel() / width).astype(np.int32) + BINS // 2
        np.minimum(places, BINS - 1, out=places)  # a number that equals the limit
        self.counts += np.bincount(places, minlength=BINS)

    def _grow(self, reach: float) -> None:
        if self.limit == 0:  # zeros alone so far: they stay in the middle
            self.limit = float(2.0 ** np.ceil(np.log2(reach)))
            return
        self.limit *= 2
        merged = np.zeros_like(self.counts)
        merged[BINS // 4 : BINS // 4 * 3] = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = merged

    @property
    def centres(self) -> NDArray[np.float64]:
        """``(BINS,) float64``, the number that each bin stands for."""
        return (np.arange(BINS) - BINS / 2 + 0.5) * (2 * self.limit / BINS)


def range_of(histogram: Histogram, method: Method) -> tuple[float, float]:
    """The range to quantise to; it always holds 0, which padding needs to be exact."""
    if histogram.limit == 0:
        return 0.0, 0.0
    low, high = METHODS[method](histogram)
    return min(0.0, max(low, histogram.low)), max(0.0, min(high, histogram.high))


def _minmax(histogram: Histogram) -> tuple[float, float]:
    return histogram.low, histogram.high


def _percentile(histogram: Histogram) -> tuple[float, float]:
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    cut = (100 - PERCENTILE) / 200
    width = 2 * histogram.limit / BINS
    low = int(np.searchsorted(share, cut, side="right"))
    high = int(np.searchsorted(share, 1 - cut)) + 1
    return low * width - histogram.limit, high * width - histogram.limit


def _mse(histogram: Histogram) -> tuple[float, float]:
    """The least mean squared error of rounding and cutting together, side by side in turns."""
    used = np.flatnonzero(histogram.counts)
    weights = histogram.counts[used].astype(np.float64)
    values = histogram.centres[used]

    def error(low: float, high: float) -> float:
        step = (high - low) / LEVELS
        rounded = np.clip(np.rint((values - low) / step), 0, LEVELS) * step + low
        return float(weights @ (rounded - values) ** 2)

    low, high = histogram.low, histogram.high
    for _ in range(2):
        if high > 0:
            high = min(histogram.high * SHRINKS, key=lambda each: error(low, float(each)))
        if low < 0:
            low = min(histogram.low * SHRINKS, key=lambda each: error(float(each), high))
    return float(low), float(high)


METHODS: dict[Method, Callable[[Histogram], tuple[float, float]]] = {
    "minmax": _minmax,
    "percentile": _percentile,
    "mse": _mse,
}
"""How the range is chosen, by name."""
