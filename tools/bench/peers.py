"""Page mode side by side with its peers: same weights, same threads, same images, one run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidocr_onnxruntime import RapidOCR

from edge.families.ppocr import ZOO_READER, open_reader
from models.images import load_image
from models.ppocr.labels import load_labels
from models.zoo import resolve
from tools.bench.peer_process import PeerProcess
from tools.bench.stats import median_ratio
from tools.line import KINDS, render
from tools.line.world import random_job

__all__ = ["SIZES", "SMALL", "Photo", "Read", "cartons", "compare", "opened", "photos"]

Read = Callable[[NDArray[np.uint8]], tuple[float, list[str]]]
"""From a picture ``(H, W, 3) uint8`` BGR to seconds, and the lines that were read."""

PAUSE_S = 0.03
"""Between two measurements: an engine's threads spin on for some milliseconds after their work."""

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


def _timed(read: Callable[[NDArray[np.uint8]], list[str]]) -> Read:
    def timed(image: NDArray[np.uint8]) -> tuple[float, list[str]]:
        start = time.perf_counter()
        texts = read(image)
        return time.perf_counter() - start, texts

    return timed


def _ours(threads: int) -> Read:
    files = ZOO_READER
    reader = open_reader(
        files["rec"], files["dictionary"], files["det"], files["cls"], threads=threads
    )
    return _timed(lambda image: [line.text for line in reader.read(image, "page")])


def _rapidocr(threads: int, unscaled: bool) -> Read:
    peer = RapidOCR(
        det_model_path=str(resolve(ZOO_READER["det"])),
        rec_model_path=str(resolve(ZOO_READER["rec"])),
        cls_model_path=str(resolve(ZOO_READER["cls"])),
        intra_op_num_threads=threads,
        inter_op_num_threads=1,
        **({"det_limit_type": "max"} if unscaled else {}),
    )
    return _timed(lambda image: [text for _, text, _ in peer(image)[0] or ()])


@contextmanager
def opened(threads: int) -> Iterator[tuple[Read, dict[str, Read], dict[str, Read]]]:
    """Ours, its peers by name, and those peers that scale a picture up, told not to.

    Raises
    ------
    DeviceError
        PaddleOCR does not open.
    """
    files = {"det": "det", "rec": "rec", "cls": "cls", "keys": "dictionary"}
    settings = {key: str(resolve(ZOO_READER[role])) for key, role in files.items()}
    with PeerProcess("paddleocr", threads, settings) as paddleocr:

        def read(image: NDArray[np.uint8]) -> tuple[float, list[str]]:
            answer = paddleocr.look(image)
            return answer["seconds"], answer["texts"]

        rapid = f"RapidOCR {metadata.version('rapidocr-onnxruntime')}"
        peers = {
            rapid: _rapidocr(threads, unscaled=False),
            f"PaddleOCR {paddleocr.version}": read,
        }
        yield _ours(threads), peers, {rapid: _rapidocr(threads, unscaled=True)}


def compare(items: Iterable[Photo], ours: Read, peers: Mapping[str, Read]) -> dict[str, Any]:
    """Read each image with all, turn about, and time it.

    Returns
    -------
    Counts, the share of labelled lines that we read exactly, and of each of the ``peers`` that
    share, medians and their ratio.
    """
    sides = [ours, *peers.values()]
    times: list[list[float]] = [[] for _ in sides]
    hits, lines, megapixels = [0] * len(sides), 0, []
    for number, photo in enumerate(items):
        # Each comes first as often as any other, and after each other as often.
        order = np.roll(range(len(sides)), number // 2)[:: 1 if number % 2 else -1]
        for side in order:
            if number < WARM:
                sides[side](photo.image)
            time.sleep(PAUSE_S)
            seconds, texts = sides[side](photo.image)
            times[side].append(seconds)
            hits[side] += _hits(texts, photo.texts)
        lines += len(photo.texts)
        megapixels.append(photo.image.shape[0] * photo.image.shape[1] / 1e6)
    return {
        "images": len(megapixels),
        "megapixels": round(float(np.median(megapixels)), 2),
        "lines": lines,
        "our_recall": round(hits[0] / lines, 4),
        "peers": {
            name: {
                **median_ratio(np.array(times[side]), np.array(times[0])).as_dict(),
                "their_recall": round(hits[side] / lines, 4),
            }
            for side, name in enumerate(peers, 1)
        },
    }


SMALL = "cartons 640x480"
SIZES = {SMALL: KINDS["carton"].size, "cartons 1280x960": (1280, 960)}
"""Rendered sets: a VGA machine-vision camera, and a megapixel one."""
