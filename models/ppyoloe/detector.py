"""PP-YOLOE as a whole: a frame in, defects out, by whatever engine it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import ImageError, ModelError
from models.ppyoloe.config import DetectorConfig
from models.ppyoloe.decode import anchor_grid, check_outputs, choose, decode
from models.ppyoloe.nms import suppress
from models.ppyoloe.prepare import View, fill_input, plan_views, value_tables
from models.ppyoloe.tiles import join_tiles
from models.results import Defect, Findings
from models.stopwatch import Stopwatch

__all__ = ["INPUT", "Detector", "Network", "Port"]

INPUT = "image"
"""What an exported network calls its input."""

MAX_CANDIDATES = 1000
"""Of a class, before suppression: PaddleDetection's ``nms_top_k``. Also of a picture in tiles."""

MAX_DEFECTS = 300
"""Of a region: PaddleDetection's ``keep_top_k``."""


class Port(Protocol):
    """One input of a network; ``edge.engines.TensorSpec`` is one."""

    @property
    def name(self) -> str:
        """As the network calls it."""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """``None`` where any size goes."""


class Network(Protocol):
    """What the detector needs of an inference engine; ``edge.engines.Engine`` is one."""

    @property
    def inputs(self) -> Sequence[Port]:
        """Input descriptions."""

    def run(self, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """One inference: distances ``(1, 4, A)`` and scores ``(1, C, A)``, in this order."""


@dataclass(frozen=True)
class _Found:
    """Boxes ``(N, 4)``, scores ``(N,)``, classes ``(N,)``, and the score from which all are in."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.intp]
    floor: float


def _surest(
    scores: NDArray[np.float32], limit: int, floor: float
) -> tuple[NDArray[np.intp], float]:
    """Indices of the highest scores, in order, and the score from which on none is missing."""
    order = np.argsort(-scores, kind="stable")
    if order.size > limit:
        floor = max(floor, float(np.nextafter(scores[order[limit]], np.float32(2))))
    return order[:limit], floor


class Detector:
    """Finds defects with one network. One thread at a time may use it.

    Parameters
    ----------
    engine
        The network.
    config
        What goes with it.

    Raises
    ------
    ModelError
        The network takes inputs of one size only, and it is not that of the configuration.
    """

    def __init__(self, engine: Network, config: DetectorConfig) -> None:
        self.config = config
        self._engine, self._input = engine, engine.inputs[0].name
        width, height = config.size
        expected = (1, 3, height, width)
        shape = engine.inputs[0].shape
        if len(shape) != 4 or any(n not in (None, m) for n, m in zip(shape, expected, strict=True)):
            raise ModelError(
                f"the detector takes inputs of {shape}, its configuration asks for {expected}: "
                "write its own size there"
            )
        self._fixed = any(side is not None for side in shape[2:])
        self._tables = value_tables(config)
        self._buffer = np.empty(3 * height * width, np.float32)

    def detect(
        self,
        image: NDArray[np.uint8],
        box: tuple[int, int, int, int] | None = None,
        watch: Stopwatch | None = None,
        threshold: float | None = None,
    ) -> tuple[Defect, ...]:
        """The defects that :meth:`find` finds, the surest first."""
        return self.find(image, box, watch, threshold).defects

    def find(
        self,
        image: NDArray[np.uint8],
        box: tuple[int, int, int, int] | None = None,
        watch: Stopwatch | None = None,
        threshold: float | None = None,
    ) -> Findings:
        """Look for defects in one region of a frame.

        Parameters
        ----------
        image
            ``(H, W, 3) uint8`` BGR.
        box
            xyxy pixels of the region; the whole frame if ``None``.
        watch
            Is told the time of the stages ``pre``, ``infer`` and ``post``.
        threshold
            Score from which a defect is reported, 0 to 1; the configuration's own if ``None``.

        Returns
        -------
        At most 300 defects, the surest first, in pixels of the frame, clipped to the region.

        Raises
        ------
        ImageError
            The box is not inside the frame: what it asks for cannot be seen.
        EngineError
            The network puts out what is no number, or something else than it should.
        """
        watch = watch or Stopwatch()
        height, width = image.shape[:2]
        x0, y0, x1, y1 = box or (0, 0, width, height)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ImageError(
                f"box [{x0}, {y0}, {x1}, {y1}]: not inside the picture of {width}x{height} "
                "pixels: mend the region's box, or the camera's width and height"
            )
        least = self.config.threshold if threshold is None else threshold
        if not 0 <= least <= 1:  # nothing is above NaN
            raise ValueError(f"threshold {least}: must be 0 to 1")
        region = image[y0:y1, x0:x1]
        views = plan_views(x1 - x0, y1 - y0, self.config, fixed=self._fixed)
        found = [self._look(region, view, least, watch) for view in views]
        with watch("post"):
            every = self._joined(found, views)
            order, floor = _surest(every.scores, MAX_DEFECTS, every.floor)
            boxes = every.boxes[order] + np.array([x0, y0, x0, y0], np.float32)
            defects = tuple(
                Defect(self.config.labels[index], min(score, 1.0), place)
                for index, score, place in zip(
                    every.classes[order].tolist(), every.scores[order].tolist(), boxes, strict=True
                )
            )
        return Findings(defects=defects, threshold=self.config.threshold, floor=floor)

    def _look(
        self, region: NDArray[np.uint8], view: View, threshold: float, watch: Stopwatch
    ) -> _Found:
        """What one input of the network shows, in pixels of the region."""
        width, height = view.size
        with watch("pre"):
            tensor = self._buffer[: 3 * height * width].reshape(1, 3, height, width)
            fill_input(tensor[0], region, view, self._tables)
        with watch("infer"):
            outputs = list(self._engine.run({self._input: tensor}).values())
        with watch("post"):
            anchors = anchor_grid(height, width)[0].shape[1]
            distances, scores = check_outputs(outputs, len(self.config.labels), anchors)
            classes, chosen, floor = choose(scores, threshold, MAX_CANDIDATES)
            boxes = decode(distances, chosen, height, width)
            values = scores[classes, chosen]
            kept = suppress(boxes, values, classes, self.config.nms_iou)
            boxes = boxes[kept]
            # What lies wholly in the padding is no defect of the part.
            shown = np.array(view.shown, np.float32)
            inside = ((boxes[:, 2:] >= 0) & (boxes[:, :2] <= shown)).all(axis=1)
            kept, boxes = kept[inside], boxes[inside]
            np.clip(boxes, 0, np.tile(shown, 2), out=boxes)
            boxes /= np.tile(np.array(view.scale, np.float32), 2)
            boxes += np.tile(np.array(view.box[:2], np.float32), 2)
            return _Found(boxes, values[kept], classes[kept], floor)

    def _joined(self, found: Sequence[_Found], views: Sequence[View]) -> _Found:
        """What all inputs show of a region, each thing once."""
        if len(found) == 1:
            return found[0]
        owners = np.repeat(np.arange(len(found)), [each.scores.size for each in found])
        scores = np.concatenate([each.scores for each in found])
        order, floor = _surest(scores, MAX_CANDIDATES, max(each.floor for each in found))
        boxes, scores, classes = join_tiles(
            np.concatenate([each.boxes for each in found])[order],
            scores[order],
            np.concatenate([each.classes for each in found])[order],
            owners[order],
            np.array([view.box for view in views], np.float32),
            self.config.nms_iou,
        )
        return _Found(boxes, scores, classes, floor)
