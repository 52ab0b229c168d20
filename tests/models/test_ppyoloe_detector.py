"""The detector as a whole, on networks that do what the test says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import EngineError, ImageError, ModelError
from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.decode import anchor_grid
from models.ppyoloe.detector import MAX_DEFECTS, Detector
from models.stopwatch import Stopwatch

LABELS = ("red", "green", "blue")
FRAME = np.zeros((480, 640, 3), np.uint8)


def config(**keys: object) -> DetectorConfig:
    said = {"variant": "t", "labels": LABELS, "size": (128, 96), "fit": "tile", "overlap": 32}
    return DetectorConfig.model_validate(said | keys)


@dataclass(frozen=True)
class Port:
    name: str = "image"
    shape: tuple[int | None, ...] = (1, 3, None, None)


class Spots:
    """Scores are the mean red, green, blue of a cell; boxes reach one stride each way."""

    def __init__(self, port: Port = Port()) -> None:
        self.inputs: Sequence[Port] = (port,)
        self.seen: list[NDArray[np.float32]] = []

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        image = np.asarray(feeds[self.inputs[0].name], np.float32)
        self.seen.append(image)
        _, channels, height, width = image.shape
        levels = [
            image.reshape(1, channels, height // s, s, width // s, s)
            .mean(axis=(3, 5))
            .reshape(1, channels, -1)
            for s in (32, 16, 8)
        ]
        scores = np.concatenate(levels, axis=2)
        return {"d": np.ones((1, 4, scores.shape[2]), np.float32), "s": scores}


def spot(image: NDArray[np.uint8], x: int, y: int, colour: str = "red", value: int = 255) -> None:
    """A bright cell of 8x8 pixels."""
    image[y : y + 8, x : x + 8, 2 - LABELS.index(colour)] = value


def test_a_defect_is_found_where_it_is() -> None:
    frame = np.zeros((96, 128, 3), np.uint8)
    spot(frame, 24, 48, "green", 230)
    (defect,) = Detector(Spots(), config()).detect(frame)
    assert (defect.label, defect.box.tolist()) == ("green", [20, 44, 36, 60])
    assert defect.score == pytest.approx(230 / 255)
    assert defect.box.dtype == np.float32


def test_the_surest_is_first_and_the_threshold_is_whose_is_given() -> None:
    frame = np.zeros((96, 128, 3), np.uint8)
    for x, value in ((0, 120), (40, 250), (80, 70)):
        spot(frame, x, 0, value=value)
    detector = Detector(Spots(), config())
    assert [round(d.score * 255) for d in detector.detect(frame)] == [250, 120]
    assert [round(d.score * 255) for d in detector.detect(frame, threshold=0.25)] == [250, 120, 70]
    assert detector.detect(frame, threshold=1.0) == ()
    with pytest.raises(ValueError, match="must be 0 to 1"):
        detector.detect(frame, threshold=float("nan"))


def test_what_was_left_out_is_said() -> None:
    findings = Detector(Spots(), config(threshold=0.3)).find(FRAME, threshold=0.1)
    assert (findings.threshold, findings.floor) == (0.3, 0.1)
    frame = np.full((640, 640, 3), 255, np.uint8)
    crowd = Detector(Spots(), config(size=(640, 640), nms_iou=0.9)).find(frame)
    assert len(crowd.defects) == MAX_DEFECTS
    assert crowd.floor > 1, "others as sure as these are missing"


def test_a_region_is_looked_at_alone_and_its_defects_lie_in_the_frame() -> None:
    frame = FRAME.copy()
    spot(frame, 303, 205)
    spot(frame, 200, 100)
    (defect,) = Detector(Spots(), config()).detect(frame, (263, 165, 359, 229))
    assert defect.box.tolist() == [299, 201, 315, 217]
    surer = config(threshold=0.7)  # than the grey of the padding
    (defect,) = Detector(Spots(), surer).detect(frame, (303, 205, 311, 213))
    assert defect.box.tolist() == [303, 205, 311, 213], "clipped to the region"


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
def test_a_region_beyond_the_picture_cannot_be_looked_at(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ImageError, match="not inside the picture of 640x480"):
        Detector(Spots(), config()).detect(FRAME, box)


@pytest.mark.parametrize("fit", ["letterbox", "resize"])
def test_boxes_of_a_scaled_picture_are_in_its_own_pixels(fit: str) -> None:
    frame = np.zeros((400, 800, 3), np.uint8)
    high = 50 if fit == "letterbox" else 25  # what a cell of the input is, 50 wide
    frame[200 : 200 + high, 400:450] = 255
    of = config(fit=fit, size=(128, 128), threshold=0.8)
    defects = Detector(Spots(), of).detect(frame)
    assert {d.label for d in defects} == set(LABELS)
    for defect in defects:
        box = [375, 200 - high / 2, 475, 200 + 1.5 * high]
        assert defect.box.tolist() == pytest.approx(box)


@pytest.mark.parametrize("size", [(128, 96), (100, 60), (128, 200), (400, 96), (500, 400)])
@pytest.mark.parametrize("fixed", [False, True])
def test_frames_of_any_size_go_through(size: tuple[int, int], fixed: bool) -> None:
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    spot(frame, size[0] - 8, size[1] - 8)
    network = Spots(Port(shape=(1, 3, 96, 128) if fixed else (1, 3, None, None)))
    # Cells of a tile need not lie on those of the spot: its score is spread.
    defects = Detector(network, config(threshold=0.2)).detect(frame)
    assert any((d.box[2:] >= np.array(size) - 4).all() for d in defects)
    assert all(
        (d.box[:2] >= 0).all() and (d.box[2:] <= np.array(size, np.float32)).all() for d in defects
    )
    if fixed:
        assert {seen.shape for seen in network.seen} == {(1, 3, 96, 128)}


def test_what_lies_in_the_padding_alone_is_no_defect() -> None:
    grey = Detector(Spots(), config(threshold=0.4))  # the padding itself scores 114/255
    assert grey.detect(np.zeros((96, 96, 3), np.uint8)) == ()
    for defect in grey.detect(np.zeros((90, 40, 3), np.uint8)):
        assert (defect.box[2:] <= [40, 90]).all()


def test_a_network_of_one_size_needs_a_configuration_of_that_size() -> None:
    with pytest.raises(ModelError, match=r"takes inputs of \(1, 3, 64, 64\)"):
        Detector(Spots(Port(shape=(1, 3, 64, 64))), config())
    with pytest.raises(ModelError, match="takes inputs of"):
        Detector(Spots(Port(shape=(1, 3))), config())


@pytest.mark.parametrize("which", ["d", "s"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_puts_out_no_numbers_is_no_sound_part(which: str, value: float) -> None:
    class Broken(Spots):
        def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
            outputs = super().run(feeds)
            spoilt = np.asarray(outputs[which], np.float32)
            spoilt[0, 1, 77] = value
            return outputs | {which: spoilt}

    with pytest.raises(EngineError, match="the detector puts out"):
        Detector(Broken(), config()).detect(FRAME)


def test_inputs_share_one_buffer() -> None:
    network = Spots()
    detector = Detector(network, config())
    detector.detect(FRAME)
    detector.detect(FRAME[:50, :60])
    assert len(network.seen) > 20
    assert all(np.shares_memory(seen, network.seen[0]) for seen in network.seen)


def test_stages_are_those_of_the_reader() -> None:
    watch = Stopwatch()
    Detector(Spots(), config()).detect(FRAME, watch=watch)
    assert list(watch.seconds) == ["pre", "infer", "post"]


def test_a_hundred_defects_among_8400_anchors_are_each_found() -> None:
    rng = np.random.default_rng(5)
    cells = rng.permutation(40 * 40)[:100]
    frame = np.zeros((640, 640, 3), np.uint8)
    for cell in cells.tolist():
        spot(frame, cell % 40 * 16, cell // 40 * 16, LABELS[cell % 3], 200)
    defects = Detector(Spots(), config(size=(640, 640))).detect(frame)
    assert len(defects) == 100
    assert anchor_grid(640, 640)[0].shape[1] == 8400
    centres = {tuple(((d.box[:2] + d.box[2:]) / 2).tolist()) for d in defects}
    inner = {(cell % 40 * 16 + 4.0, cell // 40 * 16 + 4.0) for cell in cells.tolist()}
    clipped = {(x if x > 4 else 6.0, y if y > 4 else 6.0) for x, y in inner}
    assert centres == clipped
