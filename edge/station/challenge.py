"""The table of a station file that says with which parts the station is challenged, and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edge.judge.fields import Many, Table, squeeze
from edge.judge.reasons import TEMPLATES
from models.nearest import nearest

__all__ = ["ChallengeTable", "GoldenPart"]


def _name(text: str) -> str:
    if not (squeeze(text) and text.isprintable()):
        raise ValueError("must be one line of text, with a visible character")
    return text


def _code(code: str) -> str:
    if code not in TEMPLATES:
        near = nearest(code, TEMPLATES)
        mend = f'did you mean "{near}"?' if near else f"one of {', '.join(TEMPLATES)}"
        raise ValueError(f"no part is rejected for that: {mend}")
    return code


class GoldenPart(Table):
    """A part of which everybody knows what the station must say."""

    name: Annotated[str, Field(max_length=64), AfterValidator(_name)] = Field(
        description="what stands on it, so that the operator finds it"
    )
    camera: str = Field(description="name of the camera that it is shown to")
    verdict: Literal["OK", "NG"] = Field(description="what the station must say of it")
    reason: Annotated[str, AfterValidator(_code)] | None = Field(
        None, description="the reason code that an NG part must be rejected for"
    )
    label: str | None = Field(
        None, min_length=1, max_length=64, description="the defect that an NG part must show"
    )

    @model_validator(mode="after")
    def _only_ng(self) -> GoldenPart:
        if self.verdict == "OK" and (self.reason or self.label):
            raise ValueError('reason and label are for parts with verdict = "NG"')
        return self


class ChallengeTable(Table):
    """Known parts that are shown before others may pass."""

    every: Literal["start", "shift", "hours"] = Field(
        "start",
        description="start: at each start of the station; shift: at the shifts of [display]; "
        "hours: so many after the last one that was passed",
    )
    hours: float | None = Field(
        None,
        ge=0.1,
        le=168,
        description='for every = "hours"; a week is the longest anybody trusts',
    )
    timeout_s: float = Field(
        300.0, ge=10, le=3600, description="for the operator to place the next part"
    )
    confirm: bool = Field(
        False,
        description="true: a part counts once the operator has said that it lies there; for "
        "cameras that run freely",
    )
    parts: Many[GoldenPart] = Field(
        min_length=1, max_length=32, description="one to 32, in the order in which they are shown"
    )

    @model_validator(mode="after")
    def _sensible(self) -> ChallengeTable:
        if (self.every == "hours") != (self.hours is not None):
            raise ValueError('hours and every = "hours" belong together')
        if len({part.name for part in self.parts}) < len(self.parts):
            raise ValueError("two parts have the same name")
        if all(part.verdict == "OK" for part in self.parts):
            raise ValueError("a station that passes everything would pass it: add an NG part")
        return self
