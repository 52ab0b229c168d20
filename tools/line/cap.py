"""A bottle cap or can bottom: one line of ink-jet dots at a known place."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.line import words
from tools.line.dots import dot_mask
from tools.line.effects import Image, Scene, around, backdrop, glare, photograph, shadow
from tools.line.printing import stamp, through
from tools.line.world import Drawn, Job

__all__ = ["FAULTS", "SIZE", "draw", "zone"]

SIZE = (640, 480)
"""Width and height of a frame, unless another is asked for."""

FAULTS = words.CAP_FAULTS

CAPS: tuple[tuple[tuple[int, int, int], tuple[int, int, int], bool], ...] = (
    ((186, 188, 190), (34, 30, 30), True),
    ((212, 215, 214), (60, 36, 30), False),
    ((128, 172, 196), (34, 32, 34), True),
    ((140, 66, 34), (236, 238, 238), False),
)
"""BGR of the cap, of its ink, and whether it is bare metal: can, white, gold, blue."""

PITCH = 3.0
"""Pixels from dot to dot in a frame of ``SIZE``."""

JITTER = 4.0
"""Pixels by which the guide rails let a cap be off, each way, in a frame of ``SIZE``."""

REACH = (19 * 6 * PITCH / 2 + 14, 8 * 1.2 * PITCH / 2 + 10)
"""Half the zone, x and y, in a frame of ``SIZE``: a full line with its jitter."""


def zone(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the print is, xyxy."""
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    x, y = size[0] / 2, size[1] / 2
    rx, ry = (scale * r for r in REACH)
    return (int(x - rx), int(y - ry), round(x + rx), round(y + ry))


@lru_cache(maxsize=8)
def _disc(look: int, diameter: int) -> tuple[Image, NDArray[np.uint8]]:
    """A blank cap seen from above, ``(diameter, diameter, 3)``, and the mask of its outline."""
    colour, _, metal = CAPS[look]
    rng = np.random.default_rng([look, diameter])
    y, x = np.mgrid[0:diameter, 0:diameter].astype(np.float32) / (diameter / 2) - 1
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    shade = np.ones_like(r)
    if metal:  # turned metal shines in two fans across the light
        shade += 0.10 * np.cos(2 * (angle - 0.9)) + 0.05 * np.cos(4 * angle + 1.0)
        rings = rng.normal(0, 0.012, size=diameter).astype(np.float32)
        shade += rings[np.minimum((r * diameter * 0.7).astype(int), diameter - 1)]
    else:
        shade += -0.10 * x - 0.08 * y
    for radius, depth in ((0.97, -0.30), (0.90, 0.16), (0.86, -0.16)):
        lit = 1.0 + 0.5 * np.cos(angle - 0.9 - (np.pi if depth < 0 else 0))
        shade += depth * lit * np.exp(-(((r - radius) / 0.018) ** 2))
    if not metal:
        shade += np.where(r > 0.93, 0.12 * np.sin(angle * 120), 0)  # the knurled rim
    disc = np.array(colour, np.float32) * shade[:, :, None]
    disc += rng.normal(0, 1.5, size=(diameter, diameter, 1))
    mask = np.where(r <= 0.995, 255, 0).astype(np.uint8)
    face = np.clip(disc, 0, 255).astype(np.uint8)
    face.setflags(write=False)
    mask.setflags(write=False)
    return face, mask


def draw(
    line: Scene, job: Job, fault: str | None, size: tuple[int, int], rng: np.random.Generator
) -> Drawn:
    """One cap.

    Returns
    -------
    The picture, its line of print if it has one; no defects.
    """
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    diameter = round(430 * scale)
    look = int(rng.integers(len(CAPS)))
    blank, mask = _disc(look, diameter)
    face = blank.copy()
    lines = []
    for text in words.cap(job, fault, rng):
        dots = dot_mask(text.text, PITCH * scale, rng)
        height, width = dots.shape
        at = ((diameter - width) / 2, (diameter - height) / 2)
        lines.append(stamp(face, dots, at, CAPS[look][1], text, rng))
    if rng.random() < 0.7:
        where = diameter * rng.uniform(0.15, 0.85, size=2)
        spread = diameter * rng.uniform(0.3, 0.6, size=2)
        glare(face, (where[0], where[1]), (spread[0], spread[1]), int(rng.integers(12, 40)))

    frame = backdrop(line, rng)
    off = scale * rng.uniform(-JITTER, JITTER, size=2)
    centre = (diameter / 2, diameter / 2)
    turn = np.asarray(cv2.getRotationMatrix2D(centre, rng.uniform(-1.0, 1.0), 1.0), np.float64)
    middle = off + np.array(size) / 2
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1) * diameter / 2
    shadow(frame, np.asarray(rim + middle + 4 * scale, np.float32), 8 * scale, 0.55)
    part, corner = around(frame, np.asarray(rim + middle, np.float32), 2)
    turn[:, 2] += middle - diameter / 2 - corner
    here = part.shape[1::-1]
    cv2.copyTo(cv2.warpAffine(face, turn, here), cv2.warpAffine(mask, turn, here), part)
    turn[:, 2] += corner
    across = np.vstack([turn, [0.0, 0.0, 1.0]])
    return photograph(frame, line, rng, (0.4 * scale, 0.65 * scale)), through(lines, across), ()
