"""A whole compression of a small network: what ships, what is said of it, and how it is resumed."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compress_lab import Builder
from recipe_lab import folder_data, recipe

from compress.pdmodel import save_program
from compress.pipeline import compress
from compress.quantise.sensitivity import layer_noises
from compress.result import Result, load_result
from compress.steps import eight
from compress.work import Job, Stopped
from edge.engines import open_engine
from models.errors import InputError, ModelError, StorageError

pytestmark = pytest.mark.slow


def network(path: Path, *, noisy: bool = False) -> Path:
    """Two convolutions with an affine pair between; ``noisy``: one that eight bits ruin."""
    made = Builder(3)
    made.conv(16, 3, padding=1)
    made.one("elementwise_mul")
    made.one("elementwise_add")
    made.plain("relu")
    if noisy:  # one channel a thousand times as large as the others hides them
        weights = made.rng.standard_normal((16, 16, 1, 1)).astype(np.float32)
        weights[0] *= 1000
        made.conv(16, filters=made.program.new_parameter(weights, "w"))
        made.plain("relu")
        weights = made.rng.standard_normal((8, 16, 1, 1)).astype(np.float32)
        weights[:, 0] = 0
        made.conv(8, filters=made.program.new_parameter(weights, "w"))
    else:
        made.conv(8)
    save_program(made.done(), path)
    return path


def job(folder: Path, **changed: Any) -> Job:
    """A job on noise, in a folder of its own."""
    if not (folder / "data").exists():
        folder_data(folder / "data", "abcd", side=24)
    made = recipe(
        **{
            "name": "tiny",
            "model": "model.pdmodel",
            "family": "raw",
            "input": {"width": 24, "height": 24},
            "calibration": [{"path": "calibration"}],
            "evaluation": [{"path": "evaluation"}],
            "quantise": {"methods": ["minmax"]},
            **changed,
        }
    )
    return Job(made, base=folder, data=folder / "data", out=folder / "out", text="x", command="y")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("pipeline")
    network(folder / "model.pdmodel")
    return folder, compress(job(folder, targets=["x86-onnx", "arm64-onnx"], gate={"drop": 0.02}))


def test_everything_that_was_asked_for_is_there(done: tuple[Path, Result]) -> None:
    folder, result = done
    assert result.passed, result.why
    out = folder / "out"
    shipped = {file.path for each in result.artefacts if each.ships for file in each.files}
    assert {path.name for path in out.iterdir()} == shipped | {
        ".stages", "result.json", "report.html",
    }  # fmt: skip
    assert "tiny.int8.onnx" in shipped
    assert load_result(out / "result.json") == result
    assert "<html" in (out / "report.html").read_text("utf-8")
    for name in shipped:
        engine = open_engine(out / name, threads=1)
        assert engine.run({"x": np.ones((1, 3, 24, 24), np.float32)})


def test_the_result_says_how_good_each_file_is(done: tuple[Path, Result]) -> None:
    _, result = done
    by_name = {each.name: each for each in result.artefacts}
    assert set(by_name) == {
        "x86-onnx fp32", "x86-onnx int8", "arm64-onnx fp32", "arm64-onnx int8",
    }  # fmt: skip
    eight = by_name["arm64-onnx int8"]
    assert eight.ships
    assert eight.accuracy
    assert 0 < eight.accuracy.drop < 0.02
    assert eight.accuracy.items == 4
    assert eight.precision == "int8"
    assert by_name["x86-onnx fp32"].speed
    assert result.original.accuracy
    assert result.original.accuracy.value == 1.0
    assert result.simplification
    assert result.simplification.difference is not None
    assert result.simplification.difference < 1e-4
    assert result.simplification.removed
    assert {each.outcome for each in result.tries} == {"chosen"}
    assert [each.layer for each in result.sensitivities]
    assert {name: facts.items for name, facts in result.data.items()} == {
        "calibration": 4, "tuning": 0, "evaluation": 4,
    }  # fmt: skip


def test_a_second_run_makes_nothing_again(done: tuple[Path, Result]) -> None:
    folder, result = done
    again = compress(job(folder, targets=["x86-onnx", "arm64-onnx"], gate={"drop": 0.02}))
    assert all(stage.cached for stage in again.stages)
    hashes = [[file.sha256 for file in each.files] for each in result.artefacts if each.ships]
    assert hashes == [
        [file.sha256 for file in each.files] for each in again.artefacts if each.ships
    ]


@pytest.fixture
def begun(done: tuple[Path, Result], tmp_path: Path) -> Path:
    """A folder in which much is done already, and nothing shipped."""
    shutil.copytree(done[0], tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "out").iterdir():
        if path.is_file():
            path.unlink()
    return tmp_path


def test_what_misses_the_gate_does_not_ship(begun: Path) -> None:
    tmp_path = begun
    asked = job(tmp_path, gate={"drop": 1e-7}, quantise={"methods": ["minmax"], "most_skipped": 1})
    result = compress(asked)
    assert not result.passed
    assert result.failed_stage == "quantise"
    assert "may lose 0.00%" in result.why
    (ships,) = [each for each in result.artefacts if each.ships]
    assert ships.precision == "fp32"
    assert (tmp_path / "out/tiny.fp32.onnx").is_file()
    assert not (tmp_path / "out/tiny.int8.onnx").exists()
    assert [each.outcome for each in result.tries] == ["chosen", "dropped", "dropped"]
    assert "what ships: x86-onnx fp32" in result.verdict


def test_layers_that_eight_bits_ruin_are_spared(tmp_path: Path) -> None:
    network(tmp_path / "model.pdmodel", noisy=True)
    plain = compress(
        job(tmp_path, gate={"drop": 0.001}, quantise={"methods": ["minmax"], "most_skipped": 0})
    )
    assert not plain.passed
    result = compress(
        job(tmp_path, gate={"drop": 0.001}, quantise={"methods": ["minmax"], "most_skipped": 2})
    )
    assert result.passed, result.why
    assert result.tries[-1].outcome == "chosen"
    assert "spared" in result.tries[-1].name
    assert 0 < sum(1 - each.taken for each in result.sensitivities) < 3


def test_layers_are_put_in_order_by_the_ranges_that_they_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(tmp_path / "model.pdmodel", noisy=True)
    by: list[str] = []
    pictures: list[int] = []
    real = layer_noises

    def spy(seen: Any, feeds: Any, *, method: Any, progress: Any) -> dict[str, float]:
        by.append(method)
        pictures.append(len(feeds))
        return real(seen, feeds, method=method, progress=progress)

    monkeypatch.setattr(eight, "layer_noises", spy)
    result = compress(
        job(tmp_path, gate={"drop": 0.001}, quantise={"methods": ["minmax"], "most_skipped": 2})
    )
    assert result.passed, result.why
    assert by == ["minmax"]
    assert pictures == [4]  # all that there are


def test_lite_gets_both_and_is_measured_by_what_stands_for_it(begun: Path) -> None:
    tmp_path = begun
    result = compress(job(tmp_path, targets=["arm64-lite"], gate={"drop": 0.05}))
    assert result.passed, result.why
    full, eight = result.artefacts
    assert (full.name, eight.name) == ("arm64-lite fp32", "arm64-lite int8")
    assert full.difference is not None
    assert full.difference < 1e-4
    assert "simulation" in eight.proxy
    assert eight.accuracy
    assert 0 < eight.accuracy.drop < 0.05
    assert (tmp_path / "out/tiny.int8.nb").stat().st_size > 0


def test_it_stops_when_asked_and_goes_on(tmp_path: Path) -> None:
    network(tmp_path / "model.pdmodel")
    asked = threading.Event()

    def show(what: str) -> Any:
        if what == "calibrating":
            asked.set()
        return lambda done, total: None

    with pytest.raises(Stopped):
        compress(job(tmp_path), show=show, stop=asked.is_set)
    stages = {path.name for path in (tmp_path / "out/.stages").iterdir()}
    assert not any(name.startswith(".") and name != ".lock" for name in stages), stages
    assert not (tmp_path / "out/result.json").exists()
    result = compress(job(tmp_path))
    assert any(stage.cached for stage in result.stages)
    assert {path.name for path in (tmp_path / "out/.stages").iterdir()} >= stages


def test_goals_that_were_not_reached_are_told(begun: Path) -> None:
    result = compress(job(begun, gate={"drop": 0.02, "speed": 1000, "size": 0.0001}))
    assert not result.passed
    assert "of the original's bytes" in result.why
    assert "times as fast, not 1000" in result.why
    assert any(each.ships for each in result.artefacts)


def test_a_folder_that_cannot_be_is_one_error(done: tuple[Path, Result]) -> None:
    folder, _ = done
    before = {p: p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file()}
    asked = replace(job(folder), out=folder / "out/result.json/below")
    with pytest.raises(StorageError, match="cannot be written"):
        compress(asked)
    assert before == {p: p.read_bytes() for p in (folder / "out").rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.pdmodel", "no such model file"),
        ("model.onnx", "is no Paddle inference model"),
        ("three.json", "is a program of Paddle 3"),
    ],
)
def test_models_that_are_none_are_named(name: str, said: str, tmp_path: Path) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=said):
        compress(job(tmp_path, model=name))


def test_an_operator_that_nobody_has_is_named(tmp_path: Path) -> None:
    made = Builder(3)
    made.conv(8)
    made.plain("no_such_operator")
    save_program(made.done(), tmp_path / "model.pdmodel")
    with pytest.raises(ModelError, match="no_such_operator"):
        compress(job(tmp_path))


def test_nothing_is_made_of_blank_pictures(tmp_path: Path) -> None:
    import cv2

    network(tmp_path / "model.pdmodel")
    asked = job(tmp_path)
    for path in (tmp_path / "data/calibration").iterdir():
        path.unlink()
    blank = np.full((24, 24, 3), 90, np.uint8)
    assert cv2.imwrite(str(tmp_path / "data/calibration/blank.png"), blank)
    with pytest.raises(InputError, match=r"blank\.png: nothing is to be seen on it"):
        compress(asked)


def test_the_json_is_plain(done: tuple[Path, Result]) -> None:
    folder, _ = done
    document = json.loads((folder / "out/result.json").read_text("utf-8"))
    assert document["schema_version"] == 1
    assert document["asked"]["name"] == "tiny"


def test_it_learns_from_the_original_with_and_without_rounding(tmp_path: Path) -> None:
    network(tmp_path / "model.pdmodel")
    asked = job(
        tmp_path,
        tuning=[{"path": "tuning"}],
        tune={"steps": 3, "batch": 2, "learning_rate": 1e-6},
        aware={"steps": 3, "batch": 2},
        quantise={"methods": ["minmax"], "most_skipped": 0},
        gate={"drop": 1e-6},
    )
    result = compress(asked)
    stages = [each.stage for each in result.tries]
    assert stages == ["simplify", "tune", "quantise", "aware", "quantise"]
    assert result.failed_stage in ("quantise", "tune")
    assert result.tries[1].parameters["batches"] == 3
    again = compress(asked)
    assert all(stage.cached for stage in again.stages)


def test_it_is_pruned_by_what_each_group_is_worth(tmp_path: Path) -> None:
    network(tmp_path / "model.pdmodel")
    asked = job(
        tmp_path,
        tuning=[{"path": "tuning"}],
        prune={"flops": 0.6, "ratios": [0.5], "count": 2},
        tune={"steps": 2, "batch": 2},
        quantise=None,
        gate={"drop": 0.999},
    )
    result = compress(asked)
    assert result.passed, result.why
    pruned = result.tries[-1]
    assert (pruned.stage, pruned.outcome) == ("prune", "chosen")
    assert result.original.flops > result.artefacts[0].flops > 0
    assert result.original.parameters > result.artefacts[0].parameters > 0
    assert {each.stage for each in result.sensitivities} == {"prune"}
    engine = open_engine(tmp_path / "out/tiny.fp32.onnx", threads=1)
    assert engine.run({"x": np.ones((1, 3, 24, 24), np.float32)})
    assert all(stage.cached for stage in compress(asked).stages)
