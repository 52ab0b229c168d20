"""FP32 ONNX to INT8: weights and activations of eight bits between ``QuantizeLinear`` pairs."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from compress.metrics.base import Feeds, Progress
from compress.onnx_graph import store_half
from compress.quantise.eight import QUANTISED, Plan, layers, plan, turn
from compress.quantise.observe import Observed, observe
from compress.quantise.outcome import Quantised, check_skip
from compress.quantise.ranges import Method, Range
from compress.quantise.repeat import repeat
from compress.quantise.suit import suit
from models.atomic import write_atomic
from models.errors import ModelError

__all__ = ["quantise_onnx"]


def quantise_onnx(
    model: Path,
    out: Path,
    calibration: Iterable[Feeds] | Observed,
    *,
    method: Method | Mapping[str, Method] = "mse",
    skip: Collection[str] = (),
    progress: Progress | None = None,
) -> Quantised:
    """Write ``out``, the model in eight bits; the same inputs give the same bytes.

    Activations have no sign and weights do, which VNNI multiplies at once; layers are convolutions
    and matrix products by constants, and what follows them stays in eight bits as far as it can.

    Parameters
    ----------
    calibration
        Real inputs, or what :func:`observe` made of them, for several goes.
    method
        How ranges are chosen, of all tensors or of each, as :meth:`Observed.ranges` takes it.
    skip
        Layers that stay FP32, by the names of their weights.

    Raises
    ------
    InputError
        Nothing to calibrate on, blank pictures alone, or a layer to skip that there is not.
    ModelError
        The model cannot be quantised.
    StorageError
        The file cannot be written.
    """
    seen = (
        calibration
        if isinstance(calibration, Observed)
        else observe(model, calibration, progress=progress)
    )
    known = layers(seen.model)
    check_skip(model, skip, known)
    idle = _idle(seen)
    skipped = dict.fromkeys(idle, "zero range") | dict.fromkeys(skip, "asked")
    ranges = seen.ranges(method)
    chosen = plan(seen.model, ranges, [*skipped])
    copy = onnx.ModelProto()
    copy.CopyFrom(seen.model)
    if chosen.layers:
        copy = _quantise(model, copy, ranges, chosen)
    data = copy.SerializeToString(deterministic=True)
    write_atomic(out, data)
    return Quantised(chosen.layers, skipped, len(chosen.folds), len(data))


def _quantise(
    path: Path,
    model: onnx.ModelProto,
    ranges: Mapping[str, Range],
    chosen: Plan,
) -> onnx.ModelProto:
    overrides = {
        name: [
            {
                "quant_type": QuantType.QUInt8,
                "scale": np.array(step, np.float32),
                "zero_point": np.array(zero, np.uint8),
            }
        ]
        for name, (step, zero) in chosen.grids.items()
    }
    tensors = {
        name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    try:
        with _quiet():
            quantiser = QDQQuantizer(
                model,
                True,  # a step for each channel of the weights
                False,
                QuantType.QInt8,
                QuantType.QUInt8,
                TensorsData(CalibrationMethod.MinMax, tensors),
                list(chosen.nodes),
                [],
                list(QUANTISED),
                {"TensorQuantOverrides": overrides},
            )
            quantiser.quantize_model()
            quantiser.model.topological_sort()  # its own nodes stand behind all others
        made: onnx.ModelProto = quantiser.model.model
        turn(made, chosen)
        suit(made)
        repeat(made)
        store_half(made)  # of layers that are spared
        onnx.checker.check_model(made)
    except Exception as error:  # onnxruntime.quantization raises whatever comes
        said = str(error).strip().partition("\n")[0] or repr(error)
        raise ModelError(f"{path}: cannot be quantised ({said}): export it again") from error
    return made


def _idle(seen: Observed) -> list[str]:
    """Layers that take or give nothing but zeros: they have no range to quantise to."""
    names = set(layers(seen.model))
    return [
        node.name
        for node in seen.model.graph.node
        if node.name in names
        and any(
            name in seen.histograms and seen.histograms[name].limit == 0
            for name in (node.input[0], node.output[0])
        )
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser logs its opinions to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
