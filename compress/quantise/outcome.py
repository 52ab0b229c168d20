"""What a quantiser did, and what it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.metrics.base import Feeds
from models.errors import InputError

__all__ = ["Quantised", "check_coloured", "check_skip", "varies"]


@dataclass(frozen=True)
class Quantised:
    """What was done.

    Attributes
    ----------
    layers
        Layers that compute in eight bits, by the names of their weights.
    skipped
        Layers that do not, and why.
    folds
        Scales and shifts by constants that cost nothing any more.
    bytes
        Of the file, or of both.
    """

    layers: tuple[str, ...]
    skipped: dict[str, str]
    folds: int
    bytes: int


def varies(feeds: Feeds) -> bool:
    """Whether any input is more than one number, or one colour, all over."""
    return any(
        bool(np.ptp(each, axis=(-2, -1) if each.ndim > 1 else 0).any()) for each in feeds.values()
    )


def check_coloured(path: Path, pictures: int, coloured: bool) -> None:
    """Refuse to calibrate on nothing, or on what shows nothing.

    Raises
    ------
    InputError
        There was no input, or none of them varied.
    """
    if not pictures:
        raise InputError(f"{path}: nothing to calibrate on: name pictures in [data] calibration")
    if not coloured:
        every = "the only picture" if pictures == 1 else f"every one of the {pictures} pictures"
        raise InputError(
            f"{path}: {every} to calibrate on is blank: name real ones, as the model will see them"
        )


def check_skip(path: Path, skip: Collection[str], known: Sequence[str]) -> None:
    """Refuse names that are no layer's.

    Raises
    ------
    InputError
        Names the first that is not known, and all that are.
    """
    for name in skip:
        if name not in known:
            raise InputError(
                f"{path}: there is no layer {name} to skip: its layers are {', '.join(known)}"
            )
