"""What OpenCV may hand out, from a VideoCapture that hands out whatever it is given."""

from __future__ import annotations

import time
from typing import Any, cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.camera.grabber import Grabber
from models.errors import ImageError

WIDTH, HEIGHT = 8, 6


class Device:
    """The part of ``cv2.VideoCapture`` that is used."""

    def __init__(self, *pictures: NDArray[Any] | Exception | None) -> None:
        self._pictures = list(pictures)

    def grab(self) -> bool:
        return bool(self._pictures)

    def retrieve(self) -> tuple[bool, NDArray[Any] | None]:
        picture = self._pictures.pop(0)
        if isinstance(picture, Exception):
            raise picture
        return picture is not None, picture

    def get(self, prop: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: WIDTH, cv2.CAP_PROP_FRAME_HEIGHT: HEIGHT}[prop]


def grabber(*pictures: NDArray[Any] | Exception | None) -> Grabber:
    return Grabber("v4l2:/dev/video0", cast(cv2.VideoCapture, Device(*pictures)))


def test_row_of_bgr_gets_its_shape_back() -> None:
    picture = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
    frame = grabber(picture.reshape(1, -1)).next()
    assert frame is not None
    np.testing.assert_array_equal(frame.image, picture)


def test_grey_and_deep_pictures_become_bgr() -> None:
    source = grabber(np.full((HEIGHT, WIDTH), 9, np.uint8), np.full((HEIGHT, WIDTH), 9, np.uint16))
    for _ in range(2):
        frame = source.next()
        assert frame is not None
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8


@pytest.mark.parametrize(
    "damaged",
    [
        None,
        np.empty((0, 0), np.uint8),
        np.zeros((1, HEIGHT * WIDTH * 3 - 1), np.uint8),
        cv2.error("imdecode failed"),
    ],
    ids=["none", "empty", "short", "error"],
)
def test_damaged_picture_is_one_bad_picture_and_takes_up_a_number(
    damaged: NDArray[Any] | Exception | None,
) -> None:
    good = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    source = grabber(good, damaged, good)
    first = source.next()
    with pytest.raises(ImageError, match="v4l2:/dev/video0: picture 1 cannot be decoded"):
        source.next()
    third = source.next()
    assert first is not None
    assert third is not None
    assert (first.number, third.number) == (0, 2)
    assert source.next() is None


def test_stamp_of_the_driver_is_used_where_there_is_one() -> None:
    good = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    before = time.monotonic()
    plain = grabber(good).next()
    stamped = grabber(good).next(lambda arrived: arrived - 0.25)
    assert plain is not None
    assert stamped is not None
    assert before <= plain.captured <= time.monotonic()
    assert before - 0.25 <= stamped.captured <= time.monotonic() - 0.25
