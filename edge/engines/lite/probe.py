"""What a library says of its version, asked before it is given a model to load.

It says so by a predictor only, and a predictor needs a model: so it gets one of a hundred bytes
that computes nothing. Paddle Lite 2.13 loads it.
"""

from __future__ import annotations

import struct
import tempfile
from functools import lru_cache
from pathlib import Path

from edge.engines.lite.built import LiteBuild
from edge.engines.lite.process import DeadError, LiteProcess, RefusedError

__all__ = ["library_version", "nothing_nb"]

PROBE_SECONDS = 30.0
"""Loading nothing takes as long as loading the library."""

# FlatBuffer of a ProgramDesc with one block of no variables and no operators.
_TOPOLOGY = bytes.fromhex(
    "0c000000000006000800040006000000040000000100000010000000"
    "0c000c0000000000080004000c00000008000000080000000000000000000000"
)
# Header of the weights: version, length of a note, length of what follows, how many, the longest.
_WEIGHTS = struct.pack("<HHHHI", 0, 0, 6, 0, 0)


def nothing_nb() -> bytes:
    """A ``.nb`` file without inputs, outputs and operators; see :mod:`edge.engines.nb`."""
    return struct.pack("<H16sQ", 2, b"lineguard", len(_TOPOLOGY)) + _TOPOLOGY + _WEIGHTS


@lru_cache(maxsize=4)
def library_version(build: LiteBuild) -> str | None:
    """What the library of a build says of itself, or ``None`` if it does not load even nothing.

    Raises
    ------
    EngineError
        No process is to be had, or the library cannot be loaded on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="lineguard-") as folder:
        model = Path(folder) / "nothing.nb"
        model.write_bytes(nothing_nb())
        process = LiteProcess(build.shim, 1)
        try:
            process.open(model, 1)
            version, _, _ = process.opened(PROBE_SECONDS)
        except (DeadError, RefusedError):
            return None
        finally:
            process.end()
    return version or None
