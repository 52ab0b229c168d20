"""How sure a figure is: the bootstrap over pictures.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3 (percentile interval).
Two models are compared on the same draws of pictures: most of what makes one set of pictures
harder than another falls on both alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compress.metrics.base import Counts, Metric

__all__ = ["DRAWS", "interval", "relative_drop", "relative_drop_interval"]

DRAWS = 1000
"""Enough for two digits of a 95% interval."""

_TAILS = (2.5, 97.5)


def interval(
    metric: Metric, per_item: Counts, seed: int, draws: int = DRAWS
) -> tuple[float, float]:
    """Between what the metric lies, with 95% confidence.

    Parameters
    ----------
    per_item
        From :meth:`Metric.evaluate`, one row a picture.
    seed
        The same one gives the same interval.
    """
    return _percentiles(len(per_item), lambda w: metric.value_of(per_item, w), seed, draws)


def relative_drop(before: float, after: float) -> float:
    """Share of ``before`` that is lost; negative where it rose, 0 where nothing could be lost."""
    return (before - after) / before if before else 0.0


def relative_drop_interval(
    metric: Metric, before: Counts, after: Counts, seed: int, draws: int = DRAWS
) -> tuple[float, float]:
    """Between what the relative drop lies, with 95% confidence.

    Parameters
    ----------
    before, after
        Of the same pictures in the same order.
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} pictures before, {len(after)} after")
    return _percentiles(
        len(before),
        lambda w: relative_drop(metric.value_of(before, w), metric.value_of(after, w)),
        seed,
        draws,
    )


def _percentiles(
    count: int, value: Callable[[Counts], float], seed: int, draws: int
) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    values = [
        value(np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64))
        for _ in range(draws)
    ]
    low, high = np.percentile(values, _TAILS)
    return float(low), float(high)
