"""What came of a run, as the result says it: files, versions, machine, and what changed."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from compress.cache import file_sha256
from compress.datasets import Item, Truth
from compress.metrics import Evaluation
from compress.recipe import Family
from compress.report import Candidate
from compress.result import Answer, FileHash, Mark
from models.ppyoloe.dataset import Picture

__all__ = ["candidates", "hashed", "machine", "versions"]

LIBRARIES = (
    "lineguard", "paddlepaddle", "paddleslim", "paddlelite", "paddle2onnx", "onnx", "onnxruntime",
    "numpy", "opencv-python-headless",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Of the libraries that decide what comes out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, str]:
    """Facts of the host, for people."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": str(len(os.sched_getaffinity(0))),
    }


def hashed(paths: Sequence[Path], folder: Path | None = None) -> tuple[FileHash, ...]:
    """Sizes and hashes; names are relative to ``folder`` if they lie there."""
    return tuple(
        FileHash(
            path=str(path.relative_to(folder)) if folder else path.name,
            bytes=path.stat().st_size,
            sha256=file_sha256(path),
        )
        for path in paths
    )


def candidates(
    family: Family, labels: Sequence[str], items: Sequence[Item], before: Evaluation,
    after: Evaluation,
) -> Iterator[Candidate]:  # fmt: skip
    """Every picture with what is right and what both models say."""
    for number, item in enumerate(items):
        yield Candidate(
            item.key,
            item.path,
            _truth(family, labels, item.truth),
            _answer(family, before.answers[number]),
            _answer(family, after.answers[number]),
            float(before.scores[number] - after.scores[number]),
        )


def _truth(family: Family, labels: Sequence[str], truth: Truth) -> Answer:
    if isinstance(truth, Picture):
        return tuple(
            _box(box, labels[index])
            for box, index in zip(truth.boxes.tolist(), truth.classes.tolist(), strict=True)
        )
    if isinstance(truth, tuple):
        return tuple(Mark(points=_points(each.quad), label=each.text) for each in truth)
    if family == "ppocr_cls" and truth not in ("0", "180"):
        return "0, 180"
    return truth or ""


def _answer(family: Family, answer: Any) -> Answer:
    if family == "ppocr_det":
        return tuple(Mark(points=_points(quad)) for quad in answer)
    if family == "ppyoloe":
        return tuple(_box(box, label, score) for label, score, box in answer)
    return ", ".join(answer) if isinstance(answer, list) else str(answer)


def _points(quad: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in np.asarray(quad).tolist())


def _box(box: Sequence[float], label: str, score: float | None = None) -> Mark:
    x0, y0, x1, y1 = box
    return Mark(points=((x0, y0), (x1, y0), (x1, y1), (x0, y1)), label=label, score=score)
