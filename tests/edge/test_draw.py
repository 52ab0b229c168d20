"""Drawings of defects: seen on any picture, hiding nothing, never outside."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.draw import BLUE, WHITE, draw_defects
from models.results import Defect


def defect(label: str, *box: float) -> Defect:
    return Defect(label, 0.93, np.array(box, np.float32))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), BLUE, (127, 127, 127)])
def test_a_frame_is_seen_on_any_ground(colour: tuple[int, int, int]) -> None:
    image = np.full((200, 300, 3), colour, np.uint8)
    drawn = draw_defects(image, [defect("open", 100, 80, 140, 120)])
    assert (drawn[100, 98] == BLUE).all()
    assert (drawn[100, 97] == BLUE).all()
    assert (drawn[100, 96] == WHITE).all()
    assert (drawn[100, 99] == WHITE).all()
    assert (drawn[80:121, 100:141] == image[80:121, 100:141]).all(), "the defect itself is free"
    assert (image == colour).all(), "a copy"


def shown(image: NDArray[np.uint8], label: str) -> bool:
    """Whether the label stands on a drawing, whole."""
    alone = draw_defects(np.zeros((60, 400, 3), np.uint8), [defect(label, 20, 40, 30, 50)])
    x, y = 18, 40 - 8
    (width, height), _ = cv2.getTextSize(f"1 {label} 0.93", cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
    piece = alone[y - height : y, x + 2 : x + 2 + width]
    return bool(cv2.matchTemplate(image, piece, cv2.TM_SQDIFF_NORMED).min() < 1e-3)


@pytest.mark.parametrize(
    "box",
    [(0, 0, 20, 20), (280, 0, 300, 20), (0, 180, 20, 200), (280, 180, 300, 200), (0, 0, 300, 200)],
)
def test_the_label_is_read_in_every_corner(box: tuple[int, int, int, int]) -> None:
    for value in (0, 255):
        image = np.full((200, 300, 3), value, np.uint8)
        assert shown(draw_defects(image, [defect("spurious copper", *box)]), "spurious copper")


def test_a_class_in_other_letters_is_drawn_by_its_number() -> None:
    drawn = draw_defects(np.zeros((99, 200, 3), np.uint8), [defect("划痕", 50, 50, 60, 60)])
    assert (drawn == BLUE).all(axis=2).sum() > 100


@given(
    st.integers(2, 40),
    st.integers(2, 40),
    st.lists(st.tuples(*[st.floats(-50, 90, width=32)] * 4), max_size=4),
)
def test_no_picture_is_too_small(
    height: int, width: int, boxes: list[tuple[float, float, float, float]]
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    drawn = draw_defects(image, [defect("a", *box) for box in boxes])
    assert drawn.shape == image.shape
