"""The sizes of PP-YOLOE: one network, wider or narrower, deeper or shallower."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import ModelError

__all__ = ["VARIANTS", "Variant", "variant_named"]


@dataclass(frozen=True)
class Variant:
    """Multipliers of the full network (PP-YOLOE paper, table 1: l is 1.0 and 1.0).

    Attributes
    ----------
    depth
        Of the number of blocks in a stage.
    width
        Of the channels.
    neck
        Channels of the maps that the head sees, coarsest first, at width 1.
    repvgg_head
        The head mixes channels with RepVGG blocks in place of 1x1 convolutions.
    """

    depth: float
    width: float
    neck: tuple[int, int, int] = (768, 384, 192)
    repvgg_head: bool = False


VARIANTS = {
    "n": Variant(0.33, 0.1875, (384, 384, 384)),
    "xs": Variant(0.33, 0.375, (384, 384, 384)),
    "t": Variant(0.33, 0.375, (384, 384, 384), repvgg_head=True),
    "s": Variant(0.33, 0.50),
    "m": Variant(0.67, 0.75),
    "l": Variant(1.0, 1.0),
    "x": Variant(1.33, 1.25),
}
"""PaddleDetection's t to x, and two of ours: xs is t with 1x1 convolutions in its head, which
halves the head's work; n is half as wide, for A53-class boards."""


def variant_named(name: str) -> Variant:
    """The variant of that name.

    Raises
    ------
    ModelError
        There is none.
    """
    if name not in VARIANTS:
        raise ModelError(f"variant {name}: there is none: use {', '.join(VARIANTS)}")
    return VARIANTS[name]
