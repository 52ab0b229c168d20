"""Scoring a reader on labelled pictures; ``lineguard eval ocr`` prints what comes out."""

from __future__ import annotations

from collections.abc import Iterable

from models.images import load_image
from models.ppocr.geometry import crop_line
from models.ppocr.labels import Labelled
from models.ppocr.reader import Mode, Reader
from models.ppocr.rec import HEIGHT
from models.ppocr.score import DetectionCount, count_detections, exact, ned

__all__ = ["Scores", "score_crops", "score_photos"]

Scores = dict[str, float | int | str]
"""``exact`` and ``ned`` 0 to 1 over all lines, ``images``, ``lines``, ``mode``; for photos in page
mode also ``precision``, ``recall`` and ``hmean`` of detection."""


def _scores(mode: Mode, images: int, lines: int, exact_sum: int, ned_sum: float) -> Scores:
    return {
        "mode": mode,
        "images": images,
        "lines": lines,
        "exact": exact_sum / max(1, lines),
        "ned": ned_sum / max(1, lines),
    }


def score_crops(reader: Reader, items: Iterable[Labelled], mode: Mode) -> Scores:
    """Read each crop as a whole; what *page* mode finds on it is joined in reading order."""
    images = exact_sum = 0
    ned_sum = 0.0
    for item in items:
        text = " ".join(line.text for line in reader.read(load_image(item.path), mode))
        truth = item.text or ""
        images += 1
        exact_sum += exact(text, truth)
        ned_sum += ned(text, truth)
    return _scores(mode, images, images, exact_sum, ned_sum)


def score_photos(reader: Reader, items: Iterable[Labelled], mode: Mode) -> Scores:
    """Find and read the lines of each photo, or with *fixed* and *label* read at their places."""
    images, total = 0, DetectionCount()
    for item in items:
        image = load_image(item.path)
        images += 1
        if mode == "page":
            total += count_detections(reader.read(image, mode), item.lines)
            continue
        for label in item.lines:
            if label.ignored:
                continue
            crop, _ = crop_line(image, label.quad, HEIGHT)
            (line,) = reader.read(crop, mode)
            total += DetectionCount(
                labelled=1, exact=exact(line.text, label.text), ned=ned(line.text, label.text)
            )
    scores = _scores(mode, images, total.labelled, total.exact, total.ned)
    if mode == "page":
        scores |= {"precision": total.precision, "recall": total.recall, "hmean": total.hmean}
    return scores
