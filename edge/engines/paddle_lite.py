"""Paddle Lite by its Python module: the engine for ``.nb`` files, made for ARM.

There are wheels of it for x86 alone, where it is there to check an FP32 conversion, not to be fast.
A board has the C++ library: :mod:`edge.engines.lite`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge.engines.base import Array, Precision, TensorSpec, check_feeds, engine_error
from edge.engines.nb import check_made_for, read_nb
from models.errors import EngineError

__all__ = ["PaddleLiteEngine"]


class PaddleLiteEngine:
    """One ``.nb`` model; see :class:`edge.engines.base.Engine`.

    Parameters
    ----------
    path
        The model, made by the ``paddle_lite_opt`` of the same version for this kind of processor.
    threads
        Of one inference, the calling one included.

    Raises
    ------
    EngineError
        Paddle Lite is not installed, or the model is made for another version or processor.
    """

    name = "paddle_lite"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            from paddlelite import lite
        except ImportError as error:
            raise EngineError(
                f"{path}: Paddle Lite is not installed ({error}): pip install 'lineguard[host]' on "
                "an x86-64 host; on a board lineguard box build-lite RELEASE_DIR"
            ) from error
        head = read_nb(path)
        self.version: str = lite.LightPredictor().get_version()
        self.precision: Precision = head.precision
        self.threads = threads
        self._path = path
        check_made_for(path, head, self.version)
        self._config: Any = lite.MobileConfig()
        self._config.set_model_from_file(str(path))
        self._create: Any = lite.create_paddle_predictor
        self._on_x86 = not hasattr(self._config, "set_threads")
        self._openmp: list[Any] = []
        if self._on_x86:
            self._openmp = _openmp_libraries(path)
        else:
            self._config.set_threads(threads)
            # Lite would else choose cores by itself, against the mask that the caller has set.
            self._config.set_power_mode(lite.PowerMode.LITE_POWER_NO_BIND)
        try:
            self._predictor: Any = self._create(self._config)
        except Exception as error:
            raise engine_error(path, "Paddle Lite", error, opening=True) from error
        self._shapes: list[tuple[int, ...]] = []
        self.inputs: tuple[TensorSpec, ...] = head.inputs
        self.outputs: tuple[str, ...] = tuple(self._predictor.get_output_names())

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Infer once; see :meth:`edge.engines.base.Engine.run`."""
        check_feeds(self._path, self.inputs, feeds)
        if self._predictor is None:
            raise EngineError(f"{self._path}: the engine is closed: open it again")
        try:
            if self._on_x86:
                self._suit_x86([feeds[spec.name].shape for spec in self.inputs])
            predictor = self._predictor
            for name, array in feeds.items():
                predictor.get_input_by_name(name).from_numpy(array)
            predictor.run()
            # numpy() may be a view of memory that the next run overwrites.
            return {
                name: np.array(predictor.get_output_by_name(name).numpy()) for name in self.outputs
            }
        except Exception as error:
            raise engine_error(self._path, "Paddle Lite", error, opening=False) from error

    def _suit_x86(self, shapes: list[tuple[int, ...]]) -> None:
        """Mend two things that the x86 build lacks.

        Its 3x3 convolutions of stride 2 are compiled for the shapes of the first run and write
        beyond their memory at others (``lite/kernels/x86/conv_direct.h``, ``PrepareForRun``), so
        that other shapes need another predictor. And there is no ``set_threads``; OpenMP keeps the
        number for each calling thread.
        """
        if self._shapes and shapes != self._shapes:
            self._predictor = self._create(self._config)
        self._shapes = shapes
        for library in self._openmp:
            library.set_num_threads(self.threads)

    def close(self) -> None:
        """Let go of the predictor."""
        self._predictor = None


def _openmp_libraries(path: Path) -> list[Any]:
    """Find what takes the place of ``set_threads``, which Paddle Lite for x86 does not have."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError as error:
        raise EngineError(
            f"{path}: the threads of Paddle Lite for x86 cannot be set ({error}): "
            "pip install 'lineguard[host]'"
        ) from error
    libraries: list[Any] = ThreadpoolController().select(user_api="openmp").lib_controllers
    return libraries
