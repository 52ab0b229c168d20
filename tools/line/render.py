"""One part of the simulated line, from its seed and number: the picture and the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.errors import InputError
from tools.line import board, cap, carton, marker
from tools.line.effects import Image, Scene, scene
from tools.line.world import DEMO_JOB, Drawn, Job, PartTruth

__all__ = ["KINDS", "MAX_SIDE", "Kind", "check", "kind_named", "render"]

MAX_SIDE = 2048
"""Pixels; a belt of that size takes 40 MB, and no box's camera is larger."""

SMALLEST = 0.75
"""Fraction of a kind's own frame size below which its print could no longer be read."""

Draw = Callable[[Scene, Job, "str | None", tuple[int, int], np.random.Generator], Drawn]


@dataclass(frozen=True)
class Kind:
    """One kind of part.

    Attributes
    ----------
    number
        Its own in the seeds of its parts.
    size
        Width and height of its frames, unless others are asked for.
    faults
        Why a part can be NG.
    zone
        From the frame's size to where the print or the board is, xyxy.
    draw
        From line, job, fault and size to picture, lines and defects.
    """

    number: int
    size: tuple[int, int]
    faults: tuple[str, ...]
    zone: Callable[[tuple[int, int]], tuple[int, int, int, int]]
    draw: Draw


KINDS: dict[str, Kind] = {
    "carton": Kind(1, carton.SIZE, carton.FAULTS, carton.zone, carton.draw),
    "cap": Kind(2, cap.SIZE, cap.FAULTS, cap.zone, cap.draw),
    "marker": Kind(3, marker.SIZE, marker.FAULTS, marker.zone, marker.draw),
    "board": Kind(4, board.SIZE, board.FAULTS, board.zone, board.draw),
}
"""Whoever adds a kind adds its file and its line here."""


def kind_named(name: str) -> Kind:
    """Look a kind up.

    Raises
    ------
    InputError
        There is none of that name.
    """
    if name not in KINDS:
        raise InputError(f"line: kind = {name!r}: no such part: use one of {', '.join(KINDS)}")
    return KINDS[name]


def check(kind: str, seed: int, size: tuple[int, int], ng: float) -> None:
    """Refuse what cannot be drawn.

    Raises
    ------
    InputError
        There is no such kind, or a number is out of bounds.
    """
    if seed < 0:
        raise InputError(f"line: seed = {seed}: must be 0 or more")
    if not 0 <= ng <= 1:
        raise InputError(f"line: ng = {ng}: must be 0 to 1, the fraction of bad parts")
    least = tuple(round(SMALLEST * n) for n in kind_named(kind).size)
    if not all(a <= n <= MAX_SIDE for a, n in zip(least, size, strict=True)):
        raise InputError(
            f"line: {size[0]}x{size[1]} pixels: a {kind} needs {least[0]}x{least[1]} "
            f"to {MAX_SIDE}x{MAX_SIDE}"
        )


def render(
    kind: str,
    seed: int,
    index: int,
    job: Job = DEMO_JOB,
    size: tuple[int, int] | None = None,
    ng: float = 0.2,
) -> tuple[Image, PartTruth]:
    """Draw one part.

    The same arguments give the same bytes, in whatever order parts are drawn.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    seed
        Names the line; belt and light stay the same along it.
    index
        Number of the part, from 0.
    job
        What an OK part says.
    size
        Width and height in pixels; the kind's own unless given.
    ng
        Fraction of parts with a fault.

    Returns
    -------
    ``(H, W, 3) uint8`` BGR, owned by the caller, and what is really on it.

    Raises
    ------
    InputError
        There is no such kind, a number is out of bounds, or the line's type is not installed.
    """
    which = kind_named(kind)
    width, height = size = size or which.size
    check(kind, seed, size, ng)
    rng = np.random.default_rng([seed, index, which.number])
    fault = which.faults[rng.integers(len(which.faults))]
    truly = fault if rng.random() < ng else None
    image, lines, defects = which.draw(scene(seed, width, height), job, truly, size, rng)
    return image, PartTruth(kind, truly is None, truly, lines, defects)
