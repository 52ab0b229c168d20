"""Makes ``edge/box/selftest.onnx``: ``python tests/edge/box/selftest_model.py FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def make_model() -> onnx.ModelProto:
    """A convolution and an INT8 product of its inputs; opset 13, which all runtimes read."""
    named = (
        ("image", TensorProto.FLOAT, [1, 3, 9, 9]),
        ("kernel", TensorProto.FLOAT, [8, 3, 3, 3]),
        ("left", TensorProto.UINT8, [16, 64]),
        ("right", TensorProto.INT8, [64, 32]),
    )
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["conv"]),
            helper.make_node("MatMulInteger", ["left", "right"], ["product"]),
        ],
        "selftest",
        [helper.make_tensor_value_info(*each) for each in named],
        [
            helper.make_tensor_value_info("conv", TensorProto.FLOAT, [1, 8, 7, 7]),
            helper.make_tensor_value_info("product", TensorProto.INT32, [16, 32]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    model.producer_name = "lineguard"
    return model


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(make_model().SerializeToString())
