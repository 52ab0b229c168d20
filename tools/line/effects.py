"""The belt, the light and the camera: all that stands between a part and its picture.

What is costly (textures, noise) is made once per line and then cut from at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Image",
    "Scene",
    "around",
    "backdrop",
    "glare",
    "jittered",
    "photograph",
    "place",
    "scene",
    "shadow",
    "sheet",
]

Image = NDArray[np.uint8]
"""``(H, W, 3) uint8`` BGR."""

Points = NDArray[np.float32]
"""``(N, 2) float32`` x and y."""

SPARE = 192
"""Pixels by which textures are larger than the frame, so that cuts differ."""

BELTS = ((66, 84, 58), (58, 59, 60), (96, 78, 52), (70, 74, 78))
"""BGR of belts: green PVC, black rubber, blue food belt, grey."""

UNIT = 160
"""The value of ``Scene.light`` that leaves a pixel as it is."""


@dataclass(frozen=True)
class Scene:
    """One line as it stays from part to part; all arrays read-only.

    Attributes
    ----------
    belt
        ``(H, W + SPARE, 3) uint8``: belt between its rails, endless along x.
    light
        ``(H, W, 3) uint8``: gain, of which ``UNIT`` is 1.
    noise
        ``(H + SPARE, W + SPARE, 3) uint8``: the sensor's, around 128.
    paper
        ``(H + SPARE, W + SPARE, 3) uint8``: fibres, around 128.
    """

    belt: Image
    light: Image
    noise: Image
    paper: Image


def _cloud(rng: np.random.Generator, height: int, width: int, dy: int, dx: int) -> Points:
    """``(height, width) float32`` noise of unit strength, smooth over ``dy`` x ``dx`` pixels."""
    coarse = rng.normal(size=(height // dy + 2, width // dx + 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def _as_image(values: NDArray[Any]) -> Image:
    image: Image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    image.setflags(write=False)
    return image


def _belt(rng: np.random.Generator, width: int, height: int) -> Image:
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    weave = 3.5 * np.sin(x * 1.05) * np.sin(y * 0.95)
    scuffs = 1.6 * _cloud(rng, height, width, 1, 90) + 2.6 * _cloud(rng, height, width, 3, 220)
    blotches = 3.5 * _cloud(rng, height, width, 70, 70)
    grain = 2.5 * rng.normal(size=(height, width))
    belt = (
        np.array(BELTS[rng.integers(len(BELTS))], np.float32)
        + (weave + scuffs + blotches + grain).astype(np.float32)[:, :, None]
    )
    rail = max(4, round(0.035 * height))
    profile = 158 + 55 * np.sin(np.linspace(0.2, 2.9, rail))[:, None]
    metal = profile + 5 * _cloud(rng, rail, width, 1, 160) + rng.normal(0, 2, (rail, width))
    belt[:rail] = metal[:, :, None]
    belt[-rail:] = metal[::-1, :, None]
    for k in range(rail):  # the rails' shadow on the belt
        belt[[rail + k, -1 - rail - k]] *= 0.55 + 0.45 * k / rail
    return _as_image(belt)


@lru_cache(maxsize=16)  # as many cameras as a station may have: none builds it anew for each part
def scene(seed: int, width: int, height: int) -> Scene:
    """Build the line of that seed for frames of that size; a few are kept."""
    rng = np.random.default_rng([seed, width, height])
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cx, cy = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.25, 0.6)
    far = ((x - cx) ** 2 + (y - cy) ** 2) / (width**2 + height**2)
    warmth = np.array([0.97, 1.0, 1.02]) if rng.random() < 0.5 else np.array([1.01, 1.0, 0.98])
    light = UNIT * (1.06 - rng.uniform(0.45, 0.75) * far)[:, :, None] * warmth
    spare = (height + SPARE, width + SPARE)
    grey = rng.normal(0, 2.2, size=spare)[:, :, None] + rng.normal(0, 1.5, size=(*spare, 3))
    fibres = 1.6 * _cloud(rng, *spare, 1, 5) + 1.6 * _cloud(rng, *spare, 4, 1)
    fibres += 2.0 * _cloud(rng, *spare, 40, 40)
    return Scene(
        belt=_belt(rng, width + SPARE, height),
        light=_as_image(light),
        noise=_as_image(128 + grey),
        paper=_as_image(np.repeat(128 + fibres[:, :, None], 3, axis=2)),
    )


def cut(texture: Image, height: int, width: int, rng: np.random.Generator) -> Image:
    """A view of ``texture``, from anywhere on it."""
    y = int(rng.integers(texture.shape[0] - height + 1))
    x = int(rng.integers(texture.shape[1] - width + 1))
    return texture[y : y + height, x : x + width]


def sheet(
    line: Scene, height: int, width: int, colour: tuple[int, int, int], rng: np.random.Generator
) -> Image:
    """Blank carton or plastic of that BGR colour, with its fibres."""
    fibres = cut(line.paper, height, width, rng)
    table = np.arange(256)[:, None, None] + np.array(colour) - 128  # around 128 to around colour
    return np.asarray(cv2.LUT(fibres, np.clip(table, 0, 255).astype(np.uint8)), np.uint8)


def backdrop(line: Scene, rng: np.random.Generator) -> Image:
    """The bare belt, at a place of its own for each part."""
    height, width = line.light.shape[:2]
    return cut(line.belt, height, width, rng).copy()


def jittered(
    centre: tuple[float, float],
    size: tuple[float, float],
    degrees: float,
    tilt: float,
    rng: np.random.Generator,
) -> Points:
    """Where the corners of a rectangle fall that lies turned, under a camera that looks aslant.

    Parameters
    ----------
    tilt
        By how much of its size each corner may be off.

    Returns
    -------
    ``(4, 2) float32``: top left, top right, bottom right, bottom left of the rectangle.
    """
    half = np.array(size) / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    corners += rng.uniform(-tilt, tilt, size=(4, 2)) * np.min(size)
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return np.asarray(corners @ turn + centre, np.float32)


def around(frame: Image, outline: Points, spare: int) -> tuple[Image, NDArray[np.int64]]:
    """The part of ``frame`` (a view) with ``outline`` in it, and its top left corner, x and y."""
    low = np.maximum(np.floor(outline.min(axis=0)).astype(np.int64) - spare, 0)
    high = np.minimum(np.ceil(outline.max(axis=0)).astype(np.int64) + spare, frame.shape[1::-1])
    return frame[low[1] : high[1], low[0] : high[0]], low


def place(frame: Image, face: Image, quad: Points) -> NDArray[np.float64]:
    """Lay ``face`` onto ``frame`` so that its corners come to ``quad``.

    Returns
    -------
    ``(3, 3)`` homography from pixels of ``face`` to those of ``frame``.
    """
    height, width = face.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    across = np.asarray(cv2.getPerspectiveTransform(corners, quad), np.float64)
    part, corner = around(frame, quad, 2)
    back = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]], [0, 0, 1]], np.float64)
    cv2.warpPerspective(
        face,
        back @ across,
        (part.shape[1], part.shape[0]),
        dst=part,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    return across


def shadow(frame: Image, outline: Points, reach: float, strength: float) -> None:
    """Darken ``frame`` softly around ``outline``, in place, ``reach`` pixels to all sides."""
    part, low = around(frame, outline, int(3 * reach))
    coarse = 4
    mask = np.full((part.shape[0] // coarse + 1, part.shape[1] // coarse + 1), UNIT, np.uint8)
    inner = np.rint((outline - low) / coarse).astype(np.int32)
    cv2.fillPoly(mask, [inner], (round(UNIT * (1 - strength)),))
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(reach / coarse, 0.6)), np.uint8)
    full = cv2.resize(mask, (part.shape[1], part.shape[0]))
    cv2.multiply(part, cv2.merge([full] * 3), dst=part, scale=1 / UNIT)


@lru_cache(maxsize=1)
def _blob() -> NDArray[np.uint8]:
    """A soft round spot, ``(64, 64) uint8``."""
    r = np.linspace(-1, 1, 64)
    spot = np.exp(-4.0 * (r[:, None] ** 2 + r**2)) - np.exp(-4.0)
    return np.asarray(255 * np.clip(spot, 0, 1), np.uint8)


def glare(
    surface: Image, centre: tuple[float, float], size: tuple[float, float], strength: int
) -> None:
    """Add the reflection of a lamp to ``surface``, in place: a soft spot of that size in pixels."""
    x0, y0 = (round(c - s / 2) for c, s in zip(centre, size, strict=True))
    width, height = round(size[0]), round(size[1])
    spot = cv2.resize(_blob(), (width, height)).astype(np.uint16)
    bright = (spot * strength // 255).astype(np.uint8)
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x0 + width, surface.shape[1]), min(y0 + height, surface.shape[0])
    if left >= right or top >= bottom:
        return
    part = surface[top:bottom, left:right]
    bright = bright[top - y0 : bottom - y0, left - x0 : right - x0]
    cv2.add(part, cv2.merge([bright] * 3), dst=part)


def photograph(
    frame: Image, line: Scene, rng: np.random.Generator, blur: tuple[float, float]
) -> Image:
    """What the camera makes of ``frame``: fall-off of light, exposure, focus, motion, noise.

    Parameters
    ----------
    blur
        Standard deviation in pixels, from and to; along the belt there is up to half as much more.
    """
    exposure = rng.uniform(0.92, 1.06)
    lit = cv2.multiply(frame, line.light, scale=exposure / UNIT)
    focus = rng.uniform(*blur)
    motion = focus * rng.uniform(1.0, 1.5)
    soft = cv2.GaussianBlur(lit, (0, 0), sigmaX=motion, sigmaY=focus)
    noise = cut(line.noise, frame.shape[0], frame.shape[1], rng)
    return np.asarray(cv2.addWeighted(soft, 1.0, noise, 1.0, -128.0), np.uint8)
