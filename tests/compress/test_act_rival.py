"""ACT of PaddleSlim as the bench runs it, on a network of two convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compress_lab import Builder

from compress.pdmodel import save_program
from edge.engines import Array, open_engine
from models.errors import ModelError
from tools.bench.rival_models import act_int8

pytestmark = pytest.mark.slow


def pictures(count: int) -> list[dict[str, Array]]:
    rng = np.random.default_rng(3)
    return [{"x": rng.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(count)]


def network(path: Path) -> Path:
    made = Builder(3)
    made.conv(8, 3, padding=1)
    made.plain("relu")
    made.conv(4)
    path.parent.mkdir()
    save_program(made.done(), path)
    return path


def test_act_trains_with_rounding_for_an_epoch(tmp_path: Path) -> None:
    program, out = network(tmp_path / "program/model.pdmodel"), tmp_path / "out"
    out.mkdir()
    before, seen = program.read_bytes(), list[int]()
    given = pictures(4)
    found = act_int8(program, out, given, 5.0, lambda done, total: seen.append(done))
    assert found["strategies"] == ["qat_dis"]
    assert (found["epochs"], found["stopped"], found["finite"]) == ([4], False, True)
    assert (found["refused"], found["converted"]) == ("", "")
    assert seen == [1, 1, 2, 3, 4]  # it looks at the first one before
    assert program.read_bytes() == before
    assert {path.name for path in out.iterdir()} == {
        "model.pdmodel", "model.pdiparams", "model.onnx", "act.log",
    }  # fmt: skip
    answers = []
    for path in (program, out / "model.pdmodel", out / "model.onnx"):
        engine = open_engine(path, threads=1)
        (answer,) = engine.run(given[0]).values()
        engine.close()
        answers.append(answer)
    for rounded in answers[1:]:
        assert 0 < np.abs(rounded - answers[0]).max() < 0.2 * np.abs(answers[0]).max()


def test_act_that_diverges_is_noticed(tmp_path: Path) -> None:
    program = network(tmp_path / "program/model.pdmodel")
    given = [{"x": np.full((1, 3, 16, 16), np.nan, np.float32)}]
    found = act_int8(program, tmp_path, given, 5.0, lambda done, total: None)
    assert not found["finite"]


def test_act_that_dies_is_quoted(tmp_path: Path) -> None:
    from tools.bench import rival_models

    with pytest.raises(ModelError, match=r"ACT died \(1\), and last said: AssertionError: "):
        rival_models._in_child(tmp_path, tmp_path, None, [], 1.0, lambda done, total: None)
