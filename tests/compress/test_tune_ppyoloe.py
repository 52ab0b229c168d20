"""A pruned detector is tuned, stopped, and goes on."""

from pathlib import Path

import pytest
from train_lab import LABELS, squares

from compress.prune.ppyoloe import layout_of, narrowed
from compress.tune.ppyoloe import tune_detector
from models.ppyoloe.config import DetectorConfig, read_config, sidecar
from models.ppyoloe.network import PPYOLOE
from models.ppyoloe.train.export import save_pdparams
from models.ppyoloe.train.schedule import Plan
from models.ppyoloe.train.weights import arrays_of, load_pdparams


@pytest.mark.slow
def test_it_is_tuned_stopped_and_goes_on(tmp_path: Path) -> None:
    arrays = arrays_of(PPYOLOE("n", len(LABELS)))
    layout = layout_of(arrays)
    small = narrowed(arrays, layout, {group.name: 0.5 for group in layout.groups})
    weights, out = tmp_path / "small.pdparams", tmp_path / "tuned.pdparams"
    save_pdparams(weights, small)
    config = DetectorConfig(variant="n", labels=LABELS, size=(64, 64), fit="tile", overlap=8)
    steps: list[float] = []

    def tune(until: int) -> bool:
        return tune_detector(
            weights,
            config,
            squares(tmp_path),
            out,
            length=Plan(3),
            checkpoint=tmp_path / "checkpoint.npz",
            batch=2,
            progress=lambda share, measured: steps.append(measured["step"]),
            stop=lambda: len(steps) >= until,
        )

    assert not tune(2)
    assert not out.exists()
    assert tune(100)
    assert steps == [0, 1, 2]
    assert not (tmp_path / "checkpoint.npz").exists()
    assert read_config(sidecar(out)) == config
    tuned = load_pdparams(out)
    assert {k: v.shape for k, v in tuned.items()} == {k: v.shape for k, v in small.items()}
