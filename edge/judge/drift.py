"""Whether something that is measured of each part has changed, slowly or at once.

The newest values are compared with those that were learnt by the two-sample Kolmogorov-Smirnov
statistic, the largest distance of their distributions (N. V. Smirnov, Ann. Math. Statist. 19
(1948) 279; P. Massart, Ann. Probab. 18 (1990) 1269 for the bound). It asks nothing of how the
values are distributed, and a few odd parts move it little. Many parts make it see changes that
matter to nobody; so a quantile must have moved as well, by an amount that is worth a look.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FALSE_ALARM", "Measure", "Shift", "Watch", "brightness", "ks_distance", "ks_limit"]

FALSE_ALARM = 1e-4
"""Of a window in which nothing has changed. A station compares some ten thousand in a month."""

LOOKS = 4
"""Looks while a window passes: a change is seen a quarter of a window later at most."""

GRID = 64
"""Rows and columns of a region whose brightness is taken: its mean is as sure as that of all."""


@dataclass(frozen=True)
class Measure:
    """Something that is measured of each part.

    Attributes
    ----------
    least
        By how much its quantile must have moved.
    relative
        Whether that is a share of what it was.
    quantile
        Which one: 0.5 is the median.
    """

    least: float
    relative: bool = False
    quantile: float = 0.5


@dataclass(frozen=True)
class Shift:
    """A change: what the quantile was, and what it is now."""

    was: float
    now: float


def brightness(
    image: NDArray[np.uint8], box: tuple[int, int, int, int] | None = None
) -> float | None:
    """Mean of all channels of a box (xyxy) of ``(H, W, 3) uint8``, on a grid; copies nothing.

    ``None`` if the box lies outside.
    """
    x0, y0, x1, y1 = box or (0, 0, image.shape[1], image.shape[0])
    inside = image[y0:y1, x0:x1]
    if not inside.size:
        return None
    rows, columns = (max(1, size // GRID) for size in inside.shape[:2])
    return float(inside[::rows, ::columns].mean())


def ks_distance(reference: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """The largest distance of two distributions, 0 to 1; ``reference`` is sorted.

    >>> ks_distance(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    0.5
    """
    values = np.sort(values)
    both = np.concatenate([reference, values])
    steps = reference.searchsorted(both, "right") / len(reference)
    return float(np.abs(steps - values.searchsorted(both, "right") / len(values)).max())


def ks_limit(reference: int, values: int) -> float:
    """The distance of so many and so many that only :data:`FALSE_ALARM` exceed by chance."""
    return math.sqrt(-math.log(FALSE_ALARM / 2) / 2 * (1 / reference + 1 / values))


class Watch:
    """Watches one measure of one region.

    Parameters
    ----------
    measure
        From when on a change is worth a look.
    learn, window
        How many values are learnt, and how many compared with them.
    reference
        What was learnt before, if it was.
    """

    def __init__(
        self, measure: Measure, learn: int, window: int, reference: Sequence[float] = ()
    ) -> None:
        self._measure, self._learn = measure, learn
        self._window: deque[float] = deque(maxlen=window)
        self._learning: list[float] = []
        self._since = 0
        self.reference: NDArray[np.float64] | None = None
        self._was = 0.0
        self.shift: Shift | None = None
        if len(reference) == learn:
            self._learnt(reference)

    def add(self, value: float, *, good: bool) -> bool:
        """Take the value of the next part, and whether the part is one to learn from.

        Whether something is new: it has learnt enough, or :attr:`shift` has come, changed or gone.
        """
        if not math.isfinite(value):
            return False
        if self.reference is None:
            if good:
                self._learning.append(value)
            if len(self._learning) < self._learn:
                return False
            self._learnt(self._learning)
            self._learning.clear()
            return True
        self._window.append(value)
        self._since += 1
        most = self._window.maxlen or 1
        if len(self._window) < most or self._since < most // LOOKS:
            return False
        self._since = 0
        before, self.shift = self.shift, self._look(self.reference)
        return before is not None or self.shift is not None

    def _learnt(self, values: Sequence[float]) -> None:
        self.reference = np.sort(np.asarray(values, np.float64))
        self._was = float(np.quantile(self.reference, self._measure.quantile))

    def _look(self, reference: NDArray[np.float64]) -> Shift | None:
        values = np.fromiter(self._window, np.float64, len(self._window))
        was, now = self._was, float(np.quantile(values, self._measure.quantile))
        least = self._measure.least * (abs(was) if self._measure.relative else 1)
        if self.shift is not None:
            least /= 2  # back only when it is well back
        if abs(now - was) < least:
            return None
        if ks_distance(reference, values) <= ks_limit(len(reference), len(values)):
            return None
        return Shift(was, now)
