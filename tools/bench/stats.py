"""The statistics of a bench: ratios of paired measurements, and how sure they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ratio", "median_ratio"]

RESAMPLES = 2000
"""Bootstrap samples: the interval's ends move by under 1% between seeds."""


@dataclass(frozen=True)
class Ratio:
    """How many times as long ``theirs`` takes as ``ours``, in the median.

    Attributes
    ----------
    theirs_ms, ours_ms
        Medians.
    ratio, low, high
        Ratio of the medians and its 95% bootstrap interval over images.
    """

    theirs_ms: float
    ours_ms: float
    ratio: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Rounded, for JSON."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def median_ratio(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> Ratio:
    """Compare paired times, ``(N,) float64`` seconds each, one pair an image.

    The pairs are resampled together, so that easy and hard images weigh the same on both sides.
    """
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(ours), (RESAMPLES, len(ours)))
    ratios = np.median(theirs[picks], axis=1) / np.median(ours[picks], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    a, b = float(np.median(theirs)), float(np.median(ours))
    return Ratio(a * 1000, b * 1000, a / b, float(low), float(high))
