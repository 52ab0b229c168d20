"""What the original says of the lines that are learnt from, and what a batch makes of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from compress_lab import PICTURES
from recipe_lab import recipe

import compress.batches as batches_module
from compress.asked import Asked, ask
from compress.batches import Batches
from compress.datasets import Item
from compress.metrics import make_metric
from compress.tune.learner import Batch
from edge.engines import open_engine
from models.images import load_image
from models.ppocr.rec import load_dictionary
from models.zoo import locate


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """One crop as it is, upside down, and with a label that is not what stands there."""
    folder = tmp_path_factory.mktemp("lines")
    crop = load_image(PICTURES / "rec/wire_7624_crop_0.jpg")  # 3048
    found = []
    for name, image, truth in (
        ("upright", crop, "3048"),
        ("turned", np.ascontiguousarray(crop[::-1, ::-1]), "3048"),
        ("wrong", crop, "304B"),
    ):
        assert cv2.imwrite(str(folder / f"{name}.png"), image)
        found.append(Item(name, folder / f"{name}.png", truth, ""))
    return found


@pytest.mark.parametrize("either_way", [True, False])
def test_the_original_knows_which_way_up_a_line_lies(lines: list[Item], either_way: bool) -> None:
    told: list[tuple[int, int]] = []
    found = ask(
        open_engine(locate("ppocrv4-rec-onnx"), threads=1),
        load_dictionary(locate("ppocr-keys")),
        lines,
        either_way=either_way,
        progress=lambda done, total: told.append((done, total)),
    )
    assert found.turned.tolist() == [False, either_way, False]
    assert found.taught.tolist() == [1.0, float(either_way), 0.0]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_lines_are_learnt_upright(lines: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "altered", lambda image, rng: image)
    monkeypatch.setattr(batches_module, "TURNED", 0.0)
    asked = recipe(
        family="ppocr_rec", dictionary="zoo:ppocr-keys", mode="label",
        calibration=[{"path": "x"}], evaluation=[{"path": "x"}],
    )  # fmt: skip
    metric = make_metric(asked, dictionary=load_dictionary(locate("ppocr-keys")))

    def batch(items: list[Item], likeness: list[list[float]]) -> Batch:
        made = Batches(asked, metric, items, 2, labels=True, asked=Asked(np.array(likeness)))
        return made(0)

    both = batch(lines[:2], [[2.0, 0.1], [0.1, 2.0]])
    images = both.feeds["x"]
    assert (images[0] == images[1]).all()
    assert both.texts == ["3048", "3048"]
    assert both.taught == [1.0, 1.0]
    wrong = batch([lines[0], lines[2]], [[2.0, 0.1], [0.9, 0.1]])
    assert sorted(wrong.taught or ()) == [0.0, 1.0]
