"""What the tensors of an ONNX model hold, on real inputs: the calibration of every method at once.

ONNX Runtime's own calibrators keep every tensor of every picture until the end, and run all of
them again for each method. Here a picture leaves a histogram a tensor behind, and nothing else.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization.shape_inference import quant_pre_process

from compress.metrics.base import Feeds, Progress
from compress.onnx_graph import Graph
from compress.quantise.eight import companions, layers
from compress.quantise.outcome import check_coloured, varies
from compress.quantise.ranges import Histogram, Method, Range, range_of
from models.errors import ModelError

__all__ = ["Observed", "observe", "prepare"]

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that are called after their weights."""


@dataclass(frozen=True)
class Observed:
    """A model and what its tensors held.

    Attributes
    ----------
    path
        The FP32 file.
    model
        The same with biases and batch norms fused into convolutions, and every shape known.
    histograms
        By tensor: what any node takes or makes that is no weight.
    pictures
        How many inputs were seen.
    """

    path: Path
    model: onnx.ModelProto
    histograms: Mapping[str, Histogram]
    pictures: int
    _ranges: dict[Method, dict[str, Range]] = field(default_factory=dict, repr=False)

    def ranges(self, method: Method | Mapping[str, Method]) -> Mapping[str, Range]:
        """The range of each tensor, chosen once for each method.

        Parameters
        ----------
        method
            For all of them, or for each by its name; for those that are not named ``mse``.
        """
        if not isinstance(method, str):
            return {k: self.ranges(method.get(k, "mse"))[k] for k in self.histograms}
        if method not in self._ranges:
            self._ranges[method] = {k: range_of(v, method) for k, v in self.histograms.items()}
        return self._ranges[method]


def prepare(path: Path) -> onnx.ModelProto:
    """Fuse what the engine would fuse, and infer shapes: what a quantiser must be given.

    A node is called after its weights afterwards, as the Paddle program calls them, or after what
    it makes: skip lists speak of these names, for every target alike.

    Raises
    ------
    ModelError
        It is no ONNX model, or has no shapes that can be inferred.
    """
    with tempfile.TemporaryDirectory(prefix="lineguard-int8-") as scratch:
        made = Path(scratch) / "prepared.onnx"
        try:
            quant_pre_process(str(path), str(made), skip_symbolic_shape=True)
            model: onnx.ModelProto = onnx.load(str(made))
        except Exception as error:  # onnx's and onnxruntime's share no base but Exception
            said = str(error).strip().partition("\n")[0]
            raise ModelError(f"{path}: cannot be prepared ({said}): export it again") from error
    model = onnx.shape_inference.infer_shapes(model)
    _name_nodes(model)
    return model


def observe(
    path: Path, calibration: Iterable[Feeds], *, threads: int = 1, progress: Progress | None = None
) -> Observed:
    """Run the model on every input and count what its tensors hold.

    The order of the inputs does not matter, and their memory is free after each.

    Raises
    ------
    InputError
        There is no input, or nothing but pictures of one colour.
    ModelError
        The model cannot be prepared or run, has nothing to quantise, or gives numbers that are
        not finite.
    """
    model = prepare(path)
    if not layers(model):
        raise ModelError(f"{path}: has no convolution or matrix product: there is nothing to gain")
    watched = _watched(model)
    histograms = {name: Histogram() for name in watched}
    session = _session(path, model, watched, threads)
    total = len(calibration) if isinstance(calibration, Sized) else 0
    pictures, coloured = 0, False
    for feeds in calibration:
        try:
            answers = session.run(watched, dict(feeds))
        except Exception as error:
            said = str(error).strip().partition("\n")[0]
            raise ModelError(
                f"{path}: cannot be calibrated ({said}): give it its inputs"
            ) from error
        for name, values in [*feeds.items(), *zip(watched, answers, strict=True)]:
            if not np.isfinite(values).all():
                raise ModelError(
                    f"{path}: {name} is not finite on calibration input {pictures + 1}: "
                    "take that picture out, or tune the model again"
                )
            histograms.setdefault(name, Histogram()).add(np.asarray(values, np.float32))
        coloured = coloured or varies(feeds)
        pictures += 1
        if progress:
            progress(pictures, total)
    check_coloured(path, pictures, coloured)
    return Observed(path, model, histograms, pictures)


def _name_nodes(model: onnx.ModelProto) -> None:
    weights = {each.name for each in model.graph.initializer}
    taken: set[str] = set()
    for node in model.graph.node:
        own = next((name for name in node.input if name in weights), node.output[0])
        node.name = node.output[0] if own in taken or node.op_type not in WEIGHTED else own
        taken.add(node.name)


def _watched(model: onnx.ModelProto) -> list[str]:
    """What any node that may be quantised takes or makes, inputs of the model left out."""
    graph = Graph(model)
    chosen = set(companions(model, ()))
    names: dict[str, None] = {}
    for node in graph.nodes:
        if node.name in chosen:
            names.update(dict.fromkeys((*graph.activations(node), *node.output)))
    return [name for name in names if graph.maker(name) is not None]


def _session(
    path: Path, model: onnx.ModelProto, watched: list[str], threads: int
) -> onnxruntime.InferenceSession:
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    known = {each.name: each for each in (*model.graph.value_info, *model.graph.output)}
    del seen.graph.output[:]
    seen.graph.output.extend(known[name] for name in watched)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(threads, os.cpu_count() or 1)
    options.log_severity_level = 3
    # Every tensor is asked for by its name: none may be fused away.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            seen.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: cannot be calibrated ({said}): export it again") from error
