"""Pictures as input of the network, against plain arithmetic."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.prepare import PADDING, View, fill_input, plan_views, value_tables
from models.ppyoloe.tiles import tile_starts

RNG = np.random.default_rng(4)


def config(**keys: object) -> DetectorConfig:
    said = {"variant": "t", "labels": ("a",), "size": (128, 96), "fit": "tile", "overlap": 32}
    return DetectorConfig.model_validate(said | keys)


def prepared(image: NDArray[np.uint8], of: DetectorConfig, view: View) -> NDArray[np.float32]:
    width, height = view.size
    planes = np.full((3, height, width), np.nan, np.float32)
    fill_input(planes, image, view, value_tables(of))
    assert np.isfinite(planes).all()
    return planes


def by_the_book(
    shown: NDArray[np.uint8], of: DetectorConfig, size: tuple[int, int]
) -> NDArray[np.float64]:
    sheet = np.full((size[1], size[0], 3), PADDING, np.uint8)
    sheet[: shown.shape[0], : shown.shape[1]] = shown
    rgb = sheet[:, :, ::-1] / 255
    return np.asarray(((rgb - np.array(of.mean)) / np.array(of.std)).transpose(2, 0, 1), np.float64)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_small_picture_is_padded_and_not_scaled(fixed: bool) -> None:
    of = config(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    image = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    (view,) = plan_views(70, 50, of, fixed=fixed)
    assert view.size == ((128, 96) if fixed else (96, 64))
    assert view.scale == (1, 1)
    assert np.abs(prepared(image, of, view) - by_the_book(image, of, view.size)).max() < 1e-6


def test_a_stretched_picture_is_interpolated_cubically() -> None:
    of = config(fit="resize")
    image = RNG.integers(0, 256, (50, 300, 3), dtype=np.uint8)
    (view,) = plan_views(300, 50, of, fixed=False)
    assert (view.size, view.shown) == ((128, 96), (128, 96))
    assert view.scale == (128 / 300, 96 / 50)
    shown = np.asarray(cv2.resize(image, (128, 96), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert np.abs(prepared(image, of, view) - by_the_book(shown, of, (128, 96))).max() < 1e-6


@given(st.integers(2, 3000), st.integers(2, 3000))
def test_a_letterbox_keeps_the_ratio_and_fills_one_side(width: int, height: int) -> None:
    (view,) = plan_views(width, height, config(fit="letterbox"), fixed=True)
    assert view.size == (128, 96)
    assert view.shown[0] == 128 or view.shown[1] == 96
    assert 1 <= view.shown[0] <= 128
    assert 1 <= view.shown[1] <= 96
    assert abs(view.shown[0] * height - view.shown[1] * width) <= max(width, height)


def test_a_letterbox_is_padded_right_or_below() -> None:
    of = config(fit="letterbox")
    image = RNG.integers(0, 256, (200, 100, 3), dtype=np.uint8)
    (view,) = plan_views(100, 200, of, fixed=False)
    assert view.shown == (48, 96)
    shown = np.asarray(cv2.resize(image, (48, 96), interpolation=cv2.INTER_CUBIC), np.uint8)
    assert np.abs(prepared(image, of, view) - by_the_book(shown, of, (128, 96))).max() < 1e-6


def test_tiles_are_cut_at_full_scale() -> None:
    of = config()
    image = RNG.integers(0, 256, (90, 300, 3), dtype=np.uint8)
    views = plan_views(300, 90, of, fixed=False)
    assert [view.box for view in views] == [
        (0, 0, 128, 90),
        (86, 0, 214, 90),
        (172, 0, 300, 90),
    ]
    for view in views:
        x0, y0, x1, y1 = view.box
        expected = by_the_book(image[y0:y1, x0:x1], of, (128, 96))
        assert np.abs(prepared(image, of, view) - expected).max() < 1e-6


@given(st.integers(1, 20_000), st.integers(1, 40), st.data())
def test_tiles_cover_a_side_with_enough_overlap(
    length: int, cells: int, data: st.DataObject
) -> None:
    tile = cells * 32
    overlap = data.draw(st.integers(0, tile // 2))
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0
    assert len(starts) == 1 or starts[-1] + tile == length
    assert starts[-1] + tile >= length
    for one, other in pairwise(starts):
        assert one < other <= one + tile - overlap
    if len(starts) > 1:  # one fewer would not do
        assert tile + (len(starts) - 2) * (tile - overlap) < length


@given(st.integers(2, 700), st.integers(2, 700), st.booleans())
def test_every_view_fits_the_network(width: int, height: int, fixed: bool) -> None:
    for view in plan_views(width, height, config(), fixed=fixed):
        assert view.size[0] % 32 == view.size[1] % 32 == 0
        assert view.size == (128, 96) if fixed else view.size <= (128, 96)
        assert view.scale == (1, 1)
