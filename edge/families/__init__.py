"""Model families on the box: from a table of the station file to something that looks at parts.

A new family is one file beside ``ppocr.py`` and one line in :data:`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.families.ppocr import open_ppocr
from edge.families.ppyoloe import open_ppyoloe
from edge.station.schema import Model, Region
from models.errors import ModelError
from models.results import Findings
from models.stopwatch import Stopwatch

__all__ = ["FAMILIES", "Inspector", "open_inspector"]


class Inspector(Protocol):
    """An open model of a station. One thread at a time may use it."""

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        """Look at one region of a frame ``(H, W, 3) uint8`` BGR.

        Raises
        ------
        EngineError
            The engine failed; the part cannot be judged.
        """


FAMILIES: Mapping[str, Callable[[Any, float | None], Inspector]] = {
    "ppocr": open_ppocr,
    "ppyoloe": open_ppyoloe,
}


def open_inspector(name: str, model: Model, min_score: float | None = None) -> Inspector:
    """Open ``models.NAME`` of a station.

    Parameters
    ----------
    name, model
        The model, and what the station calls it.
    min_score
        The smallest score that a rule asks for, ``None`` if none gives any; see
        :meth:`edge.station.Station.min_score_of`.

    Raises
    ------
    ModelError
        A file is missing or altered, does not fit, or the engine refuses it; or no such family.
    """
    family = FAMILIES.get(model.family)
    if family is None:
        raise ModelError(
            f"models.{name}: family {model.family} is not part of this version of lineguard: "
            f"use {' or '.join(FAMILIES)}"
        )
    return family(model, min_score)
