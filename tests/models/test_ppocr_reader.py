"""The reader under faults: regions that are not there, broken networks, too many lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import EngineError, ImageError
from models.ppocr.cls import CLS_BATCH
from models.ppocr.det import MARGIN, SMALL_SIDE, add_margin
from models.ppocr.reader import Mode, Reader

DICTIONARY = ("", "A", "B", " ")
MODES: tuple[Mode, ...] = ("page", "fixed", "label")


@dataclass(frozen=True)
class Port:
    name: str = "x"


class Network:
    """Stands for a network that fails as no real one can be made to."""

    def __init__(self, output: NDArray[np.float32]) -> None:
        self.inputs: Sequence[object] = (Port(),)
        self.shapes: list[tuple[int, ...]] = []
        self._output = output

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        (tensor,) = feeds.values()
        self.shapes.append(tensor.shape)
        return {"y": np.repeat(self._output, len(tensor), axis=0)}


def text_of(*classes: int, score: float = 0.95) -> NDArray[np.float32]:
    steps = np.full((1, 2 * len(classes), len(DICTIONARY)), 0.01, np.float32)
    steps[0, ::2, 0] = 0.9
    for step, index in enumerate(classes):
        steps[0, 2 * step + 1, index] = score
    return steps


def page_of_lines(rows: int, columns: int) -> NDArray[np.float32]:
    """A map of 640x640 full of little lines."""
    probability = np.zeros((1, 1, 640, 640), np.float32)
    for y in np.linspace(4, 620, rows).astype(int):
        for x in np.linspace(4, 600, columns).astype(int):
            probability[..., y : y + 8, x : x + 26] = 0.9
    return probability


UPRIGHT = np.array([[0.99, 0.01]], np.float32)
EMPTY_MAP = np.zeros((1, 1, 64, 64), np.float32)
FRAME = np.zeros((480, 640, 3), np.uint8)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "box",
    [
        (700, 0, 800, 100),
        (600, 400, 700, 470),
        (0, 400, 10, 481),
        (-50, -50, 100, 100),
        (5, 5, 5, 9),
        (100, 100, 90, 90),
    ],
)
def test_a_region_beyond_the_picture_cannot_be_read(
    mode: Mode, box: tuple[int, int, int, int]
) -> None:
    """An empty answer would let a rule pass that wants nothing there."""
    reader = Reader(Network(text_of(1)), DICTIONARY, Network(EMPTY_MAP))
    with pytest.raises(ImageError, match="not inside the picture of 640x480"):
        reader.read(FRAME, mode, box)


@given(st.sampled_from(MODES), st.integers(1, 300), st.integers(1, 300))
def test_a_region_of_any_size_is_read(mode: Mode, height: int, width: int) -> None:
    reader = Reader(
        Network(text_of(1, 2)), DICTIONARY, Network(np.ones((1, 1, 64, 64), np.float32))
    )
    x, y = 640 - width, 480 - height
    for line in reader.read(FRAME, mode, (x, y, 640, 480)):
        assert line.text == "AB"
        assert line.quad.min(axis=0).tolist() >= [x, y]
        assert line.quad.max(axis=0).tolist() <= [640, 480]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("mode", MODES)
def test_a_recogniser_that_puts_out_no_numbers_is_no_empty_line(mode: Mode, value: float) -> None:
    broken = text_of(1, 2)
    broken[0, 1, 2] = value
    reader = Reader(Network(broken), DICTIONARY, Network(page_of_lines(2, 2)))
    with pytest.raises(EngineError, match="the recogniser puts out values that are no numbers"):
        reader.read(np.zeros((640, 640, 3), np.uint8), mode)


def test_a_detector_that_puts_out_no_numbers_is_no_empty_page() -> None:
    probability = page_of_lines(2, 2)
    probability[..., 300, 300] = np.nan
    reader = Reader(Network(text_of(1)), DICTIONARY, Network(probability))
    with pytest.raises(EngineError, match="the detector puts out"):
        reader.read(FRAME, "page")


def test_an_angle_classifier_that_puts_out_no_numbers_is_not_believed() -> None:
    networks = (Network(page_of_lines(2, 2)), Network(UPRIGHT * np.nan))
    reader = Reader(Network(text_of(1)), DICTIONARY, *networks)
    with pytest.raises(EngineError, match="the angle classifier puts out"):
        reader.read(FRAME, "page")


def test_hundreds_of_lines_go_through_the_networks_in_small_batches() -> None:
    rec, cls = Network(text_of(1, 2)), Network(UPRIGHT)
    reader = Reader(rec, DICTIONARY, Network(page_of_lines(40, 16)), cls)
    lines = reader.read(np.zeros((640, 640, 3), np.uint8), "page")
    assert len(lines) == 640
    assert max(shape[0] for shape in cls.shapes) <= CLS_BATCH
    assert max(shape[0] * shape[3] for shape in rec.shapes) <= 8 * 320
    assert sum(shape[0] for shape in rec.shapes) == 640, "sure lines are read once"


def test_an_unsure_line_is_read_both_ways_and_the_surer_one_kept() -> None:
    class BothWays(Network):
        """Reads "B" well where the crop's left end is bright, else "A" badly."""

        def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
            (tensor,) = feeds.values()
            sure = [np.asarray(crop[..., :8], np.float32).mean() > 0 for crop in tensor]
            rows = [text_of(2) if each else text_of(1, score=0.6) for each in sure]
            return {"y": np.concatenate(rows)}

    probability = np.zeros((1, 1, 480, 640), np.float32)
    probability[..., 200:220, 100:300] = 0.9
    frame = FRAME.copy()
    frame[:, 200:] = 255  # dark on the left: the line is seen upside down
    reader = Reader(BothWays(text_of(1)), DICTIONARY, Network(probability))
    (line,) = reader.read(frame, "page")
    assert line.text == "B"
    assert line.score == pytest.approx(0.95)
    assert line.quad[0, 0] > line.quad[1, 0], "its first corner is the text's own top left"


def test_only_small_pictures_get_a_margin() -> None:
    large = np.zeros((SMALL_SIDE, 640, 3), np.uint8)
    assert add_margin(large)[0] is large
    small = np.zeros((SMALL_SIDE - 1, 640, 3), np.uint8)
    sheet, margin = add_margin(small)
    assert sheet.shape == (SMALL_SIDE - 1 + 2 * MARGIN, 640 + 2 * MARGIN, 3)
    assert margin == MARGIN
    assert sheet[margin:-margin, margin:-margin].max() == 0
    assert (sheet[:margin] == 127).all()


def test_quads_of_a_small_picture_are_in_its_own_pixels() -> None:
    probability = np.zeros((1, 1, 160, 256), np.float32)  # of 96x192 pixels and their margin
    probability[..., MARGIN + 40 : MARGIN + 60, MARGIN : MARGIN + 120] = 0.9
    reader = Reader(Network(text_of(1)), DICTIONARY, Network(probability))
    (line,) = reader.read(np.zeros((96, 192, 3), np.uint8), "page")
    assert line.quad[:, 0].min() == 0, "grown into the margin, and cut off again"
    assert line.quad[:, 0].max() == pytest.approx(120 + 14, abs=2)
    assert line.quad[:, 1].mean() == pytest.approx(50, abs=1)
