"""A detector without training: an ONNX network whose outputs follow from the picture."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.ppyoloe.config import DetectorConfig, sidecar, write_config

SpotsMaker = Callable[..., Path]
"""Writes the network and its configuration somewhere; gives the model file."""


def _network(path: Path, size: tuple[int, int] | None, classes: int = 3) -> None:
    """Scores are the mean red, green and blue of a cell; boxes reach one stride each way.

    So a bright, aligned cell of 8x8 pixels is a defect of 16x16 around it.
    """
    import onnx  # takes half a second, which most tests do without
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node(
            "AveragePool", ["image"], [f"pool{s}"], kernel_shape=[s, s], strides=[s, s]
        )
        for s in (32, 16, 8)
    ]
    nodes += [helper.make_node("Reshape", [f"pool{s}", "flat"], [f"level{s}"]) for s in (32, 16, 8)]
    nodes += [
        helper.make_node("Concat", ["level32", "level16", "level8"], ["all"], axis=2),
        helper.make_node("Slice", ["all", "from", "to", "axis"], ["scores"]),
        helper.make_node("ReduceMax", ["scores"], ["top"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["top", "zeros"], ["nothing"]),
        helper.make_node("Add", ["nothing", "ones"], ["distances"]),
    ]
    constants: dict[str, np.ndarray[Any, Any]] = {
        "flat": np.array([1, 3, -1], np.int64),
        "from": np.array([0], np.int64),
        "to": np.array([classes], np.int64),
        "axis": np.array([1], np.int64),
        "zeros": np.zeros((1, 4, 1), np.float32),
        "ones": np.ones((1, 4, 1), np.float32),
    }
    sides: list[Any] = [size[1], size[0]] if size else ["height", "width"]
    graph = helper.make_graph(
        nodes,
        "spots",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *sides])],
        [
            helper.make_tensor_value_info("distances", TensorProto.FLOAT, [1, 4, "anchors"]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes, "anchors"]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def spots(tmp_path_factory: pytest.TempPathFactory) -> SpotsMaker:
    """Make ``FOLDER/spots.onnx`` and its JSON: labels red, green, blue; keys as given."""
    made = tmp_path_factory.mktemp("spots")

    def make(
        folder: Path,
        *,
        fixed: tuple[int, int] | None = None,
        classes: int = 3,
        name: str = "spots",
        **keys: object,
    ) -> Path:
        kept = made / f"{fixed}-{classes}.onnx"
        if not kept.exists():
            _network(kept, fixed, classes)
        path = folder / f"{name}.onnx"
        shutil.copy(kept, path)
        said: dict[str, object] = {"variant": "t", "labels": ("red", "green", "blue")}
        said |= {"size": (128, 96), "fit": "tile", "overlap": 32, **keys}
        write_config(sidecar(path), DetectorConfig.model_validate(said))
        return path

    return make
