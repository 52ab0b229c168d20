r"""The rules of a station file: what a part must show to be good.

Each kind is one table; :data:`Rule` is all of them, told apart by ``kind``. How they are judged
stands in :mod:`edge.judge.reading`, :mod:`edge.judge.counting` and :mod:`edge.judge.logic`.

White space never counts when texts are compared: readers of print invent and lose it. A pattern is
searched for in the line as it was read and then in the line without its white space. Nothing else
is forgiven: O is not 0, and B is not 8. A pattern should give the exact form of what it captures,
since ``\w+`` ends where a reader has put a space too many.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from edge.judge.dates import compile_format
from edge.judge.fields import Box, Many, Name, Score, Table, squeeze
from edge.judge.patterns import Pattern, with_field

__all__ = [
    "PRINT_SCORE",
    "AllRule",
    "AnyRule",
    "CodeRule",
    "CountRule",
    "DateRule",
    "GroupRule",
    "Job",
    "LeafRule",
    "NoDefectRule",
    "NotRule",
    "PatternRule",
    "PresenceRule",
    "Rule",
    "TextRule",
]

PRINT_SCORE = 0.6
"""Mean score from which a line counts as read where a rule does not say."""

MAX_DAYS = 36525
"""A hundred years: a longer window is a slip."""

TEN_YEARS = 3653
"""Nothing on a line keeps longer, so a date beyond it is a misread year or a box whose clock fell
back to 1970; either would otherwise make expired goods pass."""


def _visible(text: str) -> str:
    if not squeeze(text):
        raise ValueError("must have at least one visible character")
    return text


def _date_format(form: str) -> str:
    compile_format(form)
    return form


_Text = Annotated[str, Field(max_length=200), AfterValidator(_visible)]
_Label = Annotated[str, Field(min_length=1, max_length=64)]
_Days = Annotated[int, Field(ge=-MAX_DAYS, le=MAX_DAYS)]
_DateFormat = Annotated[str, Field(max_length=40), AfterValidator(_date_format)]


class Job(Table):
    """What is being made now."""

    product: str = Field("", max_length=200, description="for records and displays")
    lot: _Text | None = Field(None, description="what rules of kind `code` compare with")


class _Rule(Table):
    name: Name = Field(description="letters, digits, _ and -, at most 64; stands in every reason")


class _RegionRule(_Rule):
    region: str = Field(description="the region whose findings are judged")


class _PrintRule(_RegionRule):
    min_score: Score = Field(
        PRINT_SCORE, description="0 to 1; a line whose mean score is below is unreadable"
    )


class TextRule(_PrintRule):
    """One line of the region reads exactly so."""

    kind: Literal["text"]
    equals: _Text = Field(description="the whole line; white space does not count")


class PatternRule(_PrintRule):
    """One line of the region matches; its named fields go into the record."""

    kind: Literal["pattern"]
    pattern: Pattern = Field(description="regular expression, searched for in each line")


class DateRule(_PrintRule):
    """Every date that the pattern finds (and it finds one) is real and within the window."""

    kind: Literal["date"]
    pattern: Annotated[Pattern, with_field("date")] = Field(
        description="regular expression with a field (?P<date>...)"
    )
    formats: Many[_DateFormat] = Field(
        min_length=1,
        max_length=8,
        description="1 to 8, e.g. %Y-%m-%d; a date that two of them read differently is refused",
    )
    not_expired: bool = Field(False, description="true: today is its last good day or earlier")
    min_days: _Days | None = Field(None, description="days from today, at least; may be negative")
    max_days: _Days = Field(TEN_YEARS, description="days from today, at most; may be negative")
    made_pattern: Annotated[Pattern, with_field("made")] | None = Field(
        None, description="regular expression with a field (?P<made>...): the production date"
    )
    shelf_life_days: int | None = Field(
        None, gt=0, le=MAX_DAYS, description="days from production to this date"
    )
    tolerance_days: int = Field(0, ge=0, le=366, description="how far off the shelf life may be")

    @model_validator(mode="after")
    def _whole(self) -> DateRule:
        if (self.made_pattern is None) != (self.shelf_life_days is None):
            raise ValueError("made_pattern and shelf_life_days need each other")
        if self.tolerance_days and self.shelf_life_days is None:
            raise ValueError("tolerance_days needs shelf_life_days")
        if self.earliest is not None and self.earliest > self.max_days:
            raise ValueError(f"no date lies {self.earliest} to {self.max_days} days from today")
        return self

    @property
    def earliest(self) -> int | None:
        """Days from today, at least; ``None`` is no bound."""
        if self.not_expired:
            return max(self.min_days or 0, 0)
        return self.min_days


class CodeRule(_PrintRule):
    """Every lot that the pattern finds (and it finds one) is the lot of the job."""

    kind: Literal["code"]
    pattern: Annotated[Pattern, with_field("lot")] = Field(
        description="regular expression with a field (?P<lot>...)"
    )


class _SoughtRule(_RegionRule):
    pattern: Pattern | None = Field(None, description="which lines: those that match")
    label: _Label | None = Field(None, description="which things: those of this class")
    min_score: Score | None = Field(
        None,
        description="0 to 1; a line below is unreadable, a thing is none; if left out 0.6 for "
        "lines, and the model's own threshold for things",
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> _SoughtRule:
        if (self.pattern is None) == (self.label is None):
            raise ValueError("needs either pattern or label")
        return self


class CountRule(_SoughtRule):
    """So many lines match, or so many things of a class are there."""

    kind: Literal["count"]
    min: int = Field(0, ge=0, le=1000, description="at least; a region holds no more than 1000")
    max: int = Field(1000, ge=0, le=1000, description="at most; a region holds no more than 1000")

    @model_validator(mode="after")
    def _bounded(self) -> CountRule:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        if self.min == 0 and self.max == 1000:
            raise ValueError("needs min or max, else every part passes")
        return self


class PresenceRule(_SoughtRule):
    """A matching line, or a thing of a class, has its centre in the zone."""

    kind: Literal["presence"]
    zone: Box = Field(description="[x0, y0, x1, y1] in pixels of the frame")


class NoDefectRule(_RegionRule):
    """No defect of these classes is as sure and as large as this."""

    kind: Literal["no_defect"]
    labels: Many[_Label] = Field((), max_length=1000, description="all classes if left out")
    min_score: Score | None = Field(
        None, description="0 to 1; a lower one rejects more; the model's own if left out"
    )
    min_size_px: float = Field(0, ge=0, le=65535, description="longest side, in pixels")
    min_size_mm: float | None = Field(
        None, gt=0, le=10_000, description="longest side; needs the camera's mm_per_pixel"
    )

    @model_validator(mode="after")
    def _one_unit(self) -> NoDefectRule:
        if self.min_size_px and self.min_size_mm is not None:
            raise ValueError("give min_size_px or min_size_mm, not both")
        return self


_Names = Annotated[Many[str], Field(min_length=1, max_length=64)]


class AllRule(_Rule):
    """Every one of the named rules holds."""

    kind: Literal["all"]
    rules: _Names = Field(description="1 to 64 names of rules, no longer judged on their own")


class AnyRule(_Rule):
    """At least one of the named rules holds."""

    kind: Literal["any"]
    rules: _Names = Field(description="1 to 64 names of rules, no longer judged on their own")


class NotRule(_Rule):
    """The named rule does not hold. If it cannot be evaluated, neither can this one."""

    kind: Literal["not"]
    rules: Annotated[Many[str], Field(min_length=1, max_length=1)] = Field(
        description="the name of one rule, no longer judged on its own"
    )


LeafRule: TypeAlias = (
    TextRule | PatternRule | DateRule | CodeRule | CountRule | PresenceRule | NoDefectRule
)
"""A rule about the findings of one region."""

GroupRule: TypeAlias = AllRule | AnyRule | NotRule
"""A rule about other rules."""

Rule: TypeAlias = Annotated[LeafRule | GroupRule, Field(discriminator="kind")]
"""Any rule of a station file."""
