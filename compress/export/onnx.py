"""A program as ONNX, FP32."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from compress.export.children import convert_in_child
from compress.export.expectation import expectation
from compress.export.subpixel import subpixel
from compress.pdmodel import save_program
from compress.program import Program
from models.atomic import write_atomic
from models.errors import ModelError

__all__ = ["OPSET", "export_onnx"]

OPSET = 14
"""The first with ``HardSwish``; ONNX Runtime quantises per channel from 13."""


def export_onnx(program: Program, path: Path, *, rewrite: bool = False) -> None:
    """Write ``path``; inputs and outputs keep their names.

    Parameters
    ----------
    rewrite
        Put what ONNX Runtime computes faster in place of what the converter writes; the answers
        stay as they are but for rounding.

    Raises
    ------
    ModelError
        The converter has no such operator, dies of the model, or takes too long.
    StorageError
        The file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="lineguard-onnx-") as scratch:
        source, made = Path(scratch) / "model.pdmodel", Path(scratch) / "made.onnx"
        save_program(program, source)
        question = {"to": "onnx", "model": str(source), "out": str(made), "opset": str(OPSET)}
        data = convert_in_child(question, made, f"{path}: paddle2onnx")
    try:
        model = onnx.load_model_from_string(data)
        _name_outputs(model, program.fetches)
        _constants_to_initializers(model)
        if rewrite:
            subpixel(model)
            expectation(model)
        onnx.checker.check_model(model)
    except Exception as error:  # onnx's exceptions share no base but Exception
        raise ModelError(f"{path}: the converted model is not sound ({error})") from error
    write_atomic(path, model.SerializeToString(deterministic=True))


def _name_outputs(model: onnx.ModelProto, names: tuple[str, ...]) -> None:
    """Call the outputs as the program does."""
    new = {o.name: name for o, name in zip(model.graph.output, names, strict=True)}
    for output in model.graph.output:
        output.name = new[output.name]
    for node in model.graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]


def _constants_to_initializers(model: onnx.ModelProto) -> None:
    """Keep weights where quantisers look for them; the converter makes each a ``Constant``."""
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = node.attribute[0].t
            tensor.name = node.output[0]
            model.graph.initializer.append(tensor)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
