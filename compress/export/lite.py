"""A program as Paddle Lite's ``.nb``, for ARM or, to check it on the host, for x86."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Literal

from compress.export.children import convert_in_child
from compress.pdmodel import save_program
from compress.program import Program
from models.atomic import write_atomic

__all__ = ["NbTarget", "export_nb", "restore_for_lite"]

NbTarget = Literal["arm", "x86"]

_VERSION = slice(2, 18)
"""Where the version of opt stands in the head of a file, NUL-terminated."""

_SHADOWS = {
    "transpose2": "XShape",
    "reshape2": "XShape",
    "squeeze2": "XShape",
    "unsqueeze2": "XShape",
    "flatten_contiguous_range": "XShape",
    "dropout": "Mask",
}
"""Outputs that nobody reads, and without which opt 2.13 crashes without a word."""


def export_nb(program: Program, path: Path, target: NbTarget) -> None:
    """Write ``path``; the same program gives the same bytes.

    A file for ``arm`` holds for 32 and 64 bits, and runs with the Paddle Lite of the version that
    made it alone.

    Raises
    ------
    ModelError
        Paddle Lite has no such operator, dies of the model, or takes too long.
    StorageError
        The file cannot be written.
    """
    mended = copy.deepcopy(program)
    restore_for_lite(mended)
    with tempfile.TemporaryDirectory(prefix="lineguard-nb-") as scratch:
        model, made = Path(scratch) / "model.pdmodel", Path(scratch) / "made.nb"
        save_program(mended, model)
        question = {"to": target, "model": str(model), "out": str(made)}
        data = bytearray(convert_in_child(question, made, f"{path}: Paddle Lite's opt"))
    version = data[_VERSION].split(b"\0")[0]
    # What follows the name is whatever lay in opt's memory.
    data[_VERSION] = version.ljust(_VERSION.stop - _VERSION.start, b"\0")
    write_atomic(path, bytes(data))


def restore_for_lite(program: Program) -> None:
    """Put back, in place, what Paddle 2.6 leaves out and Paddle Lite 2.13 insists on."""
    for op in program.of_type("swish"):
        if op.get("beta") is None:
            op.put(beta=1.0)
    for op in program.of_type(*_SHADOWS):
        slot = _SHADOWS[op.type]
        if not op.outputs.get(slot):
            op.outputs[slot] = [program.new_variable(op.input("X"), f"{op.output('Out')}.shadow")]
