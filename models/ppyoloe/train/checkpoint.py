"""A training that was stopped, as one file: it goes on from there as if nothing had happened."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.atomic import write_atomic
from models.errors import InputError
from models.ppyoloe.train.weights import Arrays

__all__ = ["Checkpoint"]

PARTS = ("network", "average", "optimizer")
FORMAT = 1


@dataclass
class Checkpoint:
    """All that a training is.

    Attributes
    ----------
    setup
        What must be the same to go on: variant, labels, batch, seed and so on.
    step
        Batches learnt.
    seconds
        Spent on them.
    network, average, optimizer
        Arrays by name: the weights, their moving average, and the optimiser's moments.
    history
        What was measured on the way.
    """

    setup: dict[str, Any]
    step: int
    seconds: float
    network: Arrays
    average: Arrays
    optimizer: Arrays
    history: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it whole, or leave what was there; ``StorageError`` if the disk is full."""
        meta = {
            "format": FORMAT,
            "setup": self.setup,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }
        arrays = {f"{part}/{k}": v for part in PARTS for k, v in getattr(self, part).items()}
        buffer = io.BytesIO()
        np.savez(buffer, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read one.

        Raises
        ------
        InputError
            It cannot be read or is no checkpoint of this version.
        """
        try:
            file = np.load(path, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("one array alone")
            with file:
                meta = json.loads(file["meta"].tobytes())
                if meta["format"] != FORMAT:
                    raise ValueError(f"format {meta['format']}")
                parts: dict[str, Arrays] = {part: {} for part in PARTS}
                for key in file.files:
                    part, slash, name = key.partition("/")
                    if slash:
                        parts[part][name] = file[key]
            return cls(
                meta["setup"], meta["step"], meta["seconds"], history=meta["history"], **parts
            )
        except OSError as error:
            reason = error.strerror or "no checkpoint"
            raise InputError(f"{path}: cannot be read ({reason}): check the path") from error
        except Exception as error:  # damaged archives raise whatever they happen to run into
            raise InputError(
                f"{path}: no checkpoint of this version: begin anew with another --out"
            ) from error

    def check_setup(self, setup: dict[str, Any], path: Path) -> None:
        """Refuse to go on with something else.

        Raises
        ------
        InputError
            Names everything that differs.
        """
        differing = [
            f"{key} was {self.setup.get(key)}, is {setup.get(key)}"
            for key in sorted(self.setup.keys() | setup.keys())
            if self.setup.get(key) != setup.get(key)
        ]
        if differing:
            raise InputError(
                f"{path}: checkpoint of another training ({'; '.join(differing)}): "
                "give the same options, or begin anew with another --out"
            )
