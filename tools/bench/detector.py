"""What finding defects costs beyond the network, on pictures of a hundred defects."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines import Engine, TensorSpec, open_engine
from models.ppyoloe.config import read_config, sidecar
from models.ppyoloe.detector import INPUT, Detector
from models.stopwatch import Stopwatch
from models.zoo import resolve
from tools.bench.stats import median_ratio
from tools.line.board import photos

__all__ = ["SIDE", "beyond_network", "montage"]

SIDE = 640
"""Pixels of a picture: 8,400 anchors."""

CELL = 64
"""Pixels of a cut-out: one defect on each, so that a picture holds a hundred."""

BOXES = 100
"""That are to be found on each picture, more or less."""

FAINT = 0.001
"""Score from which candidates are looked at to choose the threshold."""

PAUSE_S = 0.03
"""Before each measurement: the engine's threads spin on for some milliseconds after their work."""

WARM = 3
"""Pictures that are looked at before any is timed."""


class _Watched:
    """An engine that keeps the scores which it put out last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.scores: NDArray[np.generic] = np.empty(0, np.float32)

    @property
    def inputs(self) -> Sequence[TensorSpec]:
        return self._engine.inputs

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.generic]]:
        outputs: dict[str, NDArray[np.generic]] = dict(self._engine.run(feeds))
        self.scores = list(outputs.values())[1]
        return outputs


def montage(seed: int) -> NDArray[np.uint8]:
    """``(640, 640, 3) uint8`` of cut-outs from photos of boards, a real defect on each."""
    rng = np.random.default_rng(seed)
    defects = [(photo.image, box) for photo in photos() for box in photo.boxes]
    picture = np.empty((SIDE, SIDE), np.uint8)
    for top in range(0, SIDE, CELL):
        for left in range(0, SIDE, CELL):
            image, box = defects[rng.integers(len(defects))]
            middle = (box[:2] + box[2:]) / 2 + rng.uniform(-CELL / 5, CELL / 5, 2)
            limit = np.array(image.shape[::-1]) - CELL
            x, y = np.clip(middle - CELL / 2, 0, limit).astype(int)
            cut = image[y : y + CELL, x : x + CELL]
            picture[top : top + CELL, left : left + CELL] = np.rot90(cut, rng.integers(4))
    return np.repeat(picture[:, :, None], 3, axis=2)


def beyond_network(model: str, threads: int, images: int) -> dict[str, Any]:
    """Find the defects of ``images`` montages and time what the detector does.

    The threshold is the one at which some hundred boxes are left of the first picture.

    Parameters
    ----------
    model
        Path, or ``zoo:NAME``; ONNX.

    Returns
    -------
    Medians in milliseconds of the network, of what comes before and after, and the share of the
    latter in the network's time, per cent, with its 95% bootstrap interval over pictures; how many
    candidates (a score of one class at one anchor) went in and how many boxes came out.
    """
    path = resolve(model)
    config = read_config(sidecar(path)).model_copy(update={"size": (SIDE, SIDE)})
    engine = open_engine(path, threads=threads, sample={INPUT: (1, 3, SIDE, SIDE)})
    watched = _Watched(engine)
    detector = Detector(watched, config)
    found = sorted((d.score for d in detector.detect(montage(0), threshold=FAINT)), reverse=True)
    threshold = found[min(BOXES, len(found)) - 1]
    rows = []
    for number in range(-WARM, images):
        picture, watch = montage(abs(number)), Stopwatch()
        time.sleep(PAUSE_S)
        defects = detector.detect(picture, watch=watch, threshold=threshold)
        if number >= 0:
            candidates = int((watched.scores >= np.float32(threshold)).sum())
            rows.append(
                [*(watch.seconds[s] for s in ("pre", "infer", "post")), candidates, len(defects)]
            )
    pre, infer, post, candidates, boxes = np.array(rows).T
    share = median_ratio(post, infer)
    return {
        "model": Path(model).name,
        "precision": engine.precision,
        "threads": threads,
        "images": images,
        "anchors": int(watched.scores.shape[2]),
        "threshold": round(float(threshold), 4),
        "candidates": float(np.median(candidates)),
        "boxes": float(np.median(boxes)),
        "pre_ms": round(float(np.median(pre)) * 1000, 3),
        "infer_ms": round(share.ours_ms, 3),
        "post_ms": round(share.theirs_ms, 3),
        "percent": round(share.ratio * 100, 2),
        "low": round(share.low * 100, 2),
        "high": round(share.high * 100, 2),
    }
