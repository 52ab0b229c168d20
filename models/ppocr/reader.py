"""PP-OCRv4 as a whole: a frame in, lines of text out, by whatever engines it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import EngineError, ImageError
from models.ppocr.cls import CLS_BATCH, cls_input, upside_down
from models.ppocr.det import add_margin, det_input, det_quads
from models.ppocr.geometry import (
    UPRIGHT_RATIO,
    box_quad,
    crop_line,
    quad_size,
    reading_order,
    turned,
)
from models.ppocr.rec import HEIGHT, ctc_decode, plan_batches, rec_input
from models.results import TextLine
from models.stopwatch import Stopwatch

__all__ = ["Mode", "Reader", "Runner"]

Mode = Literal["page", "fixed", "label"]
"""*page*: find all lines. *fixed*: the region is one line. *label*: the region is one small tight
label, either way up."""

MAX_SIDE = 960
"""Pixels of the detector's longest input side; see docs/benchmarks.md for what others cost."""

MIN_LINE = 4.0
"""Pixels; a line less high than this cannot be read by anyone."""

TEXT_THRESHOLD = 0.5
"""Mean character probability below which a found line is texture rather than text (PaddleOCR's
``drop_score``). In *page* mode alone: where a line must be, its poor reading is the finding."""

UNSURE = 0.8
"""Mean character probability below which a found line is read the other way up too, in case the
angle classifier was wrong. Good print is above, so that this costs nothing there."""


class Runner(Protocol):
    """What the reader needs of an inference engine; ``edge.engines.Engine`` is one."""

    @property
    def inputs(self) -> Sequence[object]:
        """Input descriptions; each has a ``name``."""

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """One inference."""


Reading = tuple[str, tuple[float, ...]]


def _mean(scores: Sequence[float]) -> float:
    return float(np.mean(scores)) if scores else 0.0


def _upside_down(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[::-1, ::-1])


def _infer(engine: Runner, tensor: NDArray[np.float32], role: str) -> NDArray[np.float32]:
    """The one output of a PP-OCR network; NaN would pass for an empty frame further on."""
    name = str(getattr(engine.inputs[0], "name"))  # noqa: B009
    output = np.asarray(next(iter(engine.run({name: tensor}).values())), np.float32)
    if not np.isfinite(output.sum()):
        raise EngineError(
            f"the {role} puts out values that are no numbers: its model file or its engine is "
            "faulty, take another"
        )
    return output


