"""Shapes and constants that are known before the program runs."""

from __future__ import annotations

import numpy as np

from compress.program import Op, Program
from edge.engines import Array

__all__ = ["absorb_transposes", "fix_reshapes", "fold_constants"]


def fix_reshapes(program: Program) -> int:
    """Reshapes whose sizes are computed, all but at most one of them constants.

    The one that is not a constant is what is left over, -1: a reshape keeps the number of elements.
    """
    count = 0
    for op in program.of_type("reshape2"):
        tensors = op.inputs.get("ShapeTensor", [])
        if not tensors or op.inputs.get("Shape"):
            continue
        sizes = [_constant(program, name) for name in tensors]
        unknown = [at for at, size in enumerate(sizes) if size is None]
        if len(unknown) > 1 or (unknown and -1 in sizes):
            continue
        op.put(shape=[-1 if size is None else size for size in sizes])
        program.rewire(op, "ShapeTensor", [])
        del op.inputs["ShapeTensor"]
        count += 1
    return count


def fold_constants(program: Program) -> int:
    """Operators that move a parameter's elements about, and nothing else."""
    count = 0
    for op in program.of_type("reshape2", "transpose2", "unsqueeze2", "squeeze2"):
        source, out = op.input("X"), op.output("Out")
        value = program.parameters.get(source)
        if value is None or len(op.reads()) != 1 or out in program.fetches:
            continue
        new = _moved(op, value)
        if new is None:
            continue
        name = program.new_parameter(new, source)
        for taker in program.takers(out):
            for slot, names in taker.inputs.items():
                program.rewire(taker, slot, [name if each == out else each for each in names])
        program.remove(op)
        count += 1
    return count


def absorb_transposes(program: Program) -> int:
    """A transpose of the last two dimensions in front of a product becomes the product's own."""
    count = 0
    for op in program.of_type("transpose2"):
        axes = list(op.get("axis", []))
        rank = len(axes)
        out = op.output("Out")
        product = program.only_taker(out)
        if rank < 2 or axes != [*range(rank - 2), rank - 1, rank - 2]:
            continue
        if product is None or product.type != "matmul_v2" or op.input("X") in program.parameters:
            continue
        slot = "X" if product.input("X") == out else "Y"
        flag = f"trans_{slot.lower()}"
        product.put(**{flag: not product.get(flag, False)})
        program.rewire(product, slot, [op.input("X")])
        program.remove(op)
        count += 1
    return count


def _constant(program: Program, name: str) -> int | None:
    """The one integer that a variable holds, if it is known."""
    maker = program.maker(name)
    if maker is None or maker.type != "fill_constant" or maker.reads():
        return None
    value = maker.get("value", 0.0)
    return int(value) if list(maker.get("shape", [])) == [1] else None


def _moved(op: Op, value: Array) -> Array | None:
    if op.type == "transpose2":
        return value.transpose(op.get("axis"))
    if op.type == "squeeze2":
        axes = op.get("axes", [])
        return value.squeeze(tuple(axes) if axes else None)
    if op.type == "unsqueeze2":
        for axis in op.get("axes", []):
            value = np.expand_dims(value, axis)
        return value
    shape = op.get("shape", [])
    if any(size == 0 and at >= value.ndim for at, size in enumerate(shape)):
        return None
    return value.reshape([value.shape[at] if size == 0 else size for at, size in enumerate(shape)])
