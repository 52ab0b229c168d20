"""The simulation for Paddle Lite, and rounding that is put in and taken out again."""

from __future__ import annotations

import contextlib
import copy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compress_lab import Builder, run, types

from compress.export import export_nb
from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.quantise import lite
from compress.quantise.aware import add_rounding, observe_layers, take_rounding, train_aware
from compress.quantise.lite import lite_layers, quantise_lite, simulate
from compress.tune.learner import Batch, Learner, flat_of, values_of
from compress.tune.losses import Distil
from edge.engines import open_engine
from edge.engines.nb import read_nb
from models.errors import InputError, ModelError

Feeds = dict[str, np.ndarray[Any, Any]]


def blocks() -> Program:
    b = Builder(3)
    b.conv(8, 3, padding=1)
    b.bias()
    b.plain("hard_swish", threshold=6.0, scale=6.0, offset=3.0)
    b.conv(8, 3, padding=1, depthwise=True)
    b.bias()
    kept = b.plain("relu")
    b.conv(8)
    b.joined("elementwise_add", kept, b.last)
    return b.done()


def noise(count: int = 3) -> list[Feeds]:
    rng = np.random.default_rng(7)
    return [{"x": rng.standard_normal((1, 3, 16, 24)).astype(np.float32)} for _ in range(count)]


def signal(reference: Any, other: Any) -> float:
    """Decibels of signal over noise."""
    noise = max(float(np.square(reference - other).sum()), 1e-30)
    return float(10 * np.log10(np.square(reference).sum() / noise))


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    save_program(blocks(), tmp_path / "model.pdmodel")
    return tmp_path / "model.pdmodel"


@pytest.mark.slow
def test_a_simulation_answers_closely_and_becomes_an_nb(model: Path) -> None:
    out = model.with_name("int8.pdmodel")
    told: list[tuple[int, int]] = []
    known = lite_layers(load_program(model))
    done = quantise_lite(
        model, out, noise(), skip=known[:1], progress=lambda n, total: told.append((n, total))
    )
    assert done.layers == known[1:]
    assert done.skipped == {known[0]: "asked"}
    assert told[-1] == (6, 6)
    assert [n for n, _ in told] == sorted(n for n, _ in told)
    engine = open_engine(model, threads=1, trial=False)
    before = [engine.run(each) for each in noise()]
    engine.close()
    after = simulate(out, noise())
    for one, other in zip(before, after, strict=True):
        ratio = signal(next(iter(one.values())), next(iter(other.values())))
        assert 20 < ratio < 80
    nb = model.with_name("model.nb")
    export_nb(load_program(out), nb, "arm")
    assert read_nb(nb).precision == "int8"


@pytest.mark.slow
def test_a_program_that_the_quantiser_dies_of(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = model.with_name("int8.pdmodel")
    program = blocks()
    program.of_type("relu")[0].type = "frobnicate"
    save_program(program, model)
    with pytest.raises(ModelError, match=r"PaddleSlim's quantiser refuses the model.*frobnicate"):
        quantise_lite(model, out, noise(1))
    monkeypatch.setattr(lite, "SECONDS", 0.1)
    with pytest.raises(ModelError, match=r"was not done within 0\.1 s"):
        quantise_lite(model, out, noise(1))
    assert not out.exists()


def test_a_child_that_is_killed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite, "CHILD", ("sh", "-c", "kill -SEGV $$"))
    with pytest.raises(ModelError, match="dies of the model by SIGSEGV"):
        quantise_lite(model, model.with_name("int8.pdmodel"), noise(1))


def test_bad_input_is_named_before_anything_starts(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lite, "CHILD", ("false",))
    out = model.with_name("int8.pdmodel")
    with pytest.raises(InputError, match="nothing to calibrate on"):
        quantise_lite(model, out, [])
    blank = {"x": np.full((1, 3, 16, 24), 0.5, np.float32)}
    with pytest.raises(InputError, match="the only picture to calibrate on is blank"):
        quantise_lite(model, out, [blank])
    with pytest.raises(InputError, match="no layer nothing to skip"):
        quantise_lite(model, out, noise(1), skip=["nothing"])
    b = Builder(3)
    b.plain("relu")
    save_program(b.done(), model)
    with pytest.raises(ModelError, match="no convolution"):
        quantise_lite(model, out, noise(1))


