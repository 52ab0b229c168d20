from collections.abc import Callable
from pathlib import Path

import numpy as np

from tools.bench.detector import SIDE, beyond_network, montage
from tools.bench.report import markdown

SpotsMaker = Callable[..., Path]


def test_montages_are_the_same_for_the_same_seed() -> None:
    assert montage(1).shape == (SIDE, SIDE, 3)
    assert np.array_equal(montage(1), montage(1))
    assert not np.array_equal(montage(1), montage(2))


def test_figures_and_the_page_of_them(spots: SpotsMaker, tmp_path: Path) -> None:
    model = spots(tmp_path)
    figures = beyond_network(str(model), threads=1, images=3)
    assert figures["anchors"] == 8400
    assert 50 <= figures["boxes"] <= 300
    assert figures["candidates"] >= figures["boxes"]
    assert 0 < figures["low"] <= figures["percent"] <= figures["high"]
    assert figures["model"] == "spots.onnx"
    machine = {"cpu": "c", "cores": 2, "python": "3", "onnxruntime": "1", "date": "d"}
    page = markdown({"detector": {"command": "x", "machine": machine, "figures": figures}})
    assert "## Finding defects beyond the network" in page
    assert f"**{figures['percent']:.1f}%**" in page
    assert str(tmp_path) not in page
