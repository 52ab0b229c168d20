"""Whether the same bench, run again, says the same: the ratio of two models, measured in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tools.measure.ab import PER_ROUND, ROUNDS, measure_ab
from tools.measure.compare import APART

__all__ = ["RUNS", "agreement", "repeatability"]

RUNS = 11
"""Of the bench: ten pairs of a run and the next."""

SIDE = 320
"""Pixels of both models' input, on which they take about as long."""

A = {"model": "zoo:ppocrv4-det-onnx", "shapes": {"x": [1, 3, SIDE, SIDE]}}
B = {"model": "zoo:pcb-defects-xs", "shapes": {"image": [1, 3, SIDE, SIDE]}}


def agreement(ratios: Sequence[float]) -> dict[str, Any]:
    """How well runs agree: ``pairs`` of a run and the next, and how many are within 3%.

    ``apart`` is by what each pair differs, and ``most`` by what any two of all runs do, per cent.
    """
    values = np.array(ratios, np.float64)
    later, earlier = values[1:], values[:-1]
    apart = np.maximum(later, earlier) / np.minimum(later, earlier) - 1
    return {
        "pairs": len(apart),
        "within": int((apart <= APART).sum()),
        "apart": (apart * 100).round(2).tolist(),
        "most": round(float(values.max() / values.min() - 1) * 100, 2),
    }


def repeatability(
    threads: int,
    watched: Callable[[Iterable[int]], Iterable[int]],
    *,
    runs: int = RUNS,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Compare two models again and again, each time as ``lineguard bench ab`` does, from nothing.

    Returns
    -------
    The ratio of the medians of each run with its 99% interval, and :func:`agreement`.
    """
    common = {"kind": "model", "threads": threads, "batch": 1}
    found = []
    for _ in watched(range(runs)):
        document = measure_ab(common | A, common | B, lambda: False, rounds=rounds)
        figure = document.figures["ratio.p50"]
        a, b = (np.median(document.rounds[side]) for side in ("a", "b"))
        found.append({"ratio": round(float(b / a), 4), "low": figure.low, "high": figure.high})
    return {
        "a": A["model"],
        "b": B["model"],
        "side": SIDE,
        "threads": threads,
        "rounds": rounds,
        "queries": rounds * PER_ROUND,
        "runs": found,
        **agreement([each["ratio"] for each in found]),
    }
