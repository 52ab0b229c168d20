"""Boards: cuts of real photos, and the annotations that go along with every turn."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.line.board import CLASSES, SIZE, photos, turned, windows
from tools.line.render import render
from tools.line.world import Job


def test_the_photos_hold_every_class_within_their_frames() -> None:
    assert len(photos()) <= 6
    assert {label for photo in photos() for label in photo.labels} == set(CLASSES)
    for photo in photos():
        assert photo.image.shape == (640, 640)
        assert (photo.boxes[:, :2] < photo.boxes[:, 2:]).all()
        assert ((photo.boxes >= 0) & (photo.boxes <= 640)).all()


@given(
    st.integers(0, 3),
    st.booleans(),
    st.tuples(st.integers(2, 40), st.integers(2, 40)),
    st.data(),
)
def test_a_box_goes_where_its_pixels_go(
    quarters: int, mirrored: bool, shape: tuple[int, int], data: st.DataObject
) -> None:
    height, width = shape
    x0 = data.draw(st.integers(0, width - 1))
    y0 = data.draw(st.integers(0, height - 1))
    x1 = data.draw(st.integers(x0 + 1, width))
    y1 = data.draw(st.integers(y0 + 1, height))
    image = np.zeros((height, width), np.uint8)
    image[y0:y1, x0:x1] = 1
    after, boxes = turned(image, np.array([[x0, y0, x1, y1]], np.float32), quarters, mirrored)
    rows, columns = np.nonzero(after)
    assert boxes.tolist() == [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
    assert after.shape == ((width, height) if quarters % 2 else (height, width))


ANY = Job(layouts=())


def test_a_job_has_its_layouts_lying_as_on_the_photos() -> None:
    cuts = windows(*SIZE, True, ("44000",))
    assert {photos()[number].layout for number in cuts[:, 0]} == {"44000"}
    (photo,) = (each for each in photos() if each.layout == "44000")
    for index in range(5):
        image, _ = render("board", 3, index, Job(layouts=("44000",)), ng=0.0)
        seen = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), None, fx=0.25, fy=0.25)
        small = cv2.resize(photo.image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        assert cv2.matchTemplate(small, seen, cv2.TM_CCOEFF_NORMED).max() > 0.8


@pytest.mark.parametrize("size", [SIZE, (240, 320), (320, 240)])
def test_cuts_are_sound_or_hold_whole_defects(size: tuple[int, int]) -> None:
    width, height = size
    for sound in (True, False):
        cuts = windows(width, height, sound)
        assert len(cuts) > 200
        for number, x, y in cuts[::37]:
            boxes = photos()[number].boxes - np.array([x, y] * 2, np.float32)
            clipped = np.clip(boxes, 0, [width, height] * 2)
            shown = np.prod(clipped[:, 2:] - clipped[:, :2], axis=1)
            whole = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
            assert ((shown == 0) | (shown == whole)).all()
            assert (shown > 0).any() != sound


@pytest.mark.parametrize("size", [SIZE, (640, 480)])
def test_the_defect_is_where_the_truth_says(size: tuple[int, int]) -> None:
    """The picture inside a box is the photo inside the annotation, under one of the eight turns."""
    for index in range(25):
        image, truth = render("board", 9, index, ANY, size=size, ng=1.0)
        assert truth.defects
        for defect in truth.defects:
            x0, y0, x1, y1 = defect.box.astype(int)
            seen = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_BGR2GRAY).astype(np.float32)
            best = -1.0
            for photo in photos():
                for box, label in zip(photo.boxes.astype(int), photo.labels, strict=True):
                    if label != defect.label:
                        continue
                    patch = photo.image[box[1] : box[3], box[0] : box[2]]
                    for mirrored in (False, True):
                        flat = patch[:, ::-1] if mirrored else patch
                        for quarters in range(4):
                            candidate = np.rot90(flat, quarters)
                            if candidate.shape == seen.shape:
                                fit = np.corrcoef(candidate.ravel(), seen.ravel())[0, 1]
                                best = max(best, float(fit))
            assert best > 0.9, (index, defect.label)


def test_a_small_frame_is_filled_and_a_large_one_shows_the_belt() -> None:
    filled, _ = render("board", 1, 0)
    assert filled.shape == (320, 320, 3)
    on_belt, _ = render("board", 1, 0, size=(640, 480))
    board = on_belt[90:390, 170:470]
    assert on_belt[100:380, :150].max() < 0.8 * board.max()
