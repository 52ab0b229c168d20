"""A trained network as the files that the box needs: ONNX, and what goes with it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import paddle
from onnx import TensorProto, helper, numpy_helper

from models.atomic import write_atomic
from models.errors import ModelError
from models.ppyoloe.config import DetectorConfig, sidecar, write_config
from models.ppyoloe.detector import INPUT
from models.ppyoloe.network import PPYOLOE, Deployed, fuse
from models.ppyoloe.train.weights import Arrays

__all__ = ["OUTPUTS", "export_onnx", "export_paddle", "save_pdparams", "store_half"]

OUTPUTS = ("distances", "scores")
"""In this order."""

OPSET = 13
"""The first that ONNX Runtime quantises per channel."""

HALF_FROM = 256
"""Values; smaller constants (shapes, shifts) stay as they are."""


def export_paddle(network: PPYOLOE, stem: Path) -> None:
    """Write ``stem.pdmodel`` and ``stem.pdiparams``, any height and width, no NMS.

    ``network`` is fused by this, and good for inference alone afterwards.
    """
    fuse(network)
    deployed = Deployed(network)
    deployed.eval()
    # The network has no branch that depends on values: plain tracing is enough.
    own = "models.ppyoloe.network"
    paddle.jit.ignore_module([m for name, m in sys.modules.items() if name.startswith(own)])
    spec = paddle.static.InputSpec([1, 3, -1, -1], "float32", INPUT)
    with _quiet():
        paddle.jit.save(deployed, str(stem), input_spec=[spec])


def export_onnx(network: PPYOLOE, path: Path, config: DetectorConfig) -> None:
    """Write the network as ONNX, and its configuration beside it.

    ``network`` is fused by this, and good for inference alone afterwards. Weights are stored in
    half precision and computed with in FP32: half the file, and some 1e-4 off in the scores.

    Raises
    ------
    ModelError
        The converter failed.
    StorageError
        The files cannot be written.
    """
    import paddle2onnx  # takes a second, and only this needs it

    with tempfile.TemporaryDirectory() as scratch:
        stem = Path(scratch) / "network"
        export_paddle(network, stem)
        try:
            with _quiet():
                data = paddle2onnx.export(
                    f"{stem}.pdmodel", f"{stem}.pdiparams", opset_version=OPSET
                )
            model = onnx.load_model_from_string(data)
            _rename_outputs(model)
            store_half(model)
            onnx.checker.check_model(model)
        except Exception as error:  # the converter raises whatever it likes
            raise ModelError(f"{path}: cannot be converted to ONNX ({error})") from error
    write_atomic(path, model.SerializeToString(deterministic=True))
    write_config(sidecar(path), config)


def save_pdparams(path: Path, arrays: Arrays) -> None:
    """Write weights as PaddleDetection does, in half precision, to train or compress from."""
    half = {name: value.astype(np.float16) for name, value in arrays.items()}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "weights.pdparams"
        paddle.save({name: paddle.to_tensor(value) for name, value in half.items()}, str(file))
        write_atomic(path, file.read_bytes())


def _rename_outputs(model: onnx.ModelProto) -> None:
    """Call the outputs by their names; the converter numbers them."""
    names = {o.name: new for o, new in zip(model.graph.output, OUTPUTS, strict=True)}
    for output in model.graph.output:
        output.name = names[output.name]
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def store_half(model: onnx.ModelProto) -> None:
    """Keep large float32 constants as float16 that is cast when the file is opened, in place.

    The engine folds the casts away then: it computes in float32, as fast as before.
    """
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Constant" or node.attribute[0].name != "value":
            nodes.append(node)
            continue
        tensor = node.attribute[0].t
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < HALF_FROM:
            nodes.append(node)
            continue
        name = node.output[0]
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        nodes.append(helper.make_node("Constant", [], [f"{name}.half"], value=half))
        nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what native code prints of its progress off the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        for number, old in zip((1, 2), kept, strict=True):
            os.dup2(old, number)
            os.close(old)
