"""``.pdparams`` files, read without running what they say.

Such a file is a pickle, and whoever made it may have it run anything; ``paddle.load`` lets it.
Weights need four names of numpy, and get no others.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["read_pickled"]


def _latin1(text: str, encoding: str) -> bytes:
    """What ``_codecs.encode`` does in a pickle of protocol 2, where bytes are written as text."""
    return text.encode("latin1")


_RECONSTRUCT = np.core.multiarray._reconstruct  # type: ignore[attr-defined]

ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,  # written with numpy 2
    ("_codecs", "encode"): _latin1,
}
"""All that ``paddle.save`` writes into a file of weights, by module and name."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}, which no weights need")
        return ALLOWED[module, name]


def read_pickled(path: Path) -> object:
    """What a pickle of plain objects and arrays holds.

    Raises
    ------
    OSError
        It cannot be read.
    pickle.UnpicklingError
        It is no such pickle.
    """
    with path.open("rb") as file:
        try:
            return _Unpickler(file).load()
        except (OSError, pickle.UnpicklingError):
            raise
        except Exception as error:  # damaged pickles raise whatever they happen to run into
            raise pickle.UnpicklingError("not a pickle, or damaged") from error
