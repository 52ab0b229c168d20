"""Attention blocks with a residual: one pass over the picture instead of two."""

from __future__ import annotations

from compress.program import Op, Program
from compress.simplify.affine import make_scale

__all__ = ["merge_gate_residuals"]


def merge_gate_residuals(program: Program) -> int:
    """``x + x * gate`` becomes ``x * (1 + gate)``, where the gate is one number for each channel.

    The blocks of PP-OCRv4's detector neck (RSE) end so; the sum on the gate costs next to nothing.
    """
    count = 0
    for add in program.of_type("elementwise_add"):
        for residual, product in (
            (add.input("X"), add.input("Y")),
            (add.input("Y"), add.input("X")),
        ):
            multiply = program.maker(product)
            if multiply is None or not _fits(program, multiply, product, residual):
                continue
            gate = multiply.input("Y")
            more = program.new_variable(gate, f"{gate}.more")
            plus = Op("scale", {}, {"Out": [more]})
            make_scale(plus, gate, 1.0, 1.0)
            program.insert(plus, after=multiply)
            # The product keeps its attributes and takes the place of the sum.
            add.type, add.attributes = multiply.type, multiply.attributes
            program.rewire(add, "X", [residual])
            program.rewire(add, "Y", [more])
            program.remove(multiply)
            count += 1
            break
    return count


def _fits(program: Program, multiply: Op, product: str, residual: str) -> bool:
    if multiply.type != "elementwise_mul":
        return False
    if program.only_taker(product) is None or multiply.input("X") != residual:
        return False
    picture, gate = program.shape(residual) or (), program.shape(multiply.input("Y")) or ()
    return (
        len(picture) == len(gate) == 4
        and tuple(gate[2:]) == (1, 1)
        and multiply.input("Y") not in program.parameters
        and tuple(picture[2:]) != (1, 1)
    )
