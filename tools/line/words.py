"""What is printed on a part, right or wrong; no pixels here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from tools.line.world import LETTERS, TODAY, Job

__all__ = ["CAP_FAULTS", "CARTON_FAULTS", "MARKER_FAULTS", "Print", "cap", "carton", "marker"]

CARTON_FAULTS = (
    "wrong_lot",
    "lot_missing",
    "expired",
    "bad_date",
    "wrong_shelf",
    "wiped",
    "label_missing",
)
CAP_FAULTS = ("wrong_lot", "lot_missing", "expired", "bad_date", "wiped", "label_missing")
MARKER_FAULTS = ("wrong_code", "wiped", "label_missing")

TWINS = ("017", "38", "568", "89", "CE", "EF", "HKNMX", "PRF", "LT")
"""Characters that resemble each other in print: none is put for its twin, since a wrong code has
to be wrong at a glance."""


@dataclass(frozen=True)
class Print:
    """One line of print.

    Attributes
    ----------
    text
        What the printer was told.
    wiped
        The wet ink was wiped off: nobody can read it.
    """

    text: str
    wiped: bool = False


def one_changed(code: str, rng: np.random.Generator) -> str:
    """``code`` with one of its letters or digits changed into another of its sort."""
    places = [i for i, c in enumerate(code) if c.isdigit() or c in LETTERS]
    place = places[rng.integers(len(places))]
    was = code[place]
    alike = {c for twins in TWINS if was in twins for c in twins} | {was}
    choice = [c for c in ("0123456789" if was.isdigit() else LETTERS) if c not in alike]
    return code[:place] + choice[rng.integers(len(choice))] + code[place + 1 :]


def _impossible(day: date, rng: np.random.Generator) -> tuple[int, int, int]:
    """Year, month, day of a date that no calendar has."""
    wrong = ((day.year, 13, day.day), (day.year, 2, 30), (day.year, day.month, 35))
    return wrong[rng.integers(len(wrong))]


def carton(
    job: Job, fault: str | None, dotted: bool, rng: np.random.Generator
) -> tuple[Print, ...]:
    """The coder's lines on a carton: lot, date of manufacture, best before.

    An ink-jet coder (``dotted``) puts no word before the lot: its O would be its 0.
    """
    made, expires, lot = job.made, job.expires, job.lot
    if fault == "label_missing":
        return ()
    if fault == "wrong_lot":
        lot = one_changed(lot, rng)
    if fault == "expired":
        expires = TODAY - timedelta(days=int(rng.integers(10, 200)))
        made = expires - timedelta(days=job.shelf_days)
    if fault == "wrong_shelf":
        expires = job.expires + timedelta(days=int(rng.choice([-90, -30, 30, 90, 365])))
        expires = max(expires, TODAY + timedelta(days=1))
    best_before = expires.isoformat()
    if fault == "bad_date":
        year, month, day = _impossible(expires, rng)
        formats = (
            f"{year}-{month:02}-{day:02}",
            f"{expires:%d.%m.%Y}",
            f"{expires:%d/%m/%y}",
        )
        best_before = formats[rng.integers(len(formats))]
    lines = [lot if dotted else f"LOT {lot}", f"MFG {made.isoformat()}", f"EXP {best_before}"]
    wiped = {0, 1, 2} if rng.random() < 0.5 else {int(rng.choice([0, 2]))}
    prints = [Print(text, fault == "wiped" and i in wiped) for i, text in enumerate(lines)]
    return tuple(prints[1:] if fault == "lot_missing" else prints)


def cap(job: Job, fault: str | None, rng: np.random.Generator) -> tuple[Print, ...]:
    """The one line of an ink-jet coder on a cap: best before and lot."""
    expires, lot = job.expires, job.lot
    if fault == "label_missing":
        return ()
    if fault == "wrong_lot":
        lot = one_changed(lot, rng)
    if fault == "expired":
        expires = TODAY - timedelta(days=int(rng.integers(10, 200)))
    best_before = f"{expires:%Y%m%d}"
    if fault == "bad_date":
        year, month, day = _impossible(expires, rng)
        formats = (f"{year}{month:02}{day:02}", f"{expires:%d%m%Y}", f"{expires:%d%m%y}")
        best_before = formats[rng.integers(len(formats))]
    text = f"EXP {best_before}" if fault == "lot_missing" else f"EXP {best_before} {lot}"
    return (Print(text, fault == "wiped"),)


def marker(job: Job, fault: str | None, rng: np.random.Generator) -> tuple[Print, ...]:
    """The code of a cable marker."""
    if fault == "label_missing":
        return ()
    return (
        Print(one_changed(job.code, rng) if fault == "wrong_code" else job.code, fault == "wiped"),
    )
