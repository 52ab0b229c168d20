"""The network of PP-YOLOE, for the host alone: it needs paddle."""

from __future__ import annotations

from models.ppyoloe.network.ppyoloe import PPYOLOE, STRIDES, Deployed, fuse
from models.ppyoloe.network.variants import VARIANTS
from models.ppyoloe.network.widths import Widths, take_widths, widths_of

__all__ = [
    "PPYOLOE",
    "STRIDES",
    "VARIANTS",
    "Deployed",
    "Widths",
    "fuse",
    "take_widths",
    "widths_of",
]
