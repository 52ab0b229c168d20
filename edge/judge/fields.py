"""What every table of a station file is made of: strict, frozen, and closed to unknown keys."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StringConstraints

__all__ = ["Box", "Many", "Name", "Score", "Table", "squeeze"]

T = TypeVar("T")

MAX_PIXEL = 65535
"""Largest coordinate: no sensor on a line is wider, and JPEG ends there."""


class Table(BaseModel):
    """One table of a station file.

    Strict, since TOML has types of its own and ``"2"`` for ``2`` is a slip worth hearing of.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def squeeze(text: str) -> str:
    r"""Take all white space out; readers of print invent and lose it.

    >>> squeeze(" L 26\u300011A")
    'L2611A'
    """
    return "".join(text.split())


def _ordered(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    if x0 >= x1 or y0 >= y1:
        raise ValueError("must be [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
    return box


Many = Annotated[tuple[T, ...], Strict(False)]
"""A TOML array; not strict only in that an array arrives as a list."""

Name = Annotated[str, StringConstraints(pattern=r"^[\w-]+$", max_length=64)]
"""Letters of any script, digits, _ and -: names become metric labels and parts of file names."""

Score = Annotated[float, Field(ge=0, le=1)]
"""A confidence, 0 to 1."""

_Pixel = Annotated[int, Field(ge=0, le=MAX_PIXEL)]

Box = Annotated[tuple[_Pixel, _Pixel, _Pixel, _Pixel], Strict(False), AfterValidator(_ordered)]
"""A rectangle in pixels of the frame, xyxy, the right and lower edge not included."""
