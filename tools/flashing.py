"""Bundles from files to boxes at addresses, and the report about it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path

from firmware_bridge.fleet import Outcome
from firmware_bridge.parcel import Base, Parcel, bases_of
from models.atomic import write_atomic
from models.bundle import Bundle, PublicKey, open_bundle
from models.errors import BundleError, InputError

__all__ = ["check_report", "open_parcel", "write_report"]

MAX_BESIDE = 16
"""Older bundles beside a new one that are looked at: a box has one of the last two."""


@contextmanager
def open_parcel(
    path: Path, trusted: Sequence[PublicKey], bases: Sequence[Path]
) -> Iterator[Parcel]:
    """Open a bundle to be sent, after reading all of it once.

    Parameters
    ----------
    bases
        Bundles that boxes may have: deltas on them are then made for every line. Without any,
        those of the same name beside the bundle are used, for lines with a baud.

    Raises
    ------
    BundleError
        The bundle is not sound or not trusted, or one of ``bases`` is no bundle.
    """
    with ExitStack() as opened:
        bundle = opened.enter_context(open_bundle(path, trusted))
        bundle.check()
        found: dict[str, Base] = {}
        for base in bases:
            found |= bases_of(opened.enter_context(open_bundle(base, None)))
        for base in () if bases else _beside(bundle):
            with suppress(BundleError):  # nobody has named it
                other = opened.enter_context(open_bundle(base, None))
                if other.manifest.name == bundle.manifest.name:
                    found |= bases_of(other)
        yield Parcel(bundle, found, thorough=True if bases else None)


def _beside(bundle: Bundle) -> list[Path]:
    """The newest bundles of the same name in the same folder."""
    path = bundle.path
    found = path.absolute().parent.glob(f"{bundle.manifest.name}-*.lgb")
    others = [each for each in found if each.name != path.name and each.is_file()]
    return sorted(others, key=lambda each: each.stat().st_mtime, reverse=True)[:MAX_BESIDE]


def check_report(path: Path) -> None:
    """See that a report can have this name; ``InputError`` if not."""
    if path.suffix not in {".json", ".csv"}:
        raise InputError(f"{path}: is neither .json nor .csv: name one of them")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"{path}: is a folder, or in none: name a file where there is a folder")


def write_report(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write what became of each box, as JSON or CSV by the suffix."""
    rows = [asdict(outcome) for outcome in outcomes]
    if path.suffix == ".json":
        text = json.dumps({"boxes": rows}, ensure_ascii=False, indent=1) + "\n"
    else:
        out = io.StringIO()
        table = csv.DictWriter(out, [field.name for field in fields(Outcome)])
        table.writeheader()
        table.writerows(rows)
        text = out.getvalue()
    write_atomic(path, text.encode())
