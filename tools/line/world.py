"""What the simulated line knows of itself: its date, the job that runs, and the truth of a part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from models.results import Defect, TextLine

__all__ = ["DEMO_JOB", "TODAY", "Drawn", "Job", "PartTruth", "random_job"]

TODAY = date(2026, 6, 15)
"""The line's date for ever, so that a seed gives the same pictures in any year."""

LETTERS = "ACEFHKLMNPRTX"
"""Letters of lot codes: those that are printed like a digit (B, D, G, I, O, Q, S, Z) or another
letter are left out, as factories do."""


@dataclass(frozen=True)
class Job:
    """What the line packs just now.

    Attributes
    ----------
    lot
        Lot code on cartons and caps.
    made
        Date of manufacture.
    shelf_days
        Shelf life: the best-before date is ``made`` plus as many days.
    code
        What a marker must say.
    layouts
        Of the boards that are made, by the number that their photos begin with; they lie as on
        the photos. None: all of them, any way up.
    """

    lot: str = "L2611A"
    made: date = date(2026, 5, 2)
    shelf_days: int = 365
    code: str = "KM12:4"
    layouts: tuple[str, ...] = ("00041", "44000")

    @property
    def expires(self) -> date:
        """The best-before date."""
        return self.made + timedelta(days=self.shelf_days)


DEMO_JOB = Job()
"""What the demonstration's station expects."""


@dataclass(frozen=True, eq=False)
class PartTruth:
    """What is really on a part.

    Attributes
    ----------
    kind
        ``carton``, ``cap``, ``marker`` or ``board``.
    ok
        What the verdict must be.
    fault
        Why it must be NG; ``None`` on an OK part.
    lines
        Every print, score 1. One that nobody can read has text ``""`` and score 0.
    defects
        Every defect of a board, score 1.
    """

    kind: str
    ok: bool
    fault: str | None
    lines: tuple[TextLine, ...] = ()
    defects: tuple[Defect, ...] = ()


Drawn = tuple[NDArray[np.uint8], tuple[TextLine, ...], tuple[Defect, ...]]
"""A part as drawn: ``(H, W, 3) uint8`` BGR, its print, its defects."""


def random_job(rng: np.random.Generator) -> Job:
    """Any job, for sets to train with: on one job alone a recogniser would learn it by heart."""
    lot = f"L{rng.integers(2500, 2700)}{LETTERS[rng.integers(len(LETTERS))]}"
    made = TODAY - timedelta(days=int(rng.integers(1, 150)))
    letters = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=2))
    a, b, c = (int(n) for n in rng.integers(1, [100, 25, 10]))
    codes = (
        f"{letters}{a}:{c}",
        f"-{letters}{a}",
        f"{b}V",
        f"{c}{letters[0]}{b}",
        f"-{letters[0]}{a}",
        f"{letters[0]}{b}.{c}",
        f"{letters}{a}/{c}",
        f"{1000 + a}",
    )
    return Job(
        lot=lot,
        made=made,
        shelf_days=int(rng.choice([180, 270, 365, 540, 730])),
        code=codes[rng.integers(len(codes))],
        layouts=(),
    )
