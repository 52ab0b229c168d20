"""Type: text as a mask of ink coverage."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.errors import InputError

__all__ = ["Style", "margin", "text_mask"]

Style = Literal["plain", "sans", "mono", "serif"]

FILES = {
    "sans": "NotoSansCJKsc-Regular.otf",
    "mono": "NotoSansMonoCJKsc-Regular.otf",
    "serif": "NotoSerifCJKsc-Regular.otf",
}
"""Within mplfonts; ``plain`` is Pillow's own Latin face."""


def margin(height: float) -> int:
    """Pixels of bare ground around ink of that height that a labeller would count to the line."""
    return max(2, round(0.12 * height))


@lru_cache(maxsize=64)
def _font(style: Style, size: int) -> ImageFont.FreeTypeFont:
    if style == "plain":
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise InputError("pillow: built without FreeType: reinstall it from its wheel")
        return font
    spec = importlib.util.find_spec("mplfonts")  # found, not imported: it would pull in matplotlib
    if spec is None or not spec.submodule_search_locations:
        raise InputError("mplfonts: missing, and with it the line's type: install lineguard[line]")
    path = Path(next(iter(spec.submodule_search_locations))) / "fonts" / FILES[style]
    try:
        return ImageFont.truetype(path, size)
    except OSError as error:
        raise InputError(f"{path}: no such typeface: install lineguard[line] again") from error


@lru_cache(maxsize=128)  # those of sound parts come again; those of faults hardly ever
def text_mask(style: Style, size: int, text: str, tracking: int = 0) -> NDArray[np.uint8]:
    """One line of text.

    Parameters
    ----------
    size
        Of the type, in pixels; capitals are some 0.73 of it high.
    tracking
        Pixels put between the characters.

    Returns
    -------
    ``(H, W) uint8``, read-only: 0 is bare ground, 255 full ink; cut to the ink and its margin.

    Raises
    ------
    InputError
        The typeface is not installed.
    """
    font = _font(style, size)
    pieces = list(text) if tracking else [text]
    width = int(font.getlength(text)) + len(text) * tracking + 2 * size
    page = Image.new("L", (width, 2 * size))
    draw = ImageDraw.Draw(page)
    x = float(size // 2)
    for piece in pieces:
        draw.text((x, size // 4), piece, fill=255, font=font)
        x += font.getlength(piece) + tracking
    ink = np.asarray(page)
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    edge = margin(rows[-1] + 1 - rows[0])
    mask = np.pad(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], edge)
    mask.setflags(write=False)
    return mask
