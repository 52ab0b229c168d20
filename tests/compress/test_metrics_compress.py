"""What models are measured by: the same as by independent implementations, and how sure it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from recipe_lab import board_data, folder_data, recipe, text_data

from compress.bootstrap import interval, relative_drop, relative_drop_interval
from compress.datasets import Item, load_items
from compress.gate import judge, measured
from compress.metrics import Evaluation, groups, make_metric
from compress.metrics.defects import DefectMetric
from compress.metrics.text import RecMetric
from compress.recipe import Gate, Input
from edge.engines import open_engine
from models.errors import EngineError, InputError
from models.images import load_image
from models.ppocr.rec import load_dictionary
from models.ppyoloe.coco_ap import coco_scores
from models.ppyoloe.config import DetectorConfig, read_config, sidecar
from models.ppyoloe.dataset import Dataset, make_picture
from models.results import Defect
from models.zoo import locate
from tools.evaluate import score_crops

LABELS = ("red", "green", "blue")
CONFIG = DetectorConfig(variant="t", labels=LABELS, size=(64, 64), fit="tile", overlap=32)


class Echo:
    """A network that answers what it is told to."""

    def __init__(self, *outputs: NDArray[Any], name: str = "x") -> None:
        self.outputs = outputs
        self.inputs = [type("Port", (), {"name": name, "shape": (None, 3, None, None)})()]

    def run(self, feeds: Any) -> dict[str, NDArray[Any]]:
        return {str(number): value for number, value in enumerate(self.outputs)}


def rec_items(folder: Path) -> list[Item]:
    asked = recipe(
        family="ppocr_rec", dictionary="zoo:ppocr-keys",
        calibration=[{"path": "rec/train.txt"}],
        evaluation=[{"path": f"rec/{name}.txt"} for name in ("train", "tune", "val")],
    )  # fmt: skip
    return load_items(asked, "evaluation", text_data(folder))[0]


@pytest.mark.parametrize("mode", ["fixed", "label"])
def test_reading_is_measured_as_eval_does(mode: Any, tmp_path: Path) -> None:
    from edge.families.ppocr import open_reader
    from models.ppocr.labels import Labelled

    items = rec_items(tmp_path)
    engine = open_engine(locate("ppocrv4-rec-onnx"), threads=1)
    metric = RecMetric(load_dictionary(locate("ppocr-keys")), mode)
    told: list[int] = []
    found = metric.evaluate(engine, items, lambda done, total: told.append(done))
    reader = open_reader("zoo:ppocrv4-rec-onnx", "zoo:ppocr-keys", threads=1)
    labelled = [Labelled(item.path, text=str(item.truth)) for item in items]
    assert found.value == pytest.approx(float(score_crops(reader, labelled, mode)["exact"]))
    assert told == [1, 2, 3, 4, 5, 6]
    assert found.per_item.shape == (6, 2)
    # What it is calibrated with is what it sees.
    (feeds,) = metric.feeds(items[0])
    assert len(feeds["x"]) == (1 if mode == "fixed" else 2)
    engine.run(dict(feeds))


def test_a_text_detector_is_counted_over_all_lines(tmp_path: Path) -> None:
    asked = recipe(evaluation=[{"path": f"det/{n}.txt"} for n in ("train", "tune", "val")])
    items, _ = load_items(asked, "evaluation", text_data(tmp_path))
    metric = make_metric(asked)
    engine = open_engine(locate("ppocrv4-det-onnx"), threads=1)
    found = metric.evaluate(engine, items)
    hits, boxes, labelled = found.per_item.sum(axis=0)
    assert found.value == pytest.approx(2 * hits / (boxes + labelled))
    assert labelled == sum(len(i.truth) for i in items if isinstance(i.truth, tuple))
    assert set(metric.more(found.per_item)) == {"precision", "recall"}
    blind = Echo(np.zeros((1, 1, 192, 384), np.float32))
    assert metric.evaluate(blind, items).value == 0


def test_lines_are_shown_both_ways_up(tmp_path: Path) -> None:
    items = rec_items(tmp_path)
    metric = make_metric(recipe(family="ppocr_cls"))
    upright = Echo(np.array([[0.9, 0.1], [0.9, 0.1]], np.float32))
    assert metric.evaluate(upright, items).value == 0.5
    right = Echo(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    assert metric.evaluate(right, items).value == 1.0
    told = [Item(i.key, i.path, "180", i.group) for i in items]
    turned = Echo(np.array([[0.1, 0.9]], np.float32))
    assert metric.evaluate(turned, told).value == 1.0
    broken = Echo(np.array([[np.nan, 0.1], [0.2, np.nan]], np.float32))
    assert metric.evaluate(broken, items).value == 0.0


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Any, Any]:
    """Labelled pictures and what was found on them, some of it near the labels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pictures, found = [], {}
    for number in range(draw(st.integers(1, 6))):
        count = int(rng.integers(0, 6))
        corners = rng.integers(0, 40, (count, 2)).astype(float)
        boxes = np.concatenate([corners, corners + rng.integers(6, 24, (count, 2))], axis=1)
        classes = rng.integers(0, 3, count)
        crowd = rng.random(count) < 0.15
        pictures.append(
            make_picture(
                number, Path(f"{number}.png"), (64, 64),
                [tuple(box) for box in boxes.tolist()], classes.tolist(), crowd.tolist(),
            )
        )  # fmt: skip
        near = boxes[rng.integers(0, count, 8)] if count else np.zeros((0, 4))
        near = near + rng.integers(-3, 4, near.shape)
        wild = rng.integers(0, 40, (4, 2)).astype(float)
        wild = np.concatenate([wild, wild + 10], axis=1)
        every = np.concatenate([near, wild]).astype(np.float32)
        every[:, 2:] = np.maximum(every[:, 2:], every[:, :2] + 1)
        scores = rng.permutation(1000)[: len(every)] / 1000 + number / 1e5
        found[number] = tuple(
            Defect(LABELS[int(rng.integers(0, 3))], float(score), box)
            for score, box in zip(scores, every, strict=True)
        )
    return tuple(pictures), found


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_average_precision_is_coco_s(scene: tuple[Any, Any]) -> None:
    pictures, found = scene
    expected = coco_scores(Dataset(LABELS, pictures), found)
    metric = DefectMetric(CONFIG, LABELS)
    rows = [metric._row(picture, found[picture.id]) for picture in pictures]
    width = max(map(len, rows))
    counts = np.array([row + [-1.0] * (width - len(row)) for row in rows])
    assert metric.value_of(counts) == pytest.approx(expected.ap50 or 0.0, abs=1e-9)
    assert metric.more(counts)["AP"] == pytest.approx(expected.ap or 0.0, abs=1e-9)


