"""Text detection without a network, against an independent DB post-processing."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rapidocr_onnxruntime.ch_ppocr_det.utils import DBPostProcess, DetPreProcess

from models.ppocr.det import MEAN, STD, det_input, det_quads, det_size
from models.ppocr.geometry import order_corners
from models.ppocr.score import quad_iou

Lines = list[tuple[float, float, float, float, float]]


def probability_map(lines: Lines, height: int = 320, width: int = 480) -> NDArray[np.float32]:
    """A map as the network would put it out: soft tilted bars, some noise."""
    drawn = np.zeros((height, width), np.uint8)
    for x, y, w, h, degrees in lines:
        corners = cv2.boxPoints(((x, y), (w, h), degrees))
        cv2.fillConvexPoly(drawn, np.round(corners).astype(np.int32), (240,))
    blurred = cv2.GaussianBlur(drawn, (5, 5), 1.2).astype(np.float32) / 255
    noise = np.random.default_rng(1).uniform(0, 0.2, (height, width)).astype(np.float32)
    return np.asarray(np.clip(blurred + noise, 0, 1), np.float32)


LINES: Lines = [
    (120, 60, 160, 14, 2),
    (330, 90, 90, 10, -5),
    (200, 170, 220, 20, 12),
    (90, 250, 60, 8, 0),
    (380, 260, 120, 16, -30),
]


def test_boxes_equal_those_of_an_independent_implementation() -> None:
    probability = probability_map(LINES)
    reference = DBPostProcess(0.3, 0.5, 1000, 1.6, "fast", use_dilation=True)
    theirs, their_scores = reference(probability[None, None], (640, 960))
    ours, scores = det_quads(probability, 640, 960)
    assert len(ours) == len(theirs) == len(LINES)
    assert np.allclose(sorted(scores), sorted(their_scores), atol=0.02)
    for quad in order_corners(theirs.astype(np.float32)):
        assert max(quad_iou(quad, own) for own in ours) > 0.9


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(32, 1280))
def test_input_sides_are_multiples_of_the_stride(height: int, width: int, max_side: int) -> None:
    h, w = det_size(height, width, max_side)
    assert h % 32 == w % 32 == 0
    assert min(h, w) >= 32
    assert max(h, w) <= max(max(max_side, 32) + 16, 32)


def test_nothing_is_scaled_up() -> None:
    assert det_size(480, 640, 960) == (480, 640)


def test_input_equals_an_independent_implementation() -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    reference = DetPreProcess(64, "min", list(MEAN), list(STD))(image)
    assert np.abs(det_input(image, 960) - reference).max() < 1e-5


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_blank_full_or_broken_map_gives_no_crash(value: float) -> None:
    quads, scores = det_quads(np.full((64, 96), value, np.float32), 128, 192)
    assert len(quads) == len(scores) == (1 if value == 1.0 else 0)
    assert np.isfinite(quads).all()


def test_quads_stay_inside_the_frame() -> None:
    edge: Lines = [(5, 5, 120, 16, 0), (470, 310, 90, 18, 10)]
    quads, _ = det_quads(probability_map(edge), 320, 480)
    assert len(quads) == 2
    assert quads.min() >= 0
    assert quads[:, :, 0].max() <= 479
    assert quads[:, :, 1].max() <= 319


def test_noise_of_thousands_of_specks_is_bounded() -> None:
    noise = np.random.default_rng(2).uniform(0, 1, (640, 640)).astype(np.float32)
    quads, _ = det_quads(noise, 640, 640)
    assert len(quads) <= 1000


def test_a_line_with_a_broken_pixel_is_no_line() -> None:
    probability = probability_map(LINES)
    probability[60, 120] = np.nan
    quads, scores = det_quads(probability, 320, 480)
    assert len(quads) == len(LINES) - 1
    assert np.isfinite(scores).all()
