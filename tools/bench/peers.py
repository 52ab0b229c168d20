"""Page mode side by side with RapidOCR: same weights, same threads, same images, one run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidocr_onnxruntime import RapidOCR

from edge.families.ppocr import ZOO_READER, open_reader
from models.images import load_image
from models.ppocr.labels import load_labels
from models.zoo import resolve
from tools.bench.stats import median_ratio
from tools.line import KINDS, render
from tools.line.world import random_job

__all__ = ["SIZES", "SMALL", "Photo", "cartons", "compare", "photos"]

PAUSE_S = 0.03
"""Between two measurements: RapidOCR's threads spin on for some milliseconds after their work."""

WARM = 3
"""Images that are read before any is timed."""


@dataclass(frozen=True)
class Photo:
    """An image ``(H, W, 3) uint8`` and the lines that stand on it."""

    image: NDArray[np.uint8]
    texts: tuple[str, ...]


def cartons(count: int, size: tuple[int, int]) -> Iterator[Photo]:
    """Rendered cartons with all their print, lots and dates varying."""
    for index in range(count):
        job = random_job(np.random.default_rng([99, index]))
        image, truth = render("carton", 1000 + index % 7, index, job, size, 0.0)
        yield Photo(image, tuple(line.text for line in truth.lines))


def photos(labels: Path, count: int) -> Iterator[Photo]:
    """Evenly chosen photos of a PaddleOCR label file."""
    items = load_labels(labels)
    for item in items[:: max(1, len(items) // count)][:count]:
        texts = tuple(label.text for label in item.lines if not label.ignored)
        yield Photo(load_image(item.path), texts)


def _hits(read: Iterable[str], truth: Iterable[str]) -> int:
    """Lines of ``truth`` that were read exactly, white space left out."""
    plain = [Counter("".join(text.split()) for text in texts) for texts in (read, truth)]
    return (plain[0] & plain[1]).total()


def compare(items: Iterable[Photo], threads: int, unscaled: bool = False) -> dict[str, Any]:
    """Read each image with both, turn about, and time it.

    Parameters
    ----------
    items
        What to read.
    threads
        Of each engine of both.
    unscaled
        Take from RapidOCR's detector its scaling up, which is its default: then both see the same.

    Returns
    -------
    Medians and their ratio, the share of labelled lines that each read exactly, and counts.
    """
    peer = RapidOCR(
        det_model_path=str(resolve(ZOO_READER["det"])),
        rec_model_path=str(resolve(ZOO_READER["rec"])),
        cls_model_path=str(resolve(ZOO_READER["cls"])),
        intra_op_num_threads=threads,
        inter_op_num_threads=1,
        **({"det_limit_type": "max"} if unscaled else {}),
    )
    files = ZOO_READER
    reader = open_reader(
        files["rec"], files["dictionary"], files["det"], files["cls"], threads=threads
    )

    def theirs(image: NDArray[np.uint8]) -> list[str]:
        found, _ = peer(image)
        return [text for _, text, _ in found or ()]

    def ours(image: NDArray[np.uint8]) -> list[str]:
        return [line.text for line in reader.read(image, "page")]

    times: tuple[list[float], list[float]] = ([], [])
    hits, lines, megapixels = [0, 0], 0, []
    for number, photo in enumerate(items):
        order = ((0, theirs), (1, ours)) if number % 2 else ((1, ours), (0, theirs))
        for side, read in order:
            if number < WARM:
                read(photo.image)
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            texts = read(photo.image)
            times[side].append(time.perf_counter() - start)
            hits[side] += _hits(texts, photo.texts)
        lines += len(photo.texts)
        megapixels.append(photo.image.shape[0] * photo.image.shape[1] / 1e6)
    ratio = median_ratio(np.array(times[0]), np.array(times[1]))
    return {
        "images": len(megapixels),
        "megapixels": round(float(np.median(megapixels)), 2),
        "lines": lines,
        "threads": threads,
        **ratio.as_dict(),
        "their_recall": round(hits[0] / lines, 4),
        "our_recall": round(hits[1] / lines, 4),
    }


SMALL = "cartons 640x480"
SIZES = {SMALL: KINDS["carton"].size, "cartons 1280x960": (1280, 960)}
"""Rendered sets: a VGA machine-vision camera, and a megapixel one."""
