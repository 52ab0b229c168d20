"""Names and shapes against PaddleDetection's own, as ``python -m tools.official`` found them."""

import hashlib
import json
from pathlib import Path

import pytest

from models.ppyoloe.network import PPYOLOE

OFFICIAL = json.loads(
    Path(__file__).parents[1].joinpath("data", "ppyoloe", "official_names.json").read_text()
)
"""Of PaddleDetection 2.6.0 with six classes: how many, SHA-256 of the sorted lines, some lines."""


@pytest.mark.parametrize("name", list(OFFICIAL))
def test_names_and_shapes_are_the_official_ones(name: str) -> None:
    variant, _, plus = name.partition("+")
    network = PPYOLOE(variant, 6, plus=plus == "plus")
    lines = sorted(f"{k} {list(v.shape)}" for k, v in network.state_dict().items())
    expected = OFFICIAL[name]
    assert set(expected["some"]) <= set(lines)
    assert len(lines) == expected["count"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == expected["sha256"]


@pytest.mark.parametrize(("variant", "millions"), [("n", 0.94), ("xs", 3.4)])
def test_our_own_variants_are_as_small_as_promised(variant: str, millions: float) -> None:
    count = sum(p.size for p in PPYOLOE(variant, 6).parameters() if not p.stop_gradient)
    assert count / 1e6 == pytest.approx(millions, rel=0.02)
