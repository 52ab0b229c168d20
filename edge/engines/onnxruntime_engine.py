"""ONNX Runtime: the engine for ``.onnx`` files, on the host and on 64-bit and 32-bit ARM boxes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edge.engines.base import Array, Precision, TensorSpec, check_feeds, engine_error
from models.errors import EngineError

__all__ = ["OnnxRuntimeEngine", "onnx_precision"]

# onnxruntime.NodeArg.type -> numpy
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}

_QUANTISED = re.compile(
    rb"\x22.(?:QuantizeLinear|DequantizeLinear|DynamicQuantizeLinear|QLinearConv|QLinearMatMul"
    rb"|ConvInteger|MatMulInteger)",
    re.DOTALL,
)
_CAST_TO_FP16 = b"\x0a\x02to\x18\x0a"

# y = x, operator set 13.
_TINY = (
    b'\x08\x07:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)


def onnx_precision(data: bytes, io_types: set[str]) -> Precision:
    """Tell the precision of a model from the bytes of its file.

    A node's operator is field 4 of ``NodeProto`` (tag 0x22), so a tensor whose *name* ends in
    ``_QuantizeLinear`` does not count. A model is FP16 if it takes or gives FP16, or casts to it
    (attribute ``to`` = 10) because its inputs were left FP32.
    Source: onnx.proto3, messages NodeProto, AttributeProto and TensorProto.DataType.
    """
    if _QUANTISED.search(data):
        return "int8"
    if "tensor(float16)" in io_types or _CAST_TO_FP16 in data:
        return "fp16"
    return "fp32"


class OnnxRuntimeEngine:
    """One ``.onnx`` model on the CPU; see :class:`edge.engines.base.Engine`.

    Parameters
    ----------
    path
        The model.
    threads
        Of one inference, the calling one included.

    Raises
    ------
    EngineError
        ONNX Runtime is not installed, or refuses the model.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                f"{path}: ONNX Runtime is not installed ({error}): pip install 'lineguard[box]'"
            ) from error
        if "/dist-packages/" in onnxruntime.__file__:
            _begin_quietly()
        self.version: str = onnxruntime.__version__
        self.threads = threads
        self._path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; warnings about a model's style help nobody here
        # Threads that wait for work sleep. Spinning is a quarter faster on cores that nobody else
        # wants, but takes 1.7 times the CPU, and twice the time where capture wants them too.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A pattern is kept for every shape ever seen, and text lines come in hundreds of widths:
        # 200 sizes of the detector end at 224 MB with patterns and at 161 MB without.
        options.enable_mem_pattern = False
        # One arena for all models: what a run of one leaves free the next one takes. Weights stay
        # out of it, or each would take a power of two. A station with four models: 40 MB less.
        options.add_session_config_entry("session.use_env_allocators", _share_arena())
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            nodes = self._session.get_inputs()
            self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())
            types = {node.type for node in (*nodes, *self._session.get_outputs())}
            self.precision: Precision = onnx_precision(path.read_bytes(), types)
            self.inputs = tuple(_spec(node) for node in nodes)
        except Exception as error:  # onnxruntime's own exceptions share no base but Exception
            raise engine_error(path, "ONNX Runtime", error, opening=True) from error
        self._output_names = list(self.outputs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Infer once; see :meth:`edge.engines.base.Engine.run`."""
        check_feeds(self._path, self.inputs, feeds)
        if self._session is None:
            raise EngineError(f"{self._path}: the engine is closed: open it again")
        try:
            answers = self._session.run(self._output_names, feeds)
        except Exception as error:
            raise engine_error(self._path, "ONNX Runtime", error, opening=False) from error
        return dict(zip(self.outputs, answers, strict=True))

    def close(self) -> None:
        """Let go of the session."""
        self._session = None


@cache
def _share_arena() -> str:
    """Register the process's arena, once; ``"1"`` if there is one, ``"0"`` if each has its own."""
    import onnxruntime

    growing = {"arena_extend_strategy": 0}  # to the next power of two; "as requested" fragments
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    try:
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(growing))
    except Exception:  # another part of this program has registered one, or this build has none
        return "0"
    return "1"


@cache
def _begin_quietly() -> None:
    """Open a first model with nothing of standard error shown.

    Debian's build knows every operator twice, and says so of each, 567 lines, with the first model.
    """
    import onnxruntime

    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        onnxruntime.InferenceSession(_TINY, providers=["CPUExecutionProvider"])
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _spec(node: Any) -> TensorSpec:
    if node.type not in _DTYPES:
        raise ValueError(f"input {node.name} is a {node.type}, which is not supported")
    shape = tuple(n if isinstance(n, int) and n > 0 else None for n in node.shape)
    return TensorSpec(node.name, shape, np.dtype(_DTYPES[node.type]))
