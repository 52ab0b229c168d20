"""The reader on real networks, against an independent implementation with the same weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rapidocr_onnxruntime import RapidOCR

from edge.families.ppocr import ZOO_READER, open_reader
from models.images import load_image
from models.ppocr.det import MEAN, STD, add_margin
from models.ppocr.geometry import UPRIGHT_RATIO, box_quad, crop_line
from models.ppocr.labels import Labelled, load_labels
from models.ppocr.reader import MAX_SIDE, Mode, Reader
from models.ppocr.rec import HEIGHT, plan_batches
from models.ppocr.score import exact, match_quads, quad_iou
from models.stopwatch import Stopwatch
from tools.line.render import render
from tools.line.world import PartTruth

pytestmark = pytest.mark.slow

Image = NDArray[np.uint8]

WIRE_MARKERS = Path(__file__).parents[1] / "data" / "wire_markers"

PARTS = {"carton": 46, "cap": 60, "marker": 60}
"""How many of each kind are drawn: more than 300 lines."""


@dataclass(frozen=True)
class Peer:
    """RapidOCR, told to look at frames as we do."""

    ocr: Any

    def boxes(self, sheet: Image) -> list[NDArray[np.float32]]:
        found, _ = self.ocr.text_det(sheet)
        return [np.asarray(quad, np.float32) for quad in found]

    def texts(self, crops: list[Image], width: int = 320) -> list[str]:
        """Read crops one by one on inputs of at least that width."""
        self.ocr.text_rec.rec_image_shape = [3, HEIGHT, width]
        return [self.ocr.text_rec([crop])[0][0][0] for crop in crops]

    def turns(self, crops: list[Image]) -> list[bool]:
        _, decisions, _ = self.ocr.text_cls(crops)
        return [label == "180" and score > 0.9 for label, score in decisions]


@pytest.fixture(scope="module")
def reader() -> Reader:
    zoo = ZOO_READER
    return open_reader(zoo["rec"], zoo["dictionary"], zoo["det"], zoo["cls"], threads=2)


@pytest.fixture(scope="module")
def peer() -> Peer:
    return Peer(
        RapidOCR(
            intra_op_num_threads=2,
            inter_op_num_threads=1,
            det_mean=list(MEAN),
            det_std=list(STD),
            det_limit_type="max",
            det_limit_side_len=MAX_SIDE,
        )
    )


def upside(image: Image) -> Image:
    return np.ascontiguousarray(image[::-1, ::-1])


def samples(kind: str) -> list[Labelled]:
    return load_labels(WIRE_MARKERS / kind / "labels.txt")


@pytest.fixture(scope="module")
def crops() -> list[Image]:
    """Lines of good and bad parts, upright, and the photos of wire markers."""
    cut = [
        crop_line(image, line.quad, HEIGHT)[0]
        for kind, count in PARTS.items()
        for image, truth in (render(kind, 41, index, ng=0.3) for index in range(count))
        for line in truth.lines
    ]
    assert len(cut) > 300
    return [*cut, *(load_image(item.path) for item in samples("rec"))]


@pytest.fixture(scope="module")
def cartons() -> list[tuple[Image, PartTruth]]:
    return [render("carton", 42, index, ng=0.3) for index in range(60)]


@pytest.fixture(scope="module")
def texts(reader: Reader, crops: list[Image]) -> list[str]:
    return [text for text, _ in reader.recognise(crops, Stopwatch())]


def disagreements(ours: list[str], theirs: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for a, b in zip(ours, theirs, strict=True) if not exact(a, b)]


def test_recogniser_agrees(peer: Peer, crops: list[Image], texts: list[str]) -> None:
    """Theirs pads to 320 pixels at least, ours to multiples of 64: now and then that shows."""
    different = disagreements(texts, peer.texts(crops))
    assert len(different) <= 0.01 * len(crops), different


def test_recogniser_is_equal_on_inputs_of_equal_width(
    peer: Peer, crops: list[Image], texts: list[str]
) -> None:
    some = slice(0, None, 3)
    for width, members in plan_batches(crops[some]):
        theirs = peer.texts([crops[some][i] for i in members], width)
        assert not disagreements([texts[some][i] for i in members], theirs)


def test_angle_classifier_agrees(reader: Reader, peer: Peer, crops: list[Image]) -> None:
    """On every line and its turn by half."""
    both = [*crops, *map(upside, crops)]
    ours = reader._which_to_turn(both, Stopwatch())
    agree = np.equal(ours, peer.turns(both))
    assert agree.mean() >= 0.99
    right = np.equal(ours, np.arange(len(both)) >= len(crops))
    assert right.mean() > 0.95


def test_boxes_agree(reader: Reader, peer: Peer, cartons: list[tuple[Image, PartTruth]]) -> None:
    """On the same input: the photos, being small, are given to both with their margin."""
    photos = [load_image(item.path) for item in samples("det")]
    theirs_total = ours_total = agreeing = 0
    for image in [*(image for image, _ in cartons), *photos]:
        sheet, margin = add_margin(image)
        theirs = [quad - np.float32(margin) for quad in peer.boxes(sheet)]
        ours = reader.find(image, Stopwatch())
        theirs_total += len(theirs)
        ours_total += len(ours)
        agreeing += sum(max(quad_iou(one, two) for two in theirs) >= 0.9 for one in ours)
    assert theirs_total > 200
    assert agreeing >= 0.98 * max(ours_total, theirs_total)


def test_an_upside_down_frame_reads_the_same(
    reader: Reader, cartons: list[tuple[Image, PartTruth]]
) -> None:
    """And every quad starts at the text's own top left."""
    same = total = 0
    for image, truth in cartons[:12]:
        last = np.array([image.shape[1] - 1, image.shape[0] - 1], np.float32)
        upright, turned = reader.read(image, "page"), reader.read(upside(image), "page")
        quads = [line.quad for line in upright]
        quads_back = [last - line.quad for line in turned]
        pairs = match_quads(quads_back, quads)
        total += len(upright)
        same += sum(exact(turned[j].text, upright[i].text) for i, j in pairs.items())
        for found in (quads, quads_back):
            for i, j in match_quads(found, [line.quad for line in truth.lines]).items():
                away = np.linalg.norm(found[j] - truth.lines[i].quad[0], axis=1)
                assert away.argmin() == 0, truth.lines[i].text
    assert total > 40
    assert same >= 0.97 * total


