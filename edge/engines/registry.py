"""Which engine opens which file. A new engine is its own file and one line here."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.engines.base import Engine
from edge.engines.onnxruntime_engine import OnnxRuntimeEngine
from edge.engines.paddle_inference import PaddleInferenceEngine
from edge.engines.paddle_lite import PaddleLiteEngine
from models.errors import EngineError

__all__ = ["ENGINES", "EngineKind", "engine_kind", "model_files"]


@dataclass(frozen=True)
class EngineKind:
    """One kind of engine.

    Attributes
    ----------
    make
        Opens a model file with that many threads; imports the native library only then.
    distribution
        The Python package whose version decides whether an old trial still counts.
    companions
        Suffixes of the files that must stand beside the model.
    """

    make: Callable[[Path, int], Engine]
    distribution: str
    companions: tuple[str, ...] = ()

    def library(self) -> str:
        """What of the library decides whether an old trial still counts."""
        return self.distribution


class _LiteKind(EngineKind):
    """Paddle Lite: its C++ library where it was built, else its Python module."""

    def library(self) -> str:
        from edge.engines.lite import find_build

        build = find_build()
        return f"lite:{build.key}" if build else self.distribution


def _open_lite(path: Path, threads: int) -> Engine:
    from edge.engines.lite import LiteEngine, find_build

    build = find_build()
    return LiteEngine(path, threads, build) if build else PaddleLiteEngine(path, threads)


ENGINES: dict[str, EngineKind] = {
    ".onnx": EngineKind(OnnxRuntimeEngine, "onnxruntime"),
    ".nb": _LiteKind(_open_lite, "paddlelite"),
    ".pdmodel": EngineKind(PaddleInferenceEngine, "paddlepaddle", (".pdiparams",)),
}


def engine_kind(path: Path) -> EngineKind:
    """Choose by suffix.

    Raises
    ------
    EngineError
        No engine opens such files.
    """
    kind = ENGINES.get(path.suffix)
    if kind is None:
        known = ", ".join(ENGINES)
        raise EngineError(f"{path}: no engine opens {path.suffix or 'such a'} file: give {known}")
    return kind


def model_files(path: Path) -> tuple[Path, ...]:
    """The model and what must stand beside it.

    Raises
    ------
    EngineError
        No engine opens such files, or one is missing, empty or no plain file.
    """
    files = (path, *(path.with_suffix(suffix) for suffix in engine_kind(path).companions))
    for file in files:
        try:
            found = file.stat()
        except OSError as error:
            raise EngineError(
                f"{file}: cannot be opened ({error.strerror}): "
                f"the model needs {', '.join(map(str, files))}"
            ) from error
        # Native libraries abort on these, and a named pipe would be waited for without end.
        if not stat.S_ISREG(found.st_mode):
            raise EngineError(f"{file}: is no plain file: give the model's own")
        if found.st_size == 0:
            raise EngineError(f"{file}: is empty: copy or convert the model again")
    return files
