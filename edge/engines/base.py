"""What an inference engine is to the rest of lineguard: arrays in by name, arrays out by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineError

__all__ = ["Array", "Engine", "Precision", "TensorSpec", "check_feeds", "engine_error", "zeros"]

Array = NDArray[Any]
Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class TensorSpec:
    """One input of a model.

    Attributes
    ----------
    name
        As the model calls it.
    shape
        One number a dimension; ``None`` where any size from 1 goes.
    dtype
        What the array must be; nothing is converted on the way in.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype} ({', '.join('?' if n is None else str(n) for n in self.shape)})"

    def accepts(self, array: Array) -> bool:
        """Whether ``array`` has this shape and type, with no empty dimension."""
        if array.dtype != self.dtype or array.ndim != len(self.shape):
            return False
        # A plain loop: this runs before every inference, and a generator would cost twice as much.
        for size, expected in zip(array.shape, self.shape, strict=True):
            if size < 1 or (expected is not None and size != expected):
                return False
        return True


class Engine(Protocol):
    """One open model. One thread at a time may run it; different engines may run side by side.

    Attributes
    ----------
    name
        The library: ``onnxruntime``, ``paddle_lite`` or ``paddle_inference``.
    version
        Of the library, as it says itself.
    precision
        In which most of the model is computed.
    threads
        How many threads share one inference, the calling one included.
    inputs
        What :meth:`run` must be given, all of them.
    outputs
        The names that :meth:`run` answers with.
    """

    name: str
    version: str
    precision: Precision
    threads: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Infer once.

        Parameters
        ----------
        feeds
            One array for each of ``inputs``, of exactly its shape and type.

        Returns
        -------
        dict
            One array for each of ``outputs``. They are the caller's: no later run touches them.

        Raises
        ------
        EngineError
            An input is missing, unknown, or of another shape or type; the library failed; or the
            engine is closed.
        """

    def close(self) -> None:
        """Let go of the model's memory; harmless when it is closed already."""


def engine_error(path: Path, library: str, error: Exception, *, opening: bool) -> EngineError:
    """What a native library said when it opened or ran a model, as one line."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
    if opening:
        return EngineError(f"{path}: {library} refuses it ({said}): convert or copy it again")
    return EngineError(f"{path}: {library} failed on it ({said}): give it shapes that it can take")


def check_feeds(path: Path, inputs: Sequence[TensorSpec], feeds: Mapping[str, Array]) -> None:
    """Refuse what a native library might abort on.

    Raises
    ------
    EngineError
        Names the input, what it should be and what came.
    """
    for spec in inputs:
        array = feeds.get(spec.name)
        if array is None:
            given = ", ".join(feeds) or "nothing"
            raise EngineError(f"{path}: input {spec.name}: expected {spec}, got only {given}")
        if not spec.accepts(array):
            raise EngineError(
                f"{path}: input {spec.name}: expected {spec}, "
                f"got {array.dtype} ({', '.join(map(str, array.shape))})"
            )
    if len(feeds) != len(inputs):
        known = ", ".join(spec.name for spec in inputs)
        unknown = ", ".join(feeds.keys() - {spec.name for spec in inputs})
        raise EngineError(f"{path}: input {unknown}: there is none of that name, only {known}")


def zeros(
    path: Path, inputs: Sequence[TensorSpec], sample: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Zeros of the shapes in ``sample``, to try or warm an engine with.

    Raises
    ------
    EngineError
        ``sample`` does not fit the model.
    """
    types = {spec.name: spec.dtype for spec in inputs}
    feeds: dict[str, Array] = {
        name: np.zeros(shape, types.get(name, np.float32)) for name, shape in sample.items()
    }
    check_feeds(path, inputs, feeds)
    return feeds
