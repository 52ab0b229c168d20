"""Whether what was found on a golden picture is what must be found there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.bundle import ExpectedDefect, Golden
from models.results import Defect, Findings

__all__ = ["box_iou", "golden_fault", "least_score", "percentile_99"]

MIN_IOU = 0.5
"""Of an expected and a found box: engines and processors round differently, by less than this."""

MAX_SCORE_STEP = 0.1
"""Between an expected and a found score; INT8 kernels of two processors differ by a third of it."""

MAX_TEXT = 60
"""Characters of a text that a reason shows."""


def least_score(golden: Iterable[Golden], model: str) -> float | None:
    """The faintest that a defect expected of ``model`` may come out; ``None`` if none is expected.

    One that scored just above the model's threshold on the host may score just below it here. So
    whoever inspects golden pictures has to look as far down as this.
    """
    scores = [one.score for each in golden if each.model == model for one in each.defects]
    return max(0.0, min(scores) - MAX_SCORE_STEP) if scores else None


def golden_fault(golden: Golden, findings: Findings) -> str:
    """What is wrong, in one line; empty if all is as expected, but for what scores may differ by.

    Every text and no other; every defect, even if its score is now a little below the threshold of
    the model; and no other that could not have been a little below it on the host.
    """
    texts = tuple(line.text for line in findings.lines)
    for number, (expected, found) in enumerate(zip(golden.texts, texts, strict=False), 1):
        if expected != found:
            return f"text {number}: expected {_shown(expected)}, read {_shown(found)}"
    if len(texts) != len(golden.texts):
        return f"expected {len(golden.texts)} lines of text, read {len(texts)}"
    least, most = findings.threshold - MAX_SCORE_STEP, findings.threshold + MAX_SCORE_STEP
    sure = [defect for defect in findings.defects if defect.score >= least]
    return _defect_fault(golden.defects, sure, most)


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…")


def _defect_fault(expected: Sequence[ExpectedDefect], found: Sequence[Defect], most: float) -> str:
    """What is wrong; a defect that nobody expects may score ``most``."""
    # Those that must have a match come first, so that no fainter one takes it away.
    pairs = sorted(
        (
            (
                other.score > most,
                box_iou(np.asarray(one.box, np.float32), other.box),
                -abs(one.score - other.score),
                number,
                place,
            )
            for number, one in enumerate(expected)
            for place, other in enumerate(found)
            if one.label == other.label and abs(one.score - other.score) <= MAX_SCORE_STEP
        ),
        reverse=True,
    )
    matched: dict[int, int] = {}
    for _, iou, _, number, place in pairs:
        if iou >= MIN_IOU and number not in matched and place not in matched.values():
            matched[number] = place
    for number, one in enumerate(expected):
        if number not in matched:
            box = ", ".join(f"{value:.0f}" for value in one.box)
            near = max((other.score for other in found if other.label == one.label), default=None)
            there = "none is there" if near is None else f"the best of that label scores {near:.2f}"
            return f"expected {one.label} {one.score:.2f} at [{box}]: {there}, not this one"
    for place, other in enumerate(found):
        if place not in matched.values() and other.score > most:
            return f"found {other.label} {other.score:.2f}, which is not expected"
    return ""


def box_iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes ``(4,) float32``, xyxy; 0 of empty ones."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    inside = float(np.prod(np.maximum(high - low, 0)))
    whole = sum(float(np.prod(np.maximum(box[2:] - box[:2], 0))) for box in (one, other)) - inside
    return inside / whole if whole > 0 else 0.0


def percentile_99(values: Sequence[float]) -> float:
    """The value that 99% of them do not exceed: of 50 the largest (nearest rank)."""
    ranked = sorted(values)
    return ranked[-(-99 * len(ranked) // 100) - 1]