class Reader:
    """Reads print with a recogniser, and with a detector and an angle classifier if given.

    Parameters
    ----------
    rec
        The recogniser.
    dictionary
        Its characters, from :func:`models.ppocr.rec.load_dictionary`.
    det
        The detector; *page* mode needs it.
    cls
        The angle classifier; without it, *page* mode takes every line to be upright, except those
        that read badly so.
    max_side
        Longest side of the detector's input, pixels.
    """

    def __init__(
        self,
        rec: Runner,
        dictionary: Sequence[str],
        det: Runner | None = None,
        cls: Runner | None = None,
        max_side: int = MAX_SIDE,
    ) -> None:
        self._rec, self._det, self._cls = rec, det, cls
        self._dictionary = dictionary
        self._max_side = max_side

    def read(
        self,
        image: NDArray[np.uint8],
        mode: Mode,
        box: tuple[int, int, int, int] | None = None,
        watch: Stopwatch | None = None,
    ) -> tuple[TextLine, ...]:
        """Read one region of a frame.

        Parameters
        ----------
        image
            ``(H, W, 3) uint8`` BGR.
        mode
            How to look; see :data:`Mode`.
        box
            xyxy pixels of the region; the whole frame if ``None``.
        watch
            Is told the time of the stages ``pre``, ``infer`` and ``post``.

        Returns
        -------
        Lines in reading order, in pixels of the frame. *fixed* and *label* always give one line,
        its text empty if nothing is there.

        Raises
        ------
        ImageError
            The box is not inside the frame: what it asks for cannot be seen.
        EngineError
            A network puts out what is no number.
        """
        watch = watch or Stopwatch()
        height, width = image.shape[:2]
        x0, y0, x1, y1 = box or (0, 0, width, height)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ImageError(
                f"box [{x0}, {y0}, {x1}, {y1}]: not inside the picture of {width}x{height} "
                "pixels: mend the region's box, or the camera's width and height"
            )
        region = image[y0:y1, x0:x1]
        if mode == "page":
            lines = self.page(region, watch)
        elif mode == "fixed":
            lines = (self.fixed(region, watch),)
        else:
            lines = (self.label(region, watch),)
        if (x0, y0) == (0, 0):
            return lines
        offset = np.array([x0, y0], np.float32)
        return tuple(
            TextLine(line.text, line.score, line.quad + offset, line.char_scores) for line in lines
        )

    def page(self, image: NDArray[np.uint8], watch: Stopwatch) -> tuple[TextLine, ...]:
        """Find and read all lines; those that are no text are left out."""
        quads = self.find(image, watch)
        with watch("pre"):
            cut = [crop_line(image, quad, HEIGHT) for quad in quads]
            crops, shown = [crop for crop, _ in cut], [quad for _, quad in cut]
        for index in np.flatnonzero(self._which_to_turn(crops, watch)):
            crops[index], shown[index] = _upside_down(crops[index]), turned(shown[index])
        readings = self.recognise(crops, watch)
        unsure = [i for i, (_, scores) in enumerate(readings) if _mean(scores) < UNSURE]
        again = self.recognise([_upside_down(crops[i]) for i in unsure], watch)
        for index, reading in zip(unsure, again, strict=True):
            if _mean(reading[1]) > _mean(readings[index][1]):
                readings[index], shown[index] = reading, turned(shown[index])
        lines = (
            TextLine(text, _mean(scores), quad, scores)
            for (text, scores), quad in zip(readings, shown, strict=True)
        )
        return tuple(line for line in lines if line.score >= TEXT_THRESHOLD)

    def fixed(self, image: NDArray[np.uint8], watch: Stopwatch) -> TextLine:
        """Read a region that is one upright line."""
        ((text, scores),) = self.recognise([image], watch)
        quad = box_quad(0, 0, image.shape[1], image.shape[0])
        return TextLine(text, _mean(scores), quad, scores)

    def label(self, image: NDArray[np.uint8], watch: Stopwatch) -> TextLine:
        """Read a region that is one small label, both ways up, and keep the surer reading."""
        height, width = image.shape[:2]
        quad = box_quad(0, 0, width, height)
        if height >= width * UPRIGHT_RATIO:
            image, quad = np.rot90(image), np.roll(quad, -1, axis=0)
        readings = self.recognise([np.ascontiguousarray(image), _upside_down(image)], watch)
        best = max((0, 1), key=lambda way: _mean(readings[way][1]))
        text, scores = readings[best]
        return TextLine(text, _mean(scores), turned(quad) if best else quad, scores)

    def find(self, image: NDArray[np.uint8], watch: Stopwatch) -> list[NDArray[np.float32]]:
        """Quads ``(4, 2) float32`` of all lines, in reading order."""
        if self._det is None:
            raise ValueError("page mode needs a detector")
        with watch("pre"):
            sheet, margin = add_margin(image)
            tensor = det_input(sheet, self._max_side)
        with watch("infer"):
            probability = _infer(self._det, tensor, "detector")[0, 0]
        with watch("post"):
            quads, _ = det_quads(probability, sheet.shape[0], sheet.shape[1])
            last = np.array([image.shape[1] - 1, image.shape[0] - 1], np.float32)
            quads = (quads - np.float32(margin)).clip(0, last)
            quads = quads[reading_order(quads)]
            return [quad for quad in quads if min(quad_size(quad)) >= MIN_LINE]

    def recognise(self, crops: Sequence[NDArray[np.uint8]], watch: Stopwatch) -> list[Reading]:
        """Texts and character probabilities of crops ``(h, w, 3) uint8`` BGR, in their order."""
        readings: list[Reading] = [("", ())] * len(crops)
        for width, members in plan_batches(crops):
            with watch("pre"):
                tensor = rec_input([crops[i] for i in members], width)
            with watch("infer"):
                probabilities = _infer(self._rec, tensor, "recogniser")
            with watch("post"):
                decoded = ctc_decode(probabilities, self._dictionary)
                for index, reading in zip(members, decoded, strict=True):
                    readings[index] = reading
        return readings

    def _which_to_turn(
        self, crops: Sequence[NDArray[np.uint8]], watch: Stopwatch
    ) -> NDArray[np.bool_]:
        which = np.zeros(len(crops), np.bool_)
        if self._cls is None:
            return which
        for start in range(0, len(crops), CLS_BATCH):
            batch = slice(start, start + CLS_BATCH)
            with watch("pre"):
                tensor = cls_input(crops[batch])
            with watch("infer"):
                probabilities = _infer(self._cls, tensor, "angle classifier")
            with watch("post"):
                which[batch] = upside_down(probabilities)
        return which
