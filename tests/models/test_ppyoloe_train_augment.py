import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ppyoloe.train.augment import (
    GREY,
    SCALES,
    SEEN,
    Pose,
    augment,
    blotted,
    camera,
    crop,
    fitted,
    turn,
)
from models.ppyoloe.train.loss import Truth

Image = NDArray[np.uint8]
Float = NDArray[np.float32]

NONE = Truth(np.empty((0, 4), np.float32), np.empty(0, np.int64))


def painted(size: tuple[int, int], box: tuple[int, int, int, int]) -> tuple[Image, Truth]:
    """A white rectangle on the grey that also lies beyond the edge."""
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1] = 255
    return image, Truth(np.array([box], np.float32), np.array([5]))


def extents(image: Image) -> tuple[float, float, float, float] | None:
    """Of the rectangle, xyxy, where it is half as bright as it gets; ``None`` if it is not seen."""
    grey = image.mean(axis=2)
    floor, top = float(np.median(grey)), float(grey.max())
    if top - floor < 25:
        return None
    found = grey > (floor + top) / 2
    columns, rows = np.flatnonzero(found.any(axis=0)), np.flatnonzero(found.any(axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Image, Truth, int, np.random.Generator]:
    """A picture larger or smaller than the crop, with a rectangle of at most a third of either."""
    width, height = draw(st.integers(40, 260)), draw(st.integers(40, 260))
    size = draw(st.sampled_from([64, 96, 160]))
    most = min(width, height, size) // 3
    w, h = draw(st.integers(6, most)), draw(st.integers(6, most))
    x, y = draw(st.integers(0, width - w)), draw(st.integers(0, height - h))
    image, truth = painted((width, height), (x, y, x + w, y + h))
    return image, truth, size, np.random.default_rng(draw(st.integers(0, 2**32)))


@settings(max_examples=150, deadline=None)
@given(scenes(), st.sampled_from(["fixed", "mirrored", "any"]))
def test_boxes_follow_the_pixels(
    scene: tuple[Image, Truth, int, np.random.Generator], pose: Pose
) -> None:
    image, truth, size, rng = scene
    cut, kept = crop(image, truth, size, rng, scaled=pose != "fixed")
    turned, kept = turn(cut, kept, rng, pose=pose)
    assert turned.shape == (size, size, 3)
    assert turned.dtype == np.uint8
    assert turned.flags.c_contiguous
    assert kept.boxes.dtype == np.float32
    assert kept.classes.dtype == np.int64
    seen = extents(turned)
    if len(kept.boxes):
        assert kept.classes.tolist() == [5]
        assert seen == pytest.approx(kept.boxes[0].tolist(), abs=1.5)
        assert (kept.boxes >= 0).all()
        assert (kept.boxes <= size).all()
    elif seen is not None:  # less of it is left than must be
        whole = float((truth.boxes[0, 2:] - truth.boxes[0, :2]).prod())
        left = (seen[2] - seen[0] - 2) * (seen[3] - seen[1] - 2) / SCALES[1] ** 2
        assert left < SEEN * whole


@pytest.mark.parametrize("seed", range(20))
def test_boxes_follow_the_pixels_through_light_blur_and_noise(seed: int) -> None:
    image, truth = painted((200, 150), (80, 40, 110, 90))
    out, kept = augment(image, truth, 128, np.random.default_rng(seed), pose="any")
    assert out.shape == (128, 128, 3)
    assert out.dtype == np.uint8
    if len(kept.boxes):
        # Noise may make a pixel beside the edge bright: rows and columns that are mostly bright.
        grey = out.mean(axis=2)
        x0, y0, x1, y1 = (round(float(v)) for v in kept.boxes[0])
        inner, outer = grey[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2], np.median(grey)
        assert inner.mean() > outer + 30
        bright = grey > (inner.mean() + outer) / 2
        columns = np.flatnonzero(bright[y0 + 2 : y1 - 2].mean(axis=0) > 0.5)
        rows = np.flatnonzero(bright[:, x0 + 2 : x1 - 2].mean(axis=1) > 0.5)
        found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert found == pytest.approx(kept.boxes[0].tolist(), abs=1.5)


def test_most_crops_show_the_only_defect_whole() -> None:
    image, truth = painted((640, 640), (300, 500, 320, 512))
    rng = np.random.default_rng(0)
    kept = [crop(image, truth, 160, rng, scaled=True)[1] for _ in range(200)]
    sides = np.array([k.boxes[0, 2:] - k.boxes[0, :2] for k in kept if len(k.boxes)])
    assert len(sides) > 150
    scale = sides / [20, 12]
    assert scale.min() > SCALES[0] * 0.97
    assert scale.max() < SCALES[1] * 1.01
    assert scale.min() < 0.85
    assert scale.max() > 1.2


def test_all_eight_turns_come_and_boxes_with_them() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[1:3, 2:7] = 255
    image[1, 2] = 128
    truth = Truth(np.array([[2, 1, 7, 3]], np.float32), np.array([0]))
    rng = np.random.default_rng(1)
    seen: set[bytes] = set()
    flips: set[bytes] = set()
    for _ in range(100):
        turned, moved = turn(image, truth, rng, pose="any")
        seen.add(turned.tobytes())
        rows, columns = np.nonzero(turned[:, :, 0])
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert moved.boxes[0].tolist() == box
        flips.add(turn(image, truth, rng, pose="mirrored")[0].tobytes())
    assert len(seen) == 8
    assert flips == {image.tobytes(), np.ascontiguousarray(image[:, ::-1]).tobytes()}


@pytest.mark.parametrize("shape", [(30, 200), (200, 30), (20, 20), (2, 2)])
def test_a_picture_smaller_than_the_crop_is_shown_whole(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 250, np.uint8)
    for seed in range(10):
        cut, kept = crop(image, NONE, 300, np.random.default_rng(seed), scaled=True)
        assert cut.shape == (300, 300, 3)
        assert kept.boxes.shape == (0, 4)
        seen = extents(cut)
        if min(shape) > 2:
            assert seen is not None
            width, height = seen[2] - seen[0], seen[3] - seen[1]
            assert width / height == pytest.approx(shape[1] / shape[0], rel=0.1)
            assert SCALES[0] * 0.9 < width / shape[1] < SCALES[1] * 1.1


def test_a_box_larger_than_the_crop_gives_no_box_that_is_not_there() -> None:
    image, truth = painted((400, 400), (50, 50, 350, 350))
    for seed in range(30):
        cut, kept = crop(image, truth, 96, np.random.default_rng(seed), scaled=True)
        assert cut.shape == (96, 96, 3)
        assert (kept.boxes >= 0).all()
        assert (kept.boxes <= 96).all()
        assert len(kept.boxes) == len(kept.classes)


def test_light_changes_but_the_picture_stays_one() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    means = []
    for _ in range(60):
        lit = camera(image, rng)
        assert lit.shape == image.shape
        assert lit.dtype == np.uint8
        means.append(float(lit.mean()))
        assert np.corrcoef(lit.ravel(), image.ravel())[0, 1] > 0.5
    assert max(means) - min(means) > 40


def test_the_same_seed_gives_the_same_and_the_picture_is_left_alone() -> None:
    image, truth = painted((200, 150), (80, 40, 110, 90))
    before = image.copy(), truth.boxes.copy()
    outs = [augment(image, truth, 96, np.random.default_rng(3), pose="any") for _ in range(2)]
    assert np.array_equal(outs[0][0], outs[1][0])
    assert np.array_equal(outs[0][1].boxes, outs[1][1].boxes)
    assert np.array_equal(image, before[0])
    assert np.array_equal(truth.boxes, before[1])


@pytest.mark.parametrize(
    ("fit", "size", "box"),
    [
        ("tile", (200, 100), [50, 20, 90, 60]),
        ("letterbox", (128, 64), [32, 12.8, 57.6, 38.4]),
        ("resize", (128, 96), [32, 19.2, 57.6, 57.6]),
    ],
)
def test_pictures_are_fitted_as_the_network_is_to_see_them(
    fit: str, size: tuple[int, int], box: list[float]
) -> None:
    image, truth = painted((200, 100), (50, 20, 90, 60))
    out, moved = fitted(image, truth, fit, (128, 96))  # type: ignore[arg-type]
    assert out.shape == (size[1], size[0], 3)
    assert moved.boxes[0].tolist() == pytest.approx(box)
    assert extents(out) == pytest.approx(box, abs=1)


def test_what_is_left_of_a_defect_that_is_hardly_seen_is_blotted_out() -> None:
    """Two defects side by side: crops that show one and a slice of the other show no slice."""
    image, _ = painted((300, 100), (60, 30, 100, 70))
    image[30:70, 110:150] = 255
    truth = Truth(np.array([[60, 30, 100, 70], [110, 30, 150, 70]], np.float32), np.array([0, 1]))
    blots = 0
    for seed in range(200):
        shown, left = crop(image, truth, 64, np.random.default_rng(seed), scaled=True)
        white = (shown.mean(axis=2) > 200).sum()
        area = (left.boxes[:, 2:] - left.boxes[:, :2]).prod(axis=1).sum()
        assert white <= 1.05 * area + 1  # pixels at the edge are white or not
        blots += len(left.boxes) == 1 and white > 0
    assert blots > 20  # of which a slice would have been white
    assert (image[30:70, 110:150] == 255).all(), "the picture itself is left alone"


def test_blots_cover_every_pixel_that_a_box_touches() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    done = blotted(image, np.array([[2.4, 3.0, 5.1, 4.0]], np.float32))
    assert (done == GREY).all(axis=2).nonzero()[0].tolist() == [3] * 4
    assert (done == GREY).all(axis=2).nonzero()[1].tolist() == [2, 3, 4, 5]
    assert image.max() == 0


def test_parts_in_a_fixed_pose_are_cut_out_pixel_by_pixel() -> None:
    rng = np.random.default_rng(7)
    image = rng.integers(0, 256, (200, 240, 3)).astype(np.uint8)
    truth = Truth(np.array([[60, 30, 100, 70]], np.float32), np.array([2]))
    plain = 0
    for seed in range(40):
        out, kept = augment(image, truth, 96, np.random.default_rng(seed), pose="fixed")
        if not len(kept.boxes) or (kept.boxes[0, 2:] - kept.boxes[0, :2]).tolist() != [40, 40]:
            continue
        left, top = (truth.boxes[0, :2] - kept.boxes[0, :2]).astype(int)
        plain += np.array_equal(out, image[top : top + 96, left : left + 96])
    assert plain > 10  # the others have another light
