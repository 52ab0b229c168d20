"""Part sensing in the image: each part that passes fires once, near its middle, and no more."""

from __future__ import annotations

import time

import numpy as np
import pytest
from belt_lab import Belt

from edge.station.triggers import VisionTrigger
from edge.trigger.vision import LEARN_S, STILL_S, Vision
from models.errors import ImageError


def fired(belt: Belt, **keys: object) -> list[float]:
    vision = Vision(VisionTrigger(kind="vision", **keys))  # type: ignore[arg-type]
    return [at for at, image in belt.pictures() if vision.look(image, 1000.0 + at)]


def assert_once_each(belt: Belt, moments: list[float]) -> None:
    assert len(moments) == len(belt.parts)
    off = np.subtract(moments, belt.middles())
    cell = belt.size[0] / 128 / belt.speed
    assert off.min() > -3 * cell, "not before its middle"
    assert off.max() < 1 / belt.fps + 3 * cell, "in the first picture after it"


@pytest.mark.parametrize("seed", range(5))
def test_every_part_fires_once_in_the_picture_of_its_middle(seed: int) -> None:
    belt = Belt(count=10, seed=seed)
    assert_once_each(belt, fired(belt))


@pytest.mark.parametrize(
    "light",
    [
        lambda s: 1 + 0.05 * s,  # the sun comes out
        lambda s: 1 / (1 + 0.05 * s),
        lambda s: 1.4 if s > 4.1 else 1.0,  # somebody switches a lamp on
        lambda s: 0.6 if 3.0 < s < 5.0 else 1.0,
        lambda s: 1 + 0.05 * np.sin(2 * np.pi * 9 * s),  # mains flicker beats with the shutter
    ],
)
def test_light_that_changes_is_no_part(light: object) -> None:
    belt = Belt(light=light, count=6, seed=7)  # type: ignore[arg-type]
    assert_once_each(belt, fired(belt))
    empty = Belt(light=light, count=0, seed=7)  # type: ignore[arg-type]
    empty.seconds = 6.0
    assert fired(empty) == []


def test_noise_is_no_part() -> None:
    belt = Belt(noise=12.0, count=10, seed=3)
    assert_once_each(belt, fired(belt))


@pytest.mark.parametrize("moves", ["left", "up", "down"])
def test_parts_may_go_any_way(moves: str) -> None:
    belt = Belt(count=8, seed=2)
    vision = Vision(VisionTrigger(kind="vision", moves=moves))  # type: ignore[arg-type]
    moments = []
    for at, image in belt.pictures():
        turned = image[:, ::-1] if moves == "left" else image.swapaxes(0, 1)
        if vision.look(turned[::-1] if moves == "up" else turned, at):
            moments.append(at)
    assert_once_each(belt, moments)


def test_only_the_box_counts() -> None:
    belt = Belt(size=(480, 180), count=8, seed=4)
    moments = fired(belt, box=[40, 0, 200, 180])
    assert len(moments) == 8
    off = np.subtract(moments, np.array(belt.middles()) - 120 / belt.speed)
    assert -0.02 < off.min() <= off.max() < 1 / belt.fps + 0.02
    assert fired(belt, box=[40, 130, 480, 180]) == [], "parts end above"


def test_crumbs_are_no_parts() -> None:
    belt = Belt(length=(12, 16), count=8, seed=5)
    assert fired(belt, min_size_px=30) == []


def test_two_parts_close_behind_each_other_are_two() -> None:
    belt = Belt(gap=(12, 14), count=12, seed=6)
    assert_once_each(belt, fired(belt))


def test_a_part_that_is_too_fast_to_follow_fires_all_the_same() -> None:
    belt = Belt(speed=1500.0, gap=(150, 300), length=(60, 70), count=20, seed=8)
    moments = fired(belt)
    assert len(moments) >= 18, "those that are seen at the middle at all"


def test_what_stays_is_belt_after_a_while() -> None:
    belt = Belt(count=0, seed=1)
    vision = Vision(VisionTrigger(kind="vision"))
    moments = []
    for number in range(int((LEARN_S + STILL_S + 8) * 10)):
        at = number / 10
        image = belt.picture(0.0)
        if at > LEARN_S + 1:  # a sheet of paper falls on the belt, and stays
            image[40:140, 120:260] = 240
        if at > LEARN_S + STILL_S + 4:  # a part passes over it
            x = int((at - LEARN_S - STILL_S - 4) * 100)
            image[60:160, max(0, x - 80) : x] = 10
        if vision.look(image, at):
            moments.append(at)
    assert len(moments) == 2, "the paper, and the part"


def test_a_picture_without_the_box_is_refused() -> None:
    vision = Vision(VisionTrigger(kind="vision", box=[400, 0, 500, 100]))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="outside the picture"):
        vision.look(np.zeros((100, 200, 3), np.uint8), 0.0)


def test_a_look_is_cheap() -> None:
    """The bound is ten times what it takes alone, since others use the machine."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (720, 1280, 3), np.uint8)
    vision = Vision(VisionTrigger(kind="vision"))
    took = []
    for number in range(120):
        start = time.perf_counter()
        vision.look(image, number / 30)
        took.append(time.perf_counter() - start)
    assert sorted(took)[60] < 0.01
