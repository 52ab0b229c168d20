"""Operators that do nothing in an inference, and what nobody takes."""

from __future__ import annotations

from compress.program import Program
from compress.simplify.affine import affine_of, make_scale

__all__ = ["drop_assigns", "drop_dead", "drop_dropouts", "drop_identities"]


def drop_dropouts(program: Program) -> int:
    """Dropout in an inference passes on what it gets, or scales it by what it keeps."""
    count = 0
    for op in program.of_type("dropout"):
        if op.get("dropout_implementation", "downgrade_in_infer") == "upscale_in_train":
            count += program.bypass(op, "X", "Out")
            continue
        source, out = op.input("X"), op.output("Out")
        op.outputs = {"Out": [out]}
        make_scale(op, source, 1.0 - float(op.get("dropout_prob", 0.5)), 0.0)
        program.rewire(op, "X", [source])
        count += 1
    return count


def drop_assigns(program: Program) -> int:
    """Copies."""
    return sum(program.bypass(op, "X", "Out") for op in program.of_type("assign"))


def drop_identities(program: Program) -> int:
    """Affine maps that change nothing."""
    count = 0
    for op in program.of_type("scale", "elementwise_add", "elementwise_mul"):
        found = affine_of(program, op)
        if found is None or not (found.multiplier == 1).all() or found.offset.any():
            continue
        slot = "X" if op.input("X") == found.source else "Y"
        count += program.bypass(op, slot, "Out")
    return count


def drop_dead(program: Program) -> int:
    """Operators whose results reach no output, and variables and parameters that none names."""
    wanted: set[str] = set()
    kept = []
    for op in reversed(program.ops):
        if op.type in ("feed", "fetch") or wanted.intersection(op.makes()):
            wanted.update(op.reads())
            kept.append(op)
    dead = [op for op in program.ops if op not in kept]
    program.remove(*dead)
    named = {name for op in program.ops for name in (*op.reads(), *op.makes())}
    program.drop([name for name in program.variables if name not in named])
    return len(dead)
