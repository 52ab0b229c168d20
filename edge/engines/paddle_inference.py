"""Paddle Inference: the engine for ``.pdmodel`` files, on the host alone.

What a conversion is compared with: the framework that the model comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge.engines.base import Array, Precision, TensorSpec, check_feeds, engine_error
from edge.engines.nb import PADDLE_DTYPES
from models.errors import EngineError

__all__ = ["PaddleInferenceEngine"]

_FP16 = 4  # framework.proto, VarType.Type


class PaddleInferenceEngine:
    """One ``.pdmodel`` with its ``.pdiparams`` on the CPU; see :class:`edge.engines.base.Engine`.

    Parameters
    ----------
    path
        The ``.pdmodel``; the ``.pdiparams`` of the same stem stands beside it.
    threads
        Of one inference, the calling one included.

    Raises
    ------
    EngineError
        Paddle is not installed, the ``.pdiparams`` is missing, or Paddle refuses the model.
    """

    name = "paddle_inference"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import paddle
            from paddle import inference
            from paddle.base.proto.framework_pb2 import ProgramDesc
        except ImportError as error:
            raise EngineError(
                f"{path}: Paddle is not installed ({error}): pip install 'lineguard[host]'"
            ) from error
        self.version: str = paddle.__version__
        self.threads = threads
        self._path = path
        try:
            program = ProgramDesc()
            program.ParseFromString(path.read_bytes())
            self.precision: Precision = _precision(program)
            types = {var.name: var.type.lod_tensor.tensor for var in program.blocks[0].vars}
            config = inference.Config(str(path), str(path.with_suffix(".pdiparams")))
            config.disable_gpu()
            config.disable_glog_info()
            config.enable_memory_optim()
            config.set_cpu_math_library_num_threads(threads)
            self._predictor: Any = inference.create_predictor(config)
            self.inputs = tuple(
                _spec(name, types[name]) for name in self._predictor.get_input_names()
            )
        except Exception as error:  # protobuf's DecodeError, Paddle's RuntimeError and ValueError
            raise engine_error(path, "Paddle", error, opening=True) from error
        self.outputs: tuple[str, ...] = tuple(self._predictor.get_output_names())

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Infer once; see :meth:`edge.engines.base.Engine.run`."""
        check_feeds(self._path, self.inputs, feeds)
        predictor = self._predictor
        if predictor is None:
            raise EngineError(f"{self._path}: the engine is closed: open it again")
        try:
            for name, array in feeds.items():
                predictor.get_input_handle(name).copy_from_cpu(array)
            predictor.run()
            return {name: predictor.get_output_handle(name).copy_to_cpu() for name in self.outputs}
        except Exception as error:
            raise engine_error(self._path, "Paddle", error, opening=False) from error

    def close(self) -> None:
        """Let go of the predictor."""
        self._predictor = None


def _precision(program: Any) -> Precision:
    """INT8 if any operator quantises, else FP16 if any weight is."""
    if any("quantize" in op.type for block in program.blocks for op in block.ops):
        return "int8"
    weights = (var for block in program.blocks for var in block.vars if var.persistable)
    if any(var.type.lod_tensor.tensor.data_type == _FP16 for var in weights):
        return "fp16"
    return "fp32"


def _spec(name: str, tensor: Any) -> TensorSpec:
    shape = tuple(int(n) if n > 0 else None for n in tensor.dims)
    return TensorSpec(name, shape, np.dtype(PADDLE_DTYPES[tensor.data_type]))