def test_a_detector_is_run_and_weighed(spots: Any, tmp_path: Path) -> None:
    path = spots(tmp_path, size=(64, 64), threshold=0.5)
    asked = recipe(
        family="ppyoloe", calibration=[{"path": "train.json"}], evaluation=[{"path": "val.json"}]
    )
    items, labels = load_items(asked, "evaluation", board_data(tmp_path / "data"))
    metric = make_metric(asked, config=read_config(sidecar(path)), labels=labels)
    engine = open_engine(path, threads=1)
    found = metric.evaluate(engine, items)
    assert found.value == pytest.approx(1.0)
    assert found.scores.tolist() == [1.0] * 4
    twice = metric.value_of(found.per_item, np.array([2.0, 0.0, 1.0, 1.0]))
    again = metric.value_of(found.per_item[[0, 0, 2, 3]])
    assert twice == pytest.approx(again)
    (feeds,) = metric.feeds(items[0])
    engine.run(dict(feeds))
    with pytest.raises(InputError, match="the names must be the same"):
        make_metric(asked, config=read_config(sidecar(path)), labels=("red", "hole"))


def test_any_network_is_held_against_its_original(tmp_path: Path) -> None:
    folder_data(tmp_path)
    form = {"width": 16, "height": 8, "colour": "rgb", "mean": (0.5, 0.5, 0.5)}
    asked = recipe(
        family="raw", input=form,
        calibration=[{"path": "calibration"}], evaluation=[{"path": "evaluation"}],
    )  # fmt: skip
    items, _ = load_items(asked, "evaluation", tmp_path)
    signal = np.array([[1.0, 2.0, 2.0]], np.float32)
    metric = make_metric(asked, original=Echo(signal))
    assert metric.evaluate(Echo(signal), items).value == 1.0
    assert metric.evaluate(
        Echo(signal + np.array([[0, 0, 0.3]], np.float32)), items
    ).value == pytest.approx(1 - 0.09 / 9, abs=1e-6)
    assert metric.evaluate(Echo(-signal), items).value == 0.0
    assert metric.evaluate(Echo(signal * np.float32(np.nan)), items).value == 0.0
    with pytest.raises(EngineError, match="convert it again"):
        metric.evaluate(Echo(signal[:, :2]), items)
    (feeds,) = metric.feeds(items[0])
    assert feeds["x"].shape == (1, 3, 8, 16)
    assert isinstance(asked.input, Input)
    image = load_image(items[0].path)
    assert abs(feeds["x"][0, 0].mean() - (image[:, :, 2].mean() / 255 - 0.5)) < 0.1


