"""A cable marker, close up: one short code on a sleeve or a plate, either way up."""

from __future__ import annotations

import cv2
import numpy as np

from tools.line import words
from tools.line.effects import (
    Image,
    Scene,
    backdrop,
    glare,
    jittered,
    photograph,
    place,
    shadow,
    sheet,
)
from tools.line.fonts import Style, text_mask
from tools.line.printing import stamp, through
from tools.line.world import Drawn, Job

__all__ = ["FAULTS", "SIZE", "draw", "zone"]

SIZE = (320, 128)
"""Width and height of a frame, unless another is asked for."""

FAULTS = words.MARKER_FAULTS

SLEEVE, PLATE = (226, 228, 228), (44, 208, 232)
"""BGR of white heat-shrink sleeve and of yellow plate."""

WIRES = ((40, 40, 42), (52, 44, 148), (122, 70, 34), (120, 124, 126))
"""BGR of cables: black, red, blue, grey."""


REACH = (152, 44)
"""Half the zone, x and y, in a frame of ``SIZE``: the longest code, aslant and off the middle."""


def zone(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the print is, xyxy."""
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    rx, ry = (scale * r for r in REACH)
    x, y = size[0] / 2, size[1] / 2
    return (int(x - rx), int(y - ry), round(x + rx), round(y + ry))


def _blank(line: Scene, sleeve: bool, width: int, height: int, rng: np.random.Generator) -> Image:
    """An empty label, flat: a round sleeve is shaded as a cylinder."""
    face = sheet(line, height, width, SLEEVE if sleeve else PLATE, rng)
    if sleeve:
        across = np.linspace(-1, 1, height)[:, None]
        shade = np.clip(1.04 - 0.42 * (across - 0.12) ** 2 - 0.12 * across**8, 0.4, 1.08)
        face = np.clip(face * shade[:, :, None], 0, 255).astype(np.uint8)
    else:
        edge = max(2, height // 30)
        for strip in (face[:edge], face[-edge:], face[:, :edge], face[:, -edge:]):
            strip[:] = strip // 2 + strip // 4
    return face


def draw(
    line: Scene, job: Job, fault: str | None, size: tuple[int, int], rng: np.random.Generator
) -> Drawn:
    """One marker.

    Returns
    -------
    The picture, its code if it bears one; no defects.
    """
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    sleeve = bool(rng.random() < 0.5)
    width, height = (round(scale * n) for n in rng.uniform([268, 84], [292, 96]))
    face = _blank(line, sleeve, width, height, rng)
    lines = []
    for text in words.marker(job, fault, rng):
        style: Style = ("mono", "plain", "sans")[rng.integers(3)]
        tracking = round(scale * rng.integers(0, 5))
        mask = text_mask(style, round(scale * rng.integers(48, 57)), text.text, tracking)
        if mask.shape[1] > 0.94 * width:
            mask = text_mask(style, round(scale * 40), text.text, 0)
        x = (width - mask.shape[1]) * rng.uniform(0.35, 0.65)
        y = (height - mask.shape[0]) * rng.uniform(0.44, 0.56)
        lines.append(stamp(face, mask, (x, y), (40, 36, 36), text, rng))
    if rng.random() < 0.6:
        where = rng.uniform(0.1, 0.9) * width, height * (0.3 if sleeve else rng.uniform(0.1, 0.9))
        spread = scale * rng.uniform(60, 160), height * rng.uniform(0.4, 1.2)
        glare(face, where, spread, int(rng.integers(12, 40)))

    frame = backdrop(line, rng)
    centre = (
        size[0] / 2 + scale * rng.uniform(-6, 6),
        size[1] / 2 + scale * rng.uniform(-3, 3),
    )
    degrees = rng.uniform(-3, 3)
    if sleeve:  # the cable comes out at both ends
        reach = 2.0 * max(size)
        ends = jittered(centre, (reach, 0.6 * height), degrees, 0.0, rng)
        wire = WIRES[rng.integers(len(WIRES))]
        cv2.fillConvexPoly(frame, np.rint(ends).astype(np.int32), wire, cv2.LINE_AA)
    upside_down = rng.random() < 0.5
    quad = jittered(centre, (width, height), degrees + 180 * upside_down, 0.03, rng)
    shadow(frame, quad + np.float32(2 * scale), 5 * scale, 0.5)
    across = place(frame, face, quad)
    return photograph(frame, line, rng, (0.6 * scale, 1.1 * scale)), through(lines, across), ()
