"""An ONNX graph as the quantiser sees it: who makes, who takes, and what is constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = ["Graph", "attributes", "drop_dead", "store_half"]

HALF_FROM = 4096
"""Numbers of a constant from which on its size is seen in the file."""


class Graph:
    """A view of a model; look again, with a new one, after nodes have gone or come.

    Parameters
    ----------
    model
        Read, and changed by :meth:`add`.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self._weights = {each.name: each for each in model.graph.initializer}
        self._makers = {name: node for node in self.nodes for name in node.output}
        self._takers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._takers.setdefault(name, []).append(node)
        self.outputs = {each.name for each in model.graph.output}

    def maker(self, name: str) -> onnx.NodeProto | None:
        """Which node makes a tensor; ``None`` for inputs and weights."""
        return self._makers.get(name)

    def takers(self, name: str) -> list[onnx.NodeProto]:
        """Which nodes take a tensor."""
        return self._takers.get(name, [])

    def only_taker(self, name: str) -> onnx.NodeProto | None:
        """The node that alone takes a tensor that is no output."""
        takers = self.takers(name)
        return takers[0] if len(takers) == 1 and name not in self.outputs else None

    def is_weight(self, name: str) -> bool:
        """Whether it is a constant."""
        return name in self._weights

    def weight(self, name: str) -> NDArray[Any]:
        """The value of a constant."""
        return np.asarray(numpy_helper.to_array(self._weights[name]))

    def scalar(self, node: onnx.NodeProto) -> float | None:
        """The number that an operator of two operands has as one of them."""
        for name in node.input:
            if self.is_weight(name) and self.weight(name).size == 1:
                return float(self.weight(name).reshape(()))
        return None

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """Inputs that are not constant."""
        return [name for name in node.input if name and not self.is_weight(name)]

    def add(self, name: str, value: NDArray[Any]) -> str:
        """Put in a constant; gives its name."""
        tensor = numpy_helper.from_array(value, name)
        self.model.graph.initializer.append(tensor)
        self._weights[name] = tensor
        return name


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Values of a node's attributes by name."""
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def drop_dead(model: onnx.ModelProto) -> None:
    """Take out nodes and constants that no output needs."""
    wanted = {each.name for each in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    constants = [each for each in model.graph.initializer if each.name in wanted]
    del model.graph.node[:]
    model.graph.node.extend(reversed(kept))
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)


def store_half(model: onnx.ModelProto) -> None:
    """Keep large constants of float32 as float16 that is cast when the file is opened, in place.

    The engine folds the casts away then: it computes in float32, as fast as before.
    """
    casts = []
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < HALF_FROM:
            continue
        name, half = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
