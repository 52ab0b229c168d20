"""A detector's weights on disk, pruned to a share of its FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compress.prune.ppyoloe import layout_of, narrowed, ratio_for
from models.ppyoloe.train.export import save_pdparams
from models.ppyoloe.train.weights import load_pdparams

__all__ = ["PrunedDetector", "prune_detector"]

SIDE = 640
"""Pixels of the picture that FLOPs are counted on."""


@dataclass(frozen=True)
class PrunedDetector:
    """What pruning left.

    Attributes
    ----------
    ratio
        Share of the channels that went.
    flops_before, flops_after
        Multiplications of a picture of 640x640, as exported.
    parameters_before, parameters_after
        Numbers in the weights, as trained.
    """

    ratio: float
    flops_before: int
    flops_after: int
    parameters_before: int
    parameters_after: int


def prune_detector(weights: Path, out: Path, flops: float) -> PrunedDetector:
    """Write the weights without the channels that matter least.

    Parameters
    ----------
    weights, out
        ``.pdparams``.
    flops
        Share of the FLOPs to keep, 0 to 1.

    Raises
    ------
    InputError
        The weights cannot be read.
    ModelError
        They are not those of a PP-YOLOE training.
    """
    arrays = load_pdparams(weights)
    layout = layout_of(arrays)
    ratio = ratio_for(arrays, layout, flops, SIDE)
    small = narrowed(arrays, layout, {group.name: ratio for group in layout.groups})
    save_pdparams(out, small)
    return PrunedDetector(
        ratio,
        layout.flops(arrays, SIDE),
        layout.flops(small, SIDE),
        sum(value.size for value in arrays.values()),
        sum(value.size for value in small.values()),
    )