class Mean:
    """Share of the ones."""

    name = "share"

    def value_of(self, per_item: Any, weights: Any = None) -> float:
        return float(np.average(per_item[:, 0], weights=weights))

    def more(self, per_item: Any) -> dict[str, float]:
        return {}


def ones(count: int, of: int) -> Evaluation:
    rows = np.zeros((of, 1))
    rows[:count] = 1
    return Evaluation(count / of, rows, [""] * of, rows[:, 0])


def test_the_interval_is_that_of_a_binomial() -> None:
    low, high = interval(Mean(), ones(80, 400).per_item, seed=1)  # type: ignore[arg-type]
    half = 1.96 * (0.2 * 0.8 / 400) ** 0.5
    assert low == pytest.approx(0.2 - half, abs=0.006)
    assert high == pytest.approx(0.2 + half, abs=0.006)
    assert interval(Mean(), ones(80, 400).per_item, seed=1) == (low, high)  # type: ignore[arg-type]


def test_a_pair_is_surer_than_two_alone() -> None:
    before, after = ones(320, 400).per_item, ones(316, 400).per_item
    low, high = relative_drop_interval(Mean(), before, after, seed=1)  # type: ignore[arg-type]
    assert 0 < low < relative_drop(0.8, 0.79) < high < 0.027
    with pytest.raises(ValueError, match="400 pictures before, 10 after"):
        relative_drop_interval(Mean(), before, after[:10], 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "gate", "why"),
    [
        (100, 99, Gate(drop=0.01), ""),
        (100, 98, Gate(drop=0.01), "loses 2.00% of share (may lose 1.00%)"),
        (98, 100, Gate(drop=0.0), ""),
        (100, 100, Gate(drop=0.0), ""),
    ],
)
def test_the_gate_compares_the_figures(before: int, after: int, gate: Gate, why: str) -> None:
    whole = {"all": np.arange(100)}
    verdict = judge(gate, Mean(), ones(before, 100), ones(after, 100), whole)  # type: ignore[arg-type]
    assert verdict.why == why
    assert verdict.passed == (why == "")
    assert (verdict.margin < 0) == (why != "")


def test_a_group_that_falls_is_seen_behind_the_others() -> None:
    before = ones(100, 100)
    rows = np.ones((100, 1))
    rows[90:] = 0.5
    after = Evaluation(0.95, rows, [], rows[:, 0])
    parts = {"old": np.arange(90), "new": np.arange(90, 100)}
    verdict = judge(Gate(drop=0.06), Mean(), before, after, parts)  # type: ignore[arg-type]
    assert verdict.why == "loses 50.00% of share on new (may lose 6.00%)"
    lenient = Gate(drop=0.06, group_drop=0.5)
    assert judge(lenient, Mean(), before, after, parts).passed  # type: ignore[arg-type]


def test_figures_of_the_report_hold_together() -> None:
    before, after = ones(90, 100), ones(80, 100)
    found = measured(Mean(), before, after, 0)  # type: ignore[arg-type]
    assert found.low <= found.value <= found.high
    assert found.drop_low <= found.drop <= found.drop_high
    assert found.items == 100
    own = measured(Mean(), before, before, 0)  # type: ignore[arg-type]
    assert (own.drop, own.drop_low, own.drop_high) == (0, 0, 0)


def test_groups_stand_in_their_order(tmp_path: Path) -> None:
    items = rec_items(tmp_path)
    found = groups(items)
    assert list(found) == ["train", "tune", "val"]
    assert sorted(np.concatenate(list(found.values()))) == list(range(6))
