"""Rewrites that make a program smaller and leave its answers as they are, but for rounding.

::

    program = load_program(Path("ppocrv4_det.pdmodel"))
    print(simplify(program).removed)
    save_program(program, Path("small/ppocrv4_det.pdmodel"))

Each rewrite is a function that changes a program wherever it applies and says how often it did. A
new one is such a function and one line in ``REWRITES``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from compress.program import Program
from compress.simplify.convolutions import (
    fold_batch_norms,
    fold_into_convolutions,
    fold_out_of_convolutions,
    merge_pointwise,
)
from compress.simplify.gates import merge_gate_residuals
from compress.simplify.idle import drop_assigns, drop_dead, drop_dropouts, drop_identities
from compress.simplify.scales import lift_over_relu, merge_scales, sink_below_pools, to_scales
from compress.simplify.shapes import absorb_transposes, fix_reshapes, fold_constants
from models.errors import ModelError

__all__ = ["REWRITES", "Simplified", "simplify"]

Rewrite = Callable[[Program], int]

REWRITES: tuple[Rewrite, ...] = (
    drop_dropouts,
    drop_assigns,
    drop_identities,
    fix_reshapes,
    fold_constants,
    absorb_transposes,
    to_scales,
    merge_scales,
    fold_batch_norms,
    fold_out_of_convolutions,
    lift_over_relu,
    fold_into_convolutions,
    sink_below_pools,
    merge_pointwise,
    merge_gate_residuals,
    drop_dead,
)
"""In the order in which they are tried, again and again until none applies."""


@dataclass(frozen=True)
class Simplified:
    """What was done.

    Attributes
    ----------
    before, after
        How many operators of each type.
    weights_before, weights_after
        How many numbers the parameters hold.
    times
        How often each rewrite applied, by its name.
    removed
        How many operators each rewrite took out, less those that it put in, by its name.
    """

    before: Counter[str]
    after: Counter[str]
    weights_before: int
    weights_after: int
    times: Counter[str]
    removed: Counter[str]


def simplify(program: Program) -> Simplified:
    """Apply every rewrite, in place, until none applies.

    Raises
    ------
    ModelError
        The program is quantised: its scales would no longer be those of its weights.
    """
    for op in program.ops:
        if op.get("quantization_type") or op.type.startswith(("fake_", "quantize", "dequantize")):
            raise ModelError(f"{op}: is quantised already: simplify the FP32 program before")
    before, weights = _operators(program), _weights(program)
    times: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for _ in range(len(program.ops)):
        done = sum(times.values())
        for rewrite in REWRITES:
            operators = len(program.ops)
            times[rewrite.__name__] += rewrite(program)
            removed[rewrite.__name__] += operators - len(program.ops)
        if sum(times.values()) == done:
            break
    return Simplified(
        before,
        _operators(program),
        weights,
        _weights(program),
        +times,
        Counter({k: n for k, n in removed.items() if n}),
    )


def _operators(program: Program) -> Counter[str]:
    return Counter(op.type for op in program.ops)


def _weights(program: Program) -> int:
    return sum(value.size for value in program.parameters.values())
