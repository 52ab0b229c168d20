"""What somebody who mistyped a name probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]

MAX_COMPARED = 60
"""Characters of a word that are compared: the time grows with the square, and no name is longer."""

CUTOFF = 0.5
"""Likeness, 0 to 1, below which a suggestion is no help."""


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The one of ``known`` that was probably meant; ``None`` if none is near.

    >>> nearest("Widht", ["height", "width"])
    'width'
    """
    asked = str(word)[:MAX_COMPARED].lower()
    return next(iter(difflib.get_close_matches(asked, list(known), n=1, cutoff=CUTOFF)), None)
