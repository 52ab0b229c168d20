"""A network for an emulated processor: the shipped detector in INT8, and what it is tried on.

An inspection of 160x160 pixels in FP32 takes a quarter of a minute there, one of 64x64 in INT8 half
a second, and a trial makes fifty. ONNX Runtime's own tool stands in for ``compress``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from models.images import encode_image, load_image

__all__ = ["cut_part", "make_detector", "retrained"]

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "models/ppyoloe/pcb_defects_xs"
BOARDS = ROOT / "tools/line/assets"

SIDE, OVERLAP = 64, 32
"""Pixels of the network's input: a defect of these boards is half of it, the overlap as large."""


class _Crops(CalibrationDataReader):  # type: ignore[misc]
    """What the activations of the network look like."""

    def __init__(self) -> None:
        self._crops = self._cut()

    def _cut(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        for path in sorted(BOARDS.glob("*.png"))[:3]:
            image = load_image(path)
            for top in range(0, 640, 160):
                crop = image[top : top + 160, 160:320, ::-1].astype(np.float32) / 255
                yield {"image": np.ascontiguousarray(crop.transpose(2, 0, 1)[None])}

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._crops, None)


def make_detector(folder: Path) -> Path:
    """Write ``FOLDER/det.onnx``, in INT8, and ``det.json``; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    whole, network = folder / "whole.onnx", folder / "det.onnx"
    quant_pre_process(SHIPPED / "model.onnx", whole, skip_symbolic_shape=True)
    quantize_static(
        whole,
        network,
        _Crops(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        reduce_range=True,  # else x86 processors without VNNI compute something else
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    whole.unlink()
    config: dict[str, Any] = json.loads((SHIPPED / "model.json").read_text())
    config |= {"size": [SIDE, SIDE], "overlap": OVERLAP}
    network.with_suffix(".json").write_text(json.dumps(config))
    return network


def retrained(network: Path, target: Path, seed: int) -> Path:
    """Write the network with one weight in ten moved by a step, as another training would."""
    chance = np.random.default_rng(seed)
    model = onnx.load(network)
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.int8 and weights.ndim > 1:
            steps = chance.choice(np.array([-1, 0, 1]), weights.shape, p=[0.05, 0.9, 0.05])
            moved = np.clip(weights + steps, -64, 63).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, target)
    target.with_suffix(".json").write_text(network.with_suffix(".json").read_text())
    return target


def cut_part(target: Path, x: int, y: int, side: int = SIDE) -> Path:
    """Write a square of a real board with several defects; ``x`` and ``y`` are its corner."""
    image = load_image(BOARDS / "12100023.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encode_image(np.ascontiguousarray(image[y : y + side, x : x + side])))
    return target
