"""Scores differ a little from engine to engine: no golden picture fails or passes by that alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agent_lab import SPOT, board, lay_out, png
from conftest import SpotsMaker

from edge.agent import try_bundle
from edge.agent.golden import golden_fault, least_score
from models.bundle import Golden
from models.results import Defect, Findings

THRESHOLD = 0.4


def golden(*scores: float, model: str = "m") -> Golden:
    """One defect of each score, side by side."""
    boxes = [[40.0 * n, 0.0, 40.0 * n + 16, 16.0] for n in range(len(scores))]
    expected = [
        {"label": "short", "score": score, "box": box}
        for score, box in zip(scores, boxes, strict=True)
    ]
    return Golden.model_validate({"image": "i.png", "model": model, "defects": expected})


def findings(*found: tuple[float, float]) -> Findings:
    """Defects of such scores, each at the place of the n-th expected one."""
    return Findings(
        defects=tuple(
            Defect("short", score, np.array([40 * n, 0, 40 * n + 16, 16], np.float32))
            for score, n in found
        ),
        threshold=THRESHOLD,
    )


@pytest.mark.parametrize(
    ("expected", "found", "says"),
    [
        ([0.42], [(0.38, 0)], ""),
        ([0.42], [(0.33, 0)], ""),
        ([0.42], [(0.31, 0)], "expected short 0.42 at [0, 0, 16, 16]: the best of that label"),
        ([0.42], [], "expected short 0.42 at [0, 0, 16, 16]: none is there"),
        ([0.42], [(0.38, 1)], "expected short 0.42"),
        ([0.45], [(0.29, 0)], "expected short 0.45 at [0, 0, 16, 16]: none is there"),
        ([0.25], [(0.25, 0)], "expected short 0.25 at [0, 0, 16, 16]: none is there"),
        ([], [(0.38, 0)], ""),
        ([], [(0.49, 0)], ""),
        ([], [(0.51, 0)], "found short 0.51, which is not expected"),
        ([0.9], [(0.9, 0), (0.45, 0), (0.32, 1)], ""),
        ([0.9], [(0.9, 0), (0.85, 0)], "found short 0.85, which is not expected"),
        ([0.45], [(0.52, 0.1), (0.45, 0)], ""),
        ([0.42, 0.44], [(0.38, 1), (0.39, 0)], ""),
        ([0.42, 0.44], [(0.38, 1)], "expected short 0.42"),
    ],
)
def test_near_the_threshold(
    expected: list[float], found: list[tuple[float, float]], says: str
) -> None:
    said = golden_fault(golden(*expected), findings(*found))
    assert said.startswith(says)
    assert bool(said) is bool(says)


def test_how_far_down_a_model_must_look() -> None:
    pictures = [golden(0.9, 0.42), golden(0.7), golden(0.3, model="other"), golden()]
    assert least_score(pictures, "m") == pytest.approx(0.32)
    assert least_score(pictures, "other") == pytest.approx(0.2)
    assert least_score(pictures, "third") is None
    assert least_score([golden(0.05)], "m") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threshold", "expected", "says"),
    [
        (0.92, [{**SPOT, "score": 0.95}], ""),
        (0.92, [{**SPOT, "score": 1.0}], ""),
        (0.92, [], ""),
        (0.85, [], ""),
        (0.75, [], "board.png: found green 0.90, which is not expected"),
        (0.92, [{**SPOT, "label": "red", "score": 0.95}], "board.png: expected red 0.95"),
    ],
)
def test_a_trial_looks_that_far_down(
    threshold: float,
    expected: list[Any],
    says: str,
    tmp_path: Path,
    spots: SpotsMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network finds the spot at 0.90, whatever it scored where the bundle was made."""
    monkeypatch.setenv("LINEGUARD_CACHE", str(tmp_path / "cache"))
    path = spots(tmp_path, threshold=threshold)
    payload = {
        "board.png": png(board()),
        "spots.json": path.with_suffix(".json").read_bytes(),
        "spots.onnx": path.read_bytes(),
    }
    model = {"family": "ppyoloe", "det": "spots.onnx", "labels": ["red", "green", "blue"]}
    picture = {"image": "board.png", "model": "surface", "defects": expected}
    slot = tmp_path / "a"
    manifest = lay_out(slot, payload, models={"surface": model}, golden=[picture])
    result = try_bundle(slot, manifest)
    assert result.reason.startswith(says)
    assert result.passed is not bool(says)
