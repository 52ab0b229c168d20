"""Small ONNX networks, what they answer, and what ONNX Runtime really computes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

Feeds = dict[str, np.ndarray[Any, Any]]


class Net:
    """Puts a small model together, one node after the other, on an input ``x``."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray[Any, Any]] = {}
        self.last = "x"

    def weight(self, value: Any, kind: str = "w") -> str:
        name = f"{kind}{sum(each.startswith(kind) for each in self.weights)}"
        self.weights[name] = np.asarray(value, np.float32)
        return name

    def add(self, kind: str, *taken: str, **given: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(taken), [f"t{len(self.nodes)}"], **given))
        self.last = self.nodes[-1].output[0]
        return self.last

    def conv(self, made: int, taken: int, size: int = 1, group: int = 1) -> str:
        weights = self.weight(self.rng.standard_normal((made, taken // group, size, size)))
        bias = self.weight(self.rng.standard_normal(made), "b")
        return self.add(
            "Conv", self.last, weights, bias, group=group, pads=[size // 2] * 4,
        )  # fmt: skip

    def hard_swish(self) -> str:
        return self.add("HardSwish", self.last)

    def save(self, path: Path) -> Path:
        float32 = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes, "net",
            [helper.make_tensor_value_info("x", float32, ["n", 3, "h", "w"])],
            [helper.make_tensor_value_info(self.last, float32, ["n", "c", "h", "w"])],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 14)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
        return path


def blocks(affine: tuple[float, float] = (0.7, -0.45)) -> Net:
    """What PP-OCRv4 is made of: convolutions, hard swish, a scale and a shift, a residual."""
    net = Net()
    net.conv(16, 3, 3)
    net.hard_swish()
    scale, shift = net.weight(affine[0], "s"), net.weight(affine[1], "s")
    kept = net.add("Add", net.add("Mul", net.last, scale), shift)
    net.conv(16, 16, 3, group=16)
    net.add("Add", kept, net.hard_swish())
    net.conv(8, 16)
    return net


def noise(count: int = 4, channels: int = 3) -> list[Feeds]:
    rng = np.random.default_rng(7)
    return [
        {"x": rng.standard_normal((1, channels, 24, 32)).astype(np.float32)} for _ in range(count)
    ]


def answers(path: Path, feeds: list[Feeds], *, plain: bool = False) -> np.ndarray[Any, Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if plain:  # each operator by itself, as the file says
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, each)[0] for each in feeds])


def signal(reference: Any, other: Any) -> float:
    """Decibels of signal over noise."""
    noise = max(float(np.square(reference - other).sum()), 1e-30)
    return float(10 * np.log10(np.square(reference).sum() / noise))


def executed(path: Path, feeds: Mapping[str, Any]) -> Counter[str]:
    """Operators that the engine really runs, after all its own rewrites."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    made = onnx.load(options.optimized_model_filepath)
    return Counter(node.op_type for node in made.graph.node)