@pytest.mark.parametrize("target", ["onnx", "lite"])
def test_rounding_rounds_and_leaves_no_trace(target: Any, model: Path) -> None:
    ranges = observe_layers(model, noise(), target=target, method="minmax")
    program = load_program(model)
    assert ranges["x"] == (
        min(float(each["x"].min()) for each in noise()),
        max(float(each["x"].max()) for each in noise()),
    )
    assert len(ranges) == 3
    whole, known = copy.deepcopy(program), lite_layers(program)
    assert add_rounding(program, ranges, target=target, skip=known[1:2]) == 2
    kinds = types(program)
    assert kinds.count("fake_channel_wise_quantize_dequantize_abs_max") == 2
    assert kinds.count("fake_quantize_dequantize_moving_average_abs_max") == 2
    before, after = run(whole, noise(1)[0])[0], run(program, noise(1)[0])[0]
    assert 25 < signal(before, after) < 60
    take_rounding(program)
    save_program(whole, model.with_name("whole.pdmodel"))
    save_program(program, model.with_name("back.pdmodel"))
    for suffix in (".pdmodel", ".pdiparams"):
        back = model.with_name("back.pdmodel").with_suffix(suffix).read_bytes()
        assert back == model.with_name("whole.pdmodel").with_suffix(suffix).read_bytes()


def test_onnx_has_a_step_of_the_whole_range_and_lite_of_its_larger_half() -> None:
    b = Builder(1)
    b.conv(1)
    program = b.done()
    program.parameters[program.of_type("conv2d")[0].input("Filter")][:] = 1
    values = np.linspace(-1, 3, 24 * 16).astype(np.float32).reshape(1, 1, 16, 24)
    for target, step in (("onnx", 4 / 255), ("lite", 3 / 127)):
        rounded = copy.deepcopy(program)
        add_rounding(rounded, {"x": (-1.0, 3.0)}, target=target)  # type: ignore[arg-type]
        expected = np.rint(values / step) * step
        assert np.abs(run(rounded, {"x": values})[0] - expected).max() < 1e-4


def test_a_layer_that_takes_zeros_alone_is_not_rounded(model: Path) -> None:
    program = load_program(model)
    assert add_rounding(program, {"x": (0.0, 0.0)}, target="lite") == 0
    assert types(program) == types(blocks())


@pytest.mark.slow
def test_weights_learn_to_be_rounded(model: Path) -> None:
    out = model.with_name("aware.pdmodel")
    batch = Batch({"x": np.concatenate([each["x"] for each in noise(4)])})

    def train(rounded: Path, tuned: Path) -> list[float]:
        program = load_program(rounded)
        learner = Learner(program, load_program(model), [Distil()], fast=False)
        assert {*lite_layers(load_program(model))} <= set(learner.names)
        assert not [name for name in learner.names if "reach" in name]
        flat, losses = flat_of(program.parameters, learner.names), []
        flat = flat + np.random.default_rng(1).normal(0, 0.1, flat.shape).astype(np.float32)
        for _ in range(15):
            learnt = learner.learn(flat, batch)
            losses.append(sum(learnt.losses.values()))
            flat = flat - np.float32(0.1 / np.linalg.norm(learnt.gradient)) * learnt.gradient
        program.parameters.update(values_of(flat, program.parameters, learner.names))
        save_program(program, tuned)
        return losses

    losses = train_aware(model, out, noise(), train, target="lite", method="minmax")
    assert losses[-1] < 0.5 * losses[0]
    made = load_program(out)
    assert types(made) == types(blocks())
    assert all((made.parameters[n] != blocks().parameters[n]).any() for n in lite_layers(made))
    with pytest.raises(InputError, match="no layer nothing to skip"):
        train_aware(model, out, noise(1), train, target="lite", skip=["nothing"])
    with pytest.raises(InputError, match="is blank"):
        train_aware(model, out, [{"x": noise(1)[0]["x"] * 0}], train, target="lite")


CHILD = """
import time
from compress.quantise.child import die_with_parent
die_with_parent()
print("ready", flush=True)
time.sleep(60)
"""

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def test_the_child_is_killed_with_its_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = Path("/proc") / parent.stdout.readline().strip()
        assert child.exists()
        parent.kill()
    deadline = time.monotonic() + 10
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while "(zombie)" not in (child / "status").read_text():
            assert time.monotonic() < deadline, "it lives on"
            time.sleep(0.05)
