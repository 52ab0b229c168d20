"""The table of a station file that says what is kept of every part."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edge.judge.fields import Table
from edge.station.paths import FilePath

__all__ = ["RecordsTable"]


class RecordsTable(Table):
    """What is kept of every part."""

    path: FilePath = Field(
        description="folder of the database and the pictures; relative to the station file"
    )
    evidence: Literal["ng", "none"] = Field(
        "ng", description="ng: a picture of every NG part; none: no pictures, only rows"
    )
    ok_every: int = Field(
        0, ge=0, le=1_000_000, description="of OK parts, a picture of one in so many; 0: of none"
    )
    quality: int = Field(
        90, ge=50, le=100, description="of the JPEGs; below 50 print cannot be told from blur"
    )
    max_mb: int = Field(
        2000, ge=10, le=10_000_000, description="megabytes of all pictures; the oldest go first"
    )

    @model_validator(mode="after")
    def _pictures(self) -> RecordsTable:
        if self.ok_every and self.evidence == "none":
            raise ValueError('ok_every needs evidence = "ng"')
        return self
