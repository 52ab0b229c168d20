"""Finding defects, with the official code around a plain engine, and with ours around the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engines import open_engine
from models.ppyoloe.config import read_config, sidecar
from models.ppyoloe.detector import INPUT, Detector
from models.results import Defect
from models.stopwatch import Stopwatch
from models.zoo import resolve
from tools.bench.detector import PAUSE_S, SIDE, WARM, montage
from tools.bench.peer_process import PeerProcess
from tools.bench.stats import median_ratio
from tools.line import render
from tools.line.board import SIZE

__all__ = ["against_official", "differing"]

SEED = 7

FAINT = 0.01
"""PaddleDetection's own threshold, from which a curve of precision and recall is drawn."""

EDGE_PX, SCORE = 0.1, 1e-3
"""By how much an edge and a score may differ of boxes that are the same."""

STAGES = ("pre", "infer", "post")

Answer = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Seconds of each stage ``(3,)``, and boxes ``(N, 6)``: class, score, xyxy."""


def differing(ours: NDArray[np.float64], theirs: NDArray[np.float64], size: tuple[int, int]) -> int:
    """How many boxes of a picture one side has alone.

    Parameters
    ----------
    ours, theirs
        ``(N, 6) float64``: class, score, xyxy. Edges outside the picture count as its own.
    size
        Width and height of the picture.
    """
    one, other = (each.reshape(-1, 6).copy() for each in (ours, theirs))
    for boxes in (one, other):
        np.clip(boxes[:, 2:], 0, np.tile(size, 2), out=boxes[:, 2:])
    apart = np.abs(one[:, None] - other[None])
    same = (apart <= (0.5, SCORE, *(EDGE_PX,) * 4)).all(axis=2)
    partners = 0
    for row in same:  # each has one partner at most
        free = np.flatnonzero(row)
        if free.size:
            same[:, free[0]] = False
            partners += 1
    return len(one) + len(other) - 2 * partners


def _official(peer: PeerProcess) -> Callable[[NDArray[np.uint8]], Answer]:
    def look(image: NDArray[np.uint8]) -> Answer:
        answer = peer.look(image)
        boxes = np.array(answer["boxes"], np.float64).reshape(-1, 6)
        return np.array([answer[stage] for stage in STAGES]), boxes

    return look


def _ours(
    detector: Detector, labels: Sequence[str], threshold: float
) -> Callable[[NDArray[np.uint8]], Answer]:
    def row(defect: Defect) -> list[float]:
        return [labels.index(defect.label), defect.score, *map(float, defect.box)]

    def look(image: NDArray[np.uint8]) -> Answer:
        watch = Stopwatch()
        defects = detector.detect(image, watch=watch, threshold=threshold)
        boxes = np.array([row(each) for each in defects], np.float64).reshape(-1, 6)
        return np.array([watch.seconds[stage] for stage in STAGES]), boxes

    return look


def against_official(
    model: str,
    threads: int,
    images: int,
    watched: Callable[[Iterable[str]], Iterable[str]] = iter,
) -> dict[str, Any]:
    """Look for defects on rendered boards and on montages, turn about, at two thresholds.

    A picture is as large as the network's input, so that neither side scales it.

    Parameters
    ----------
    model
        Path, or ``zoo:NAME``; ONNX, and takes any size.
    watched
        Shows how far it is.

    Returns
    -------
    Of each set and threshold, medians of the stages of both in milliseconds; how many times as
    long the official code takes before and after the network, and in all, with 95% intervals;
    ``boxes`` of both sides and how many of them are ``differing``.

    Raises
    ------
    DeviceError
        PaddleDetection does not open.
    """
    path = resolve(model)
    config = read_config(sidecar(path))
    sets: dict[str, tuple[tuple[int, int], Callable[[int], NDArray[np.uint8]]]] = {
        "boards": (SIZE, lambda index: render("board", SEED, index, size=SIZE, ng=1.0)[0]),
        "montages": ((SIDE, SIDE), montage),
    }
    rows, version = [], ""
    for name in watched(sets):
        size, draw = sets[name]
        engine = open_engine(path, threads=threads, sample={INPUT: (1, 3, size[1], size[0])})
        detector = Detector(engine, config.model_copy(update={"size": size}))
        for threshold in (config.threshold, FAINT):
            settings = {
                "model": str(path),
                "size": size,
                "threshold": threshold,
                "nms_iou": config.nms_iou,
            }
            with PeerProcess("paddledet", threads, settings) as peer:
                sides = (_ours(detector, config.labels, threshold), _official(peer))
                # Those that come first only warm up.
                numbers = [*range(images, images + WARM), *range(images)]
                figures = _figures(map(draw, numbers), sides, size)
                version = peer.version
            rows.append({"set": name, "size": list(size), "threshold": threshold, **figures})
    return {
        "model": Path(model).name,
        "official": f"paddledet {version}",
        "threads": threads,
        "images": images,
        "rows": rows,
    }


def _figures(
    pictures: Iterable[NDArray[np.uint8]],
    sides: Sequence[Callable[[NDArray[np.uint8]], Answer]],
    size: tuple[int, int],
) -> dict[str, Any]:
    """Of pictures whose first :data:`WARM` do not count."""
    times: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    boxes = apart = 0
    for number, picture in enumerate(pictures):
        found = {}
        for side in (0, 1) if number % 2 else (1, 0):
            time.sleep(PAUSE_S)
            seconds, found[side] = sides[side](picture)
            times[side].append(seconds)
        if number >= WARM:
            boxes += len(found[0]) + len(found[1])
            apart += differing(found[0], found[1], size)
    ours, theirs = (np.array(each[WARM:]) for each in times)
    around = median_ratio(theirs[:, [0, 2]].sum(axis=1), ours[:, [0, 2]].sum(axis=1))
    whole = median_ratio(theirs.sum(axis=1), ours.sum(axis=1))
    return {
        "our_ms": _medians(ours),
        "their_ms": _medians(theirs),
        "around": around.as_dict(),
        "whole": whole.as_dict(),
        "boxes": boxes,
        "differing": apart,
    }


def _medians(seconds: NDArray[np.float64]) -> dict[str, float]:
    values = np.median(seconds, axis=0) * 1000
    return {stage: round(float(value), 3) for stage, value in zip(STAGES, values, strict=True)}
