"""Whether a model may ship: what it loses against the FP32 model, whole and in each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress.bootstrap import interval, relative_drop, relative_drop_interval
from compress.metrics.base import Evaluation, Metric
from compress.recipe import Gate
from compress.result import Accuracy

__all__ = ["Verdict", "judge", "measured"]

ROUNDING = 1e-9
"""A loss of exactly what may be lost passes."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one model.

    Attributes
    ----------
    drop
        Share of the metric that was lost.
    groups
        The same, of each group.
    margin
        How much more might have been lost; below 0 it did not pass.
    why
        It did not, in words; else empty.
    """

    drop: float
    groups: Mapping[str, float]
    margin: float
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether it may ship."""
        return not self.why


def judge(
    gate: Gate,
    metric: Metric,
    before: Evaluation,
    after: Evaluation,
    groups: Mapping[str, NDArray[np.intp]],
) -> Verdict:
    """Compare a model with the one that it must not be worse than, on the same pictures.

    The figures themselves are compared, not their intervals: with few pictures an interval would
    let anything pass.

    Parameters
    ----------
    groups
        Positions of the pictures of each group.
    """
    drop = relative_drop(before.value, after.value)
    drops = {
        name: relative_drop(
            metric.value_of(before.per_item[rows]), metric.value_of(after.per_item[rows])
        )
        for name, rows in groups.items()
    }
    least = gate.drop if gate.group_drop is None else gate.group_drop
    margins = {"": gate.drop - drop} | {name: least - each for name, each in drops.items()}
    if len(groups) < 2:
        margins = {"": margins[""]}
    tightest = min(margins, key=lambda name: margins[name])
    margin = margins[tightest]
    why = ""
    if not margin >= -ROUNDING:  # NaN is no pass
        lost, may = (drops[tightest], least) if tightest else (drop, gate.drop)
        on = f" on {tightest}" if tightest else ""
        why = f"loses {lost:.2%} of {metric.name}{on} (may lose {may:.2%})"
    return Verdict(drop, drops, max(margin, 0.0) if not why else margin, why)


def measured(metric: Metric, before: Evaluation, after: Evaluation, seed: int) -> Accuracy:
    """A model's figures with their intervals, as the report shows them."""
    low, high = interval(metric, after.per_item, seed)
    drop_low, drop_high = (
        (0.0, 0.0)
        if before is after
        else relative_drop_interval(metric, before.per_item, after.per_item, seed)
    )
    return Accuracy(
        value=after.value,
        low=low,
        high=high,
        drop=relative_drop(before.value, after.value),
        drop_low=drop_low,
        drop_high=drop_high,
        items=len(after.per_item),
        more=metric.more(after.per_item),
    )
