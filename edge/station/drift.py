"""The table of a station file that says from when on a slow change is worth a look."""

from __future__ import annotations

from pydantic import Field

from edge.judge.fields import Table

__all__ = ["DriftTable"]


class DriftTable(Table):
    """What is watched of each region: its brightness, how surely it reads, faint defects."""

    reference: int = Field(
        200, ge=100, le=2000, description="OK parts of a product that are learnt; fewer tell little"
    )
    window: int = Field(100, ge=50, le=1000, description="newest parts that are compared with them")
    brightness: float = Field(
        0.03, ge=0.01, le=1, description="share of the learnt brightness from which it is told"
    )
    score: float = Field(
        0.02, ge=0.005, le=0.5, description="change of scores from which it is told"
    )
