"""`lineguard compress` as a user runs it: what it refuses, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_lab import lineguard, refused

from models.zoo import locate

RECIPE = """
name = "angle"
model = "{model}"
family = "ppocr_cls"
targets = ["x86-onnx"]
[[calibration]]
path = "a"
[[evaluation]]
path = "b"
{more}
"""


def write(folder: Path, more: str = "", model: str = "zoo:ppocr-cls-paddle") -> Path:
    """A recipe and its pictures of print."""
    for name, texts in (("a", ("LOT 12", "EXP 26")), ("b", ("MFG 34", "BOX 78", "QTY 90"))):
        (folder / name).mkdir(exist_ok=True)
        for text in texts:
            image = np.full((48, 200, 3), 230, np.uint8)
            cv2.putText(image, text, (8, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (20, 20, 20), 2)
            assert cv2.imwrite(str(folder / name / f"{text[:3]}.png"), image)
    path = folder / "angle.toml"
    path.write_text(RECIPE.format(model=model, more=more))
    return path


@pytest.mark.slow
def test_it_leaves_a_model_a_result_and_a_report(tmp_path: Path) -> None:
    write(tmp_path)
    done = lineguard("compress", "angle.toml", "--out", "out", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.json["passed"]
    assert done.json["asked"]["command"] == "lineguard compress angle.toml --out out --json"
    assert (tmp_path / "out/angle.fp32.onnx").is_file()
    assert (tmp_path / "out/result.json").read_text("utf-8") == done.out
    assert (tmp_path / "out/report.html").is_file()

    again = lineguard("compress", "angle.toml", "--out", "out", cwd=tmp_path)
    assert again.code == 0, again.err
    assert "Passed: every artefact held the gate" in again.out
    assert "report: out/report.html" in again.out


@pytest.mark.slow
def test_a_goal_that_was_missed_is_exit_code_1(tmp_path: Path) -> None:
    write(tmp_path, "[gate]\nsize = 0.01")
    done = lineguard("compress", "angle.toml", "--out", "out", cwd=tmp_path)
    assert done.code == 1
    assert "of the original's bytes" in " ".join(done.out.split())
    assert (tmp_path / "out/angle.fp32.onnx").is_file()


def test_every_fault_of_a_recipe_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "[gate]\ndrop = 3\n[prune]\nflop = 0.5")
    assert refused("compress", "angle.toml", cwd=tmp_path) == [
        "angle.toml:11: gate.drop = 3: must be less than 1.0 "
        "(share of the metric that may be lost against FP32)",
        'angle.toml:13: prune.flop: unknown key: did you mean "flops"?',
    ]


def test_an_unknown_recipe_is_told_which_is_near(tmp_path: Path) -> None:
    (error,) = refused("compress", "ppocr-clss", cwd=tmp_path)
    assert (
        error == "ppocr-clss: no such recipe: did you mean ppocr-cls? Otherwise give a .toml file"
    )


def test_pictures_and_models_that_cannot_be_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    (error,) = _said(tmp_path, "compress", "angle.toml", "--data", "elsewhere")
    assert error.startswith("elsewhere/b: cannot be read") or "elsewhere/b" in error
    write(tmp_path, model=str(locate("ppocr-cls-onnx")))
    (error,) = _said(tmp_path, "compress", "angle.toml")
    assert "is no Paddle inference model: give a .pdmodel" in error


def _said(folder: Path, *args: object) -> list[str]:
    """Error lines of a run that must not leave more than its empty folder of stages."""
    done = lineguard(*args, "--out", "out", cwd=folder)
    assert (done.code, done.out) == (2, "")
    left = {path.name for path in (folder / "out").rglob("*") if path.is_file()}
    assert left <= {".lock"}
    return done.errors
