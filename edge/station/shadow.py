"""The table of a station file that has another bundle look at the same parts."""

from __future__ import annotations

from pydantic import Field

from edge.judge.fields import Table
from edge.station.paths import FilePath

__all__ = ["ShadowTable"]


class ShadowTable(Table):
    """Another bundle judges beside the active one, and nobody obeys it."""

    bundle: FilePath | None = Field(
        None, description="a .lgb file; if left out, the slot of [bundle] that is not active"
    )
    share: int = Field(
        1, ge=1, le=10_000, description="one part in so many is shown to it; 1: every part"
    )
    max_parts: int = Field(
        100_000, ge=1, le=1_000_000, description="compared parts after which it ends"
    )
