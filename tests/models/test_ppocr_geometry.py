from typing import Any

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ppocr.geometry import (
    box_quad,
    crop_line,
    order_corners,
    quad_size,
    reading_order,
    turned,
)


def rectangle(x: float, y: float, w: float, h: float, degrees: float) -> NDArray[Any]:
    return np.asarray(cv2.boxPoints(((x, y), (w, h), degrees)), np.float32)


@given(st.floats(-40, 40), st.floats(60, 300), st.floats(10, 40), st.permutations(range(4)))
def test_corners_come_in_quad_order(degrees: float, w: float, h: float, order: list[int]) -> None:
    corners = rectangle(500, 500, w, h, degrees)[order]
    quad = order_corners(corners[None])[0]
    middle = quad.mean(axis=0)
    assert quad[[0, 3], 0].mean() < middle[0]
    assert quad[[1, 2], 0].mean() > middle[0]
    assert quad[0, 1] < quad[3, 1]
    assert quad[1, 1] < quad[2, 1]
    area = cv2.contourArea(quad, oriented=True)
    assert area > 0, "clockwise on the screen"


def test_reading_order_goes_by_rows() -> None:
    boxes = [(200, 12), (0, 10), (100, 8), (0, 50), (210, 47)]
    quads = np.stack([box_quad(x, y, x + 80, y + 20) for x, y in boxes])
    assert reading_order(quads).tolist() == [1, 2, 0, 3, 4]


def test_reading_order_of_nothing() -> None:
    assert reading_order(np.zeros((0, 4, 2), np.float32)).tolist() == []


def test_quad_size_and_turned() -> None:
    quad = box_quad(0, 0, 30, 10)
    assert quad_size(quad) == (30, 10)
    assert turned(quad).tolist() == [[30, 10], [0, 10], [0, 0], [30, 0]]


def arrow() -> NDArray[Any]:
    """A strip that is dark on the left and bright on top: no turn of it looks the same."""
    strip = np.full((48, 240, 3), 128, np.uint8)
    strip[:, :60] = 0
    strip[:12] = 255
    return strip


def test_crop_straightens_a_tilted_line() -> None:
    target = rectangle(300, 200, 240, 48, 20)
    quad = order_corners(target[None])[0]
    across = cv2.getPerspectiveTransform(box_quad(0, 0, 240, 48), quad)
    frame = np.asarray(cv2.warpPerspective(arrow(), across, (640, 480)), np.uint8)
    crop, shown = crop_line(frame, quad, 48)
    assert crop.shape == (48, 240, 3)
    assert np.array_equal(shown, quad)
    difference = np.abs(crop[4:-4, 4:-4].astype(int) - arrow()[4:-4, 4:-4].astype(int))
    assert difference.mean() < 3


def test_crop_turns_a_line_that_runs_downwards() -> None:
    frame = np.ascontiguousarray(np.rot90(arrow(), -1))
    crop, shown = crop_line(frame, box_quad(0, 0, 48, 240), 48)
    assert crop.shape == (48, 240, 3)
    difference = np.abs(crop[2:-2, 2:-2].astype(int) - arrow()[2:-2, 2:-2].astype(int))
    assert difference.mean() < 6, "any other turn is over 50 off"
    assert shown.tolist() == [[48, 0], [48, 240], [0, 240], [0, 0]]


def test_large_print_is_averaged_not_sampled() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (480, 2400, 3), dtype=np.uint8)
    crop, _ = crop_line(noise, box_quad(0, 0, 2400, 480), 48)
    assert crop.shape == (48, 240, 3)
    assert crop.std() < 15, "ten pixels went into each: sampled noise would have a deviation of 74"


@given(st.integers(-50, 700), st.integers(-50, 500), st.integers(1, 400), st.integers(1, 300))
def test_crop_of_any_box_gives_a_picture(x: int, y: int, w: int, h: int) -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    crop, _ = crop_line(frame, box_quad(x, y, x + w, y + h), 48)
    assert crop.shape[0] == 48
    assert crop.shape[1] >= 1


def test_crop_of_a_line_without_height_is_no_gigabyte() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    crop, _ = crop_line(frame, box_quad(0, 7, 300, 7), 48)
    assert crop.shape == (48, 48 * 64, 3)
