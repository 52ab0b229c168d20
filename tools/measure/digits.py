"""No more digits than the data carry.

The last digit that is given stands where the first one of half the interval stands, as in 38.2 for
38.17 between 37.9 and 38.6 (the rule of the GUM, JCGM 100:2008, 7.2.6, with one digit).
"""

from __future__ import annotations

import math

__all__ = ["places"]

FINEST = 6
"""Decimal places at most, however narrow an interval: nanoseconds, where the unit is ms."""


def places(half: float, value: float = 0.0) -> int:
    """Decimal places that half an interval's width lets stand; below 0, zeros before the point.

    One digit of ``value`` always stands.
    """
    if not half > 0:
        return FINEST
    least = -math.floor(math.log10(abs(value))) if value else -FINEST
    return min(FINEST, max(-math.floor(math.log10(half)), least))