@pytest.mark.parametrize("mode", ["page", "fixed", "label"])
def test_a_region_reads_like_its_picture_alone(
    reader: Reader, mode: Mode, cartons: list[tuple[Image, PartTruth]]
) -> None:
    for image, truth in cartons[:3]:
        quad = truth.lines[0].quad
        x0, y0 = (int(n) for n in np.floor(quad.min(axis=0) - 8).clip(0))
        x1, y1 = (int(n) for n in np.ceil(quad.max(axis=0) + 8).clip(0, image.shape[1::-1]))
        inside = reader.read(image, mode, (x0, y0, x1, y1))
        alone = reader.read(image[y0:y1, x0:x1].copy(), mode)
        assert [line.text for line in inside] == [line.text for line in alone]
        assert len(inside) > 0
        for one, two in zip(inside, alone, strict=True):
            assert np.allclose(one.quad, two.quad + np.array([x0, y0], np.float32))
            assert one.char_scores == pytest.approx(two.char_scores)


def test_print_that_touches_the_edge_of_its_region_is_found(
    reader: Reader, cartons: list[tuple[Image, PartTruth]]
) -> None:
    hits = total = 0
    for image, truth in cartons[:12]:
        for line in (line for line in truth.lines if line.text):
            x0, y0 = np.floor(line.quad.min(axis=0)).astype(int).clip(0).tolist()
            x1, y1 = np.ceil(line.quad.max(axis=0)).astype(int).tolist()
            box = (x0, y0, min(x1, image.shape[1]), min(y1, image.shape[0]))
            total += 1
            hits += any(exact(found.text, line.text) for found in reader.read(image, "page", box))
    assert total > 40
    assert hits >= 0.95 * total


def test_a_label_reads_the_same_whichever_way_it_lies(reader: Reader) -> None:
    for item in samples("rec"):
        image = load_image(item.path)
        height, width = image.shape[:2]
        ways = [image, upside(image)]
        if width >= height * UPRIGHT_RATIO:
            ways += [np.ascontiguousarray(np.rot90(image, turns)) for turns in (1, 3)]
        lines = [reader.read(way, "label")[0] for way in ways]
        assert len({line.text for line in lines}) == 1, item.path.name
        assert lines[0].quad.tolist() != lines[1].quad.tolist(), "the text's own top left moved"


def test_labels_are_read_right(reader: Reader) -> None:
    items = samples("rec")
    read = [reader.read(load_image(item.path), "label")[0].text for item in items]
    right = sum(exact(text, item.text or "") for text, item in zip(read, items, strict=True))
    assert right >= len(items) - 2, read


def test_a_fixed_region_is_read_as_it_lies(reader: Reader) -> None:
    right = total = 0
    for index in range(8):
        image, truth = render("carton", 43, index, ng=0.0)
        for line in truth.lines:
            crop, _ = crop_line(image, line.quad, HEIGHT)
            (read,) = reader.read(crop, "fixed")
            (turned,) = reader.read(upside(crop), "fixed")
            assert np.array_equal(read.quad, box_quad(0, 0, crop.shape[1], crop.shape[0]))
            assert read.score > turned.score
            total += 1
            right += exact(read.text, line.text)
    assert right >= 0.95 * total
