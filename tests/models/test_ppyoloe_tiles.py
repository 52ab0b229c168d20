"""Tiles: each thing on a picture is found once, however it lies, by a network that sees all."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.decode import anchor_grid
from models.ppyoloe.detector import Detector
from models.ppyoloe.tiles import join_tiles

OVERLAP = 32
LABELS = ("a", "b")
CONFIG = DetectorConfig(
    variant="t", labels=LABELS, size=(128, 96), fit="tile", overlap=OVERLAP, threshold=0.3
)

Thing = tuple[int, float, tuple[int, int, int, int]]
"""Class, score, xyxy."""


class Port:
    name = "image"
    shape = (1, 3, None, None)


def picture(width: int, height: int) -> NDArray[np.uint8]:
    """Each pixel says where it is, so that a network knows which tile it sees."""
    y, x = np.mgrid[0:height, 0:width]
    return np.asarray(np.stack([(x >> 8) * 16 + (y >> 8), y & 255, x & 255], axis=2), np.uint8)


class Oracle:
    """Puts out exactly what is visible in its tile, cut off at its borders."""

    inputs = (Port(),)

    def __init__(self, *things: Thing) -> None:
        self._things = things

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        image = np.asarray(feeds["image"], np.float32)[0]
        height, width = image.shape[1:]
        low_x, low_y, high = (round(float(v) * 255) for v in image[:, 0, 0])
        x, y = (high >> 4) * 256 + low_x, (high & 15) * 256 + low_y
        points, strides = anchor_grid(height, width)
        distances = np.ones((1, 4, points.shape[1]), np.float32)
        scores = np.zeros((1, len(LABELS), points.shape[1]), np.float32)
        anchor = 0
        for label, score, (x0, y0, x1, y1) in self._things:
            box = np.clip([x0 - x, y0 - y, x1 - x, y1 - y], 0, [width, height, width, height])
            if box[0] < box[2] and box[1] < box[3]:
                distances[0, :, anchor] = (box - points[:, anchor]) / strides[:, anchor]
                scores[0, label, anchor] = score
                anchor += 1
        return {"distances": distances, "scores": scores}


def found(size: tuple[int, int], *things: Thing) -> list[Thing]:
    defects = Detector(Oracle(*things), CONFIG).detect(picture(*size))
    return [(LABELS.index(d.label), round(d.score, 4), tuple(d.box.tolist())) for d in defects]


def apart(one: Thing, other: Thing) -> bool:
    (a, _, (ax0, ay0, ax1, ay1)), (b, _, (bx0, by0, bx1, by1)) = one, other
    return a != b or ax1 <= bx0 or bx1 <= ax0 or ay1 <= by0 or by1 <= ay0


def things(draw: st.DrawFn, size: tuple[int, int], longest: int) -> list[Thing]:
    drawn = []
    for _ in range(draw(st.integers(1, 12))):
        w = draw(st.integers(1, min(longest, size[0])))
        h = draw(st.integers(1, min(longest, size[1])))
        x, y = draw(st.integers(0, size[0] - w)), draw(st.integers(0, size[1] - h))
        score = draw(st.integers(30, 100)) / 100
        drawn.append((draw(st.integers(0, 1)), score, (x, y, x + w, y + h)))
    return drawn


@st.composite
def scenes(draw: st.DrawFn, longest: int, *, disjoint: bool) -> tuple[tuple[int, int], list[Thing]]:
    size = (draw(st.integers(40, 460)), draw(st.integers(40, 330)))
    kept: list[Thing] = []
    for thing in things(draw, size, longest):
        if not disjoint or all(apart(thing, other) for other in kept):
            kept.append(thing)
    return size, kept


@settings(deadline=None, max_examples=40)
@given(scenes(OVERLAP, disjoint=True))
def test_what_is_smaller_than_the_overlap_is_found_once(
    scene: tuple[tuple[int, int], list[Thing]],
) -> None:
    size, there = scene
    assert sorted(found(size, *there)) == sorted(there)


@settings(deadline=None, max_examples=40)
@given(scenes(400, disjoint=True))
def test_what_is_larger_is_put_together_again(scene: tuple[tuple[int, int], list[Thing]]) -> None:
    size, there = scene
    assert sorted(found(size, *there)) == sorted(there)


@settings(deadline=None, max_examples=40)
@given(scenes(200, disjoint=False))
def test_nothing_is_lost_where_things_lie_over_each_other(
    scene: tuple[tuple[int, int], list[Thing]],
) -> None:
    size, there = scene
    seen = found(size, *there)
    for thing in there:
        assert any(not apart(thing, other) for other in seen)
    for label in (0, 1):
        scores = [score for each, score, _ in there if each == label]
        assert max((s for each, s, _ in seen if each == label), default=None) == (
            max(scores) if scores else None
        )


@pytest.mark.parametrize("x", range(52, 130, 4))  # no network finds less than four pixels
def test_a_thing_that_two_tiles_see_differently_is_not_lost(x: int) -> None:
    """Networks do not agree to the pixel; whoever sees it worse must not hide it."""

    class Shaky(Oracle):
        def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
            outputs = super().run(feeds)
            image = np.asarray(feeds["image"], np.float32)[0]
            if image[0, 0, 0] > 0:  # any tile but those on the left
                outputs["scores"] = np.asarray(outputs["scores"], np.float32) * np.float32(0.5)
                outputs["distances"] = np.asarray(outputs["distances"], np.float32) + 0.05
            return outputs

    there: Thing = (0, 0.9, (x, 20, x + 20, 40))
    defects = Detector(Shaky(there), CONFIG).detect(picture(220, 90))
    assert len(defects) == 1
    centre = (defects[0].box[:2] + defects[0].box[2:]) / 2
    assert np.abs(centre - (x + 10, 30)).max() < 3
    assert defects[0].score == pytest.approx(0.9 if x < 128 else 0.45)


TILES = np.array([[0, 0, 100, 100], [60, 0, 160, 100]], np.float32)


def joined(*of: tuple[int, float, tuple[int, int, int, int]]) -> list[tuple[list[float], float]]:
    """What is made of (tile, score, box), all of one class."""
    boxes, scores, _ = join_tiles(
        np.array([box for _, _, box in of], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in of], np.float32),
        np.zeros(len(of), np.intp),
        np.array([tile for tile, _, _ in of], np.intp),
        TILES,
        0.6,
    )
    pairs = zip(boxes.tolist(), scores.tolist(), strict=True)
    return sorted((box, round(score, 3)) for box, score in pairs)


def test_a_surer_piece_makes_the_whole_surer() -> None:
    """A rule with a high min_score must not miss what one tile was sure of."""
    assert joined((0, 0.9, (80, 10, 100, 30)), (1, 0.4, (80, 10, 120, 30))) == [
        ([80, 10, 120, 30], 0.9)
    ]


def test_a_piece_that_no_other_tile_knows_stays() -> None:
    assert joined((0, 0.9, (80, 10, 100, 30))) == [([80, 10, 100, 30], 0.9)]
    assert len(joined((0, 0.9, (80, 10, 100, 30)), (1, 0.9, (80, 60, 120, 80)))) == 2


def test_a_thing_inside_does_not_hide_what_was_cut_around_it() -> None:
    around, inside = (10, 10, 100, 60), (70, 20, 80, 30)
    assert len(joined((0, 0.9, around), (1, 0.9, inside), (0, 0.8, inside))) == 2


def test_pieces_meet_where_both_tiles_see_them() -> None:
    assert joined((0, 0.5, (5, 10, 100, 30)), (1, 0.7, (60, 11, 150, 31))) == [
        ([5, 10, 150, 31], 0.7)
    ]
    assert len(joined((0, 0.5, (5, 10, 100, 30)), (1, 0.7, (60, 40, 150, 60)))) == 2


def test_nothing_gives_nothing() -> None:
    assert joined() == []
