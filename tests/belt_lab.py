"""A belt with parts that move, as a camera above it sees it: noise, texture, and changing light."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class Belt:
    """Parts of random lengths and greys, ``gap`` pixels apart at least, going to the right.

    A picture is ``size`` pixels, width and height. ``parts`` holds where the front of each part is
    when the first picture is taken, its length, its colour, and the rows that it covers.
    """

    size: tuple[int, int] = (320, 180)
    speed: float = 300.0
    fps: float = 30.0
    noise: float = 4.0
    gap: tuple[int, int] = (40, 200)
    length: tuple[int, int] = (60, 140)
    seed: int = 0
    count: int = 20
    lead_s: float = 1.5
    light: Callable[[float], float] = lambda seconds: 1.0
    parts: list[tuple[float, int, NDArray[np.uint8], slice]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = rng = np.random.default_rng(self.seed)
        width, height = self.size
        grey = rng.integers(60, 90, (height, width, 1))
        self._belt = np.repeat(grey, 3, axis=2).astype(np.float32)
        bank = rng.normal(0, self.noise, (height + 64, width + 64, 3))
        self._noise = bank.astype(np.float32)
        front = -self.lead_s * self.speed
        for _ in range(self.count):
            length = int(rng.integers(*self.length))
            top = int(rng.integers(0, height // 5))
            colour = rng.integers(0, 256, 3)
            while abs(colour - 75).max() < 60:
                colour = rng.integers(0, 256, 3)
            rows = slice(top, top + int(height * rng.uniform(0.3, 0.5)))
            self.parts.append((front, length, colour.astype(np.uint8), rows))
            front -= length + int(rng.integers(*self.gap))
        self.seconds = (width - front) / self.speed + 0.5

    def middles(self) -> list[float]:
        """When the middle of each part is at the middle of the picture, seconds."""
        width = self.size[0]
        return [(width / 2 + length / 2 - front) / self.speed for front, length, *_ in self.parts]

    def pictures(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Each picture and its moment, seconds."""
        for number in range(int(self.seconds * self.fps)):
            at = number / self.fps
            yield at, self.picture(at)

    def picture(self, at: float) -> NDArray[np.uint8]:
        """What the camera sees at one moment."""
        shift = int(at * self.speed)
        scene = np.roll(self._belt, shift, axis=1)
        for front, length, colour, rows in self.parts:
            x1 = int(front + at * self.speed)
            scene[rows, max(0, x1 - length) : max(0, x1)] = colour
            # print on it, as dark or as bright as the belt
            scene[rows.start + 10 : rows.start + 20, max(0, x1 - 40) : max(0, x1 - 20)] = 75
        y, x = self._rng.integers(0, 64, 2)
        scene *= self.light(at)
        scene += self._noise[y : y + len(scene), x : x + scene.shape[1]]
        return np.clip(scene, 0, 255).astype(np.uint8)
