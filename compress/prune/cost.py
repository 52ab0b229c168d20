"""How much a program computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compress.program import Op, Program
from compress.prune.look import look
from edge.engines import Array

__all__ = ["Cost", "cost_of", "flops"]

_CONVOLUTIONS = ("conv2d", "depthwise_conv2d", "conv2d_transpose")
_PRODUCTS = ("matmul_v2", "matmul", "mul")


@dataclass(frozen=True)
class Cost:
    """At how many places of a picture each parameter is multiplied.

    Attributes
    ----------
    places
        By parameter: of an output of ``(N, O, H, W)`` this is H times W.
    others
        Multiplications of variables with each other, as in attention.
    """

    places: dict[str, int]
    others: int

    def flops(self, parameters: Mapping[str, Array]) -> int:
        """Multiplications of one picture, with parameters of these shapes."""
        return self.others + sum(parameters[n].size * count for n, count in self.places.items())


def flops(program: Program, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Multiplications of convolutions and matrix products, for inputs of these shapes.

    Half of what is called floating-point operations where additions count as well.
    """
    return cost_of(program, shapes).flops(program.parameters)


def cost_of(program: Program, shapes: Mapping[str, tuple[int, ...]]) -> Cost:
    """Run a program once, and look at the sizes of what its operators make.

    Raises
    ------
    EngineError
        It does not run on inputs of these shapes.
    """
    ops = program.of_type(*_CONVOLUTIONS, *_PRODUCTS)
    sizes = _sizes(program, shapes, [name for op in ops for name in _looked_at(op)])
    places: dict[str, int] = {}
    others = 0
    for op in ops:
        made, name = sizes[_looked_at(op)[0]], _parameter(op)
        if op.type == "conv2d_transpose":
            count = int(np.prod(sizes[op.input("Input")][2:]))
        elif op.type in _CONVOLUTIONS:
            count = int(np.prod(made[2:]))
        elif name in program.parameters:
            count = int(np.prod(made[:-1]))
        else:
            turned = op.get("trans_x") or op.get("transpose_X")
            others += int(np.prod(made)) * sizes[op.input("X")][-2 if turned else -1]
            continue
        places[name] = places.get(name, 0) + count
    return Cost(places, others)


def _looked_at(op: Op) -> tuple[str, str]:
    if op.type in _CONVOLUTIONS:
        return op.output("Output"), op.input("Input")
    return op.output("Out"), op.input("X")


def _parameter(op: Op) -> str:
    return op.input("Filter") if op.type in _CONVOLUTIONS else op.input("Y")


def _sizes(
    program: Program, shapes: Mapping[str, tuple[int, ...]], names: list[str]
) -> dict[str, tuple[int, ...]]:
    """Shapes of variables of one picture."""
    feeds = {
        spec.name: np.zeros((1, *shapes[spec.name][1:]), spec.dtype) for spec in program.inputs
    }
    wanted = sorted(set(names) - feeds.keys() - program.parameters.keys())
    (found,) = look(program, [feeds], wanted)
    sizes = {name: value.shape for name, value in found.items()}
    sizes |= {name: value.shape for name, value in program.parameters.items()}
    return sizes | {name: value.shape for name, value in feeds.items()}
