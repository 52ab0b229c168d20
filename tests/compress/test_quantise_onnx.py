"""Eight bits in ONNX: answers stay close, what is folded is exact, and bad input is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compress_lab import model, pictures
from onnx_lab import Net, answers, blocks, executed, noise, signal

from compress.export import export_onnx
from compress.onnx_graph import Graph
from compress.pdmodel import load_program
from compress.quantise.eight import companions, layers
from compress.quantise.observe import observe, prepare
from compress.quantise.onnx import quantise_onnx
from compress.quantise.ranges import Method
from compress.quantise.sensitivity import (
    choose_skip,
    layer_noises,
    least_noises,
    suited,
    worst_layers,
)
from compress.simplify import simplify
from edge.engines import open_engine
from models.errors import InputError, ModelError


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Path:
    return blocks().save(tmp_path / "small.onnx")


def test_answers_stay_close_and_all_of_it_is_eight_bits(small: Path) -> None:
    out = small.with_name("int8.onnx")
    done = quantise_onnx(small, out, noise(), method="minmax")
    assert len(done.layers) == 3
    assert done.skipped == {}
    assert done.folds == 1
    assert done.bytes == out.stat().st_size
    feeds = noise(8)[4:]
    before = answers(small, feeds)
    assert signal(before, answers(out, feeds)) > 30
    assert signal(before, answers(out, feeds, plain=True)) > 30
    ran = executed(out, feeds[0])
    assert ran["QLinearConv"] == 3
    # Both gates are leaky ReLUs now, and the scale between is gone.
    assert ran["QLinearLeakyRelu"] == 2
    assert ran["QLinearMul"] == 2
    assert ran["QLinearAdd"] == 1
    assert not {"Mul", "Add", "HardSigmoid", "HardSwish"} & set(ran)
    engine = open_engine(out, threads=1, trial=False)
    assert engine.precision == "int8"
    engine.close()


@pytest.mark.parametrize("affine", [(0.3, 0.9), (1.4, -0.02), (0.5, 0.0), (1.0, 0.35), (-0.8, 0.2)])
def test_a_scale_and_a_shift_by_any_constants(affine: tuple[float, float], tmp_path: Path) -> None:
    path, out = blocks(affine).save(tmp_path / "fp32.onnx"), tmp_path / "int8.onnx"
    done = quantise_onnx(path, out, noise(), method="minmax")
    assert (done.folds == 1) == (affine[0] > 0 and affine != (1.4, -0.02))
    feeds = noise(8)[4:]
    reference = answers(path, feeds)
    assert signal(reference, answers(out, feeds)) > 28


def test_the_same_inputs_in_any_order_give_the_same_bytes(small: Path) -> None:
    made = set()
    for number, feeds in enumerate((noise(), noise(), noise()[::-1])):
        out = small.with_name(f"{number}.onnx")
        quantise_onnx(small, out, feeds, method="mse")
        made.add(out.read_bytes())
    assert len(made) == 1


def test_skipped_layers_and_what_follows_them_stay_as_they_are(small: Path) -> None:
    seen = observe(small, noise())
    first, second, last = layers(seen.model)
    out = small.with_name("int8.onnx")
    done = quantise_onnx(small, out, seen, skip=[first])
    assert done.layers == (second, last)
    assert done.skipped == {first: "asked"}
    assert done.folds == 0
    ran = executed(out, noise()[0])
    assert ran["QLinearConv"] == 2
    assert ran["QLinearLeakyRelu"] == 1
    everything = quantise_onnx(small, out, seen, skip=[first, second, last])
    assert everything.layers == ()
    assert signal(answers(small, noise()), answers(out, noise())) > 100
    with pytest.raises(InputError, match=rf"no layer conv9 to skip: its layers are {first}"):
        quantise_onnx(small, out, seen, skip=["conv9"])


def test_noise_tells_which_layer_minds(tmp_path: Path) -> None:
    net = blocks()
    spoilt = "w1"
    # One channel is a thousand times as large: the steps of the tensor drown the others.
    net.weights[spoilt][0] *= 300
    net.weights["w2"][:, 0] /= 300
    path, out = net.save(tmp_path / "fp32.onnx"), tmp_path / "int8.onnx"
    seen = observe(path, noise())
    told: list[tuple[int, int]] = []
    noises = layer_noises(
        seen, noise(2), method="minmax", progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert set(noises) == set(layers(seen.model))
    assert all(value > 0 for value in noises.values())
    sound = observe(blocks().save(tmp_path / "sound.onnx"), noise())
    assert noises[spoilt] > 20 * layer_noises(sound, noise(2), method="minmax")[spoilt]
    worst = worst_layers(noises)[0]
    assert noises[worst] == max(noises.values())

    reference = answers(path, noise())
    found = choose_skip(
        seen, out, noises, lambda made: signal(reference, answers(made, noise())), floor=200.0,
        method="minmax", most=2,
    )  # fmt: skip
    assert not found.passed
    assert [len(trial.skip) for trial in found.trials] == [0, 1, 2]
    assert found.best == max(found.trials, key=lambda trial: trial.value)
    assert out.stat().st_size > 0
    floor = found.trials[1].value
    found = choose_skip(
        seen, out, noises, lambda made: signal(reference, answers(made, noise())), floor=floor,
        method="minmax",
    )  # fmt: skip
    assert found.passed
    assert found.best.skip == (worst,)
    assert signal(reference, answers(out, noise())) == found.best.value


def test_each_tensor_gets_the_method_of_its_layers(tmp_path: Path) -> None:
    path, out = blocks().save(tmp_path / "fp32.onnx"), tmp_path / "int8.onnx"
    seen = observe(path, noise())
    first, *others = layers(seen.model)
    quiet, loud = dict.fromkeys(others, 0.1), dict.fromkeys(others, 0.2)
    noises: dict[Method, dict[str, float]] = {
        "minmax": {first: 9.0, **quiet},
        "percentile": {first: 0.0, **loud},
    }
    method = suited(seen, noises)
    graph = Graph(seen.model)
    own = next(node for node in graph.nodes if node.name == first)
    last = next(node for node in graph.nodes if node.name == others[-1])
    assert method[own.input[0]] == "percentile"
    assert method[last.output[0]] == "minmax"
    assert least_noises(noises) == {first: 0.0, **quiet}
    ranges = seen.ranges(method)
    assert ranges[own.input[0]] == seen.ranges("percentile")[own.input[0]]
    assert ranges[last.output[0]] == seen.ranges("minmax")[last.output[0]]
    alike = quantise_onnx(path, tmp_path / "alike.onnx", seen, method="percentile")
    assert quantise_onnx(path, out, seen, method=method).layers == alike.layers
    assert out.read_bytes() != (tmp_path / "alike.onnx").read_bytes()
    every: dict[str, Method] = dict.fromkeys(seen.histograms, "percentile")
    quantise_onnx(path, out, seen, method=every)
    assert out.read_bytes() == (tmp_path / "alike.onnx").read_bytes()


def test_as_few_as_it_takes_are_spared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from compress.quantise import sensitivity

    names = [f"layer{number}" for number in range(40)]
    written: list[tuple[str, ...]] = []
    monkeypatch.setattr(sensitivity, "layers", lambda model: tuple(names))
    monkeypatch.setattr(
        sensitivity, "quantise_onnx", lambda *given, skip, **named: written.append(skip)
    )
    seen: Any = type("Seen", (), {"path": tmp_path, "model": None})
    for need in range(21):
        written.clear()
        found = choose_skip(
            seen, tmp_path, {name: 40.0 - n for n, name in enumerate(names)},
            lambda path: float(len(written[-1])), floor=need, method="mse",
        )  # fmt: skip
        assert found.passed
        assert found.best.skip == tuple(names[:need])
        assert written[-1] == found.best.skip
        assert len(found.trials) <= 10
    found = choose_skip(
        seen, tmp_path, {name: 40.0 - n for n, name in enumerate(names)},
        lambda path: float(len(written[-1])), floor=5, method="mse", always=["layer1", "layer30"],
    )  # fmt: skip
    assert found.best.skip == ("layer1", "layer30", "layer0", "layer2", "layer3")
    with pytest.raises(ModelError, match="another model"):
        choose_skip(seen, tmp_path, {"a": 1.0}, lambda path: 1.0, floor=0.0, method="mse")


def test_large_layers_that_are_spared_are_stored_in_half_precision(tmp_path: Path) -> None:
    net = Net()
    net.conv(64, 3, 3)
    net.conv(80, 64)
    path, out = net.save(tmp_path / "fp32.onnx"), tmp_path / "int8.onnx"
    quantise_onnx(path, out, noise(), skip=["w1"])
    assert out.stat().st_size < 0.65 * path.stat().st_size
    assert signal(answers(path, noise()), answers(out, noise())) > 30
    ran = executed(out, noise()[0])
    assert ran["QLinearConv"] == 1
    assert ran["Cast"] == 0  # folded when it is opened


def test_blank_pictures_are_no_calibration(small: Path) -> None:
    out = small.with_name("int8.onnx")
    blank = np.zeros((1, 3, 24, 32), np.float32)
    red = blank.copy()
    red[:, 0] = 1.5
    for feeds, said in (
        ([], "nothing to calibrate on"),
        ([blank], "the only picture to calibrate on is blank"),
        ([blank, red], "every one of the 2 pictures to calibrate on is blank"),
    ):
        with pytest.raises(InputError, match=said):
            quantise_onnx(small, out, [{"x": each} for each in feeds])
    broken = noise()[1]
    broken["x"][0, 0, 0, 0] = np.nan
    with pytest.raises(ModelError, match="x is not finite on calibration input 2"):
        quantise_onnx(small, out, [noise()[0], broken])
    with pytest.raises(ModelError, match="cannot be calibrated"):
        quantise_onnx(small, out, [{"y": blank}])
    assert not out.exists()


def test_files_that_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx: cannot be prepared"):
        quantise_onnx(tmp_path / "text.onnx", tmp_path / "out.onnx", noise())
    net = Net()
    net.add("Relu", "x")
    net.save(tmp_path / "relu.onnx")
    with pytest.raises(ModelError, match="no convolution or matrix product"):
        quantise_onnx(tmp_path / "relu.onnx", tmp_path / "out.onnx", noise())


def test_a_layer_that_gives_zeros_alone_is_left_as_it_is(tmp_path: Path) -> None:
    net = blocks()
    net.weights["w1"][:] = net.weights["b1"][:] = 0
    net.save(tmp_path / "fp32.onnx")
    done = quantise_onnx(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", noise())
    assert done.skipped == {"w1": "zero range"}


def test_swish_and_gates_of_squeeze_and_excite(tmp_path: Path) -> None:
    net = Net()
    first = net.conv(8, 3)
    swish = net.add("Mul", first, net.add("Sigmoid", first))
    net.add("GlobalAveragePool", swish)
    net.conv(8, 8)
    net.add("Mul", swish, net.add("HardSigmoid", net.last, alpha=0.2, beta=0.5))
    net.conv(4, 8)
    path, out = net.save(tmp_path / "gates.onnx"), tmp_path / "int8.onnx"
    done = quantise_onnx(path, out, noise(), method="minmax")
    assert done.layers == ("w0", "w1", "w2")
    assert signal(answers(path, noise()), answers(out, noise())) > 30
    ran = executed(out, noise()[0])
    assert ran["QLinearSigmoid"] == ran["QLinearLeakyRelu"] == 1
    assert ran["QLinearMul"] == 2
    # Nothing follows in eight bits where the layer before does not compute in them.
    assert set(companions(prepare(path), ["w0"])) == {"w1", "w2"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["det", "rec"])
def test_stock_models(name: str, tmp_path: Path) -> None:
    path, out = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    program = load_program(model(name))
    simplify(program)
    export_onnx(program, path)
    feeds = [{"x": picture} for picture in pictures(name, 6)]
    done = quantise_onnx(path, out, feeds[:4], method="mse")
    assert len(done.layers) == {"det": 61, "rec": 47}[name]
    assert done.folds >= 6
    assert done.bytes < path.stat().st_size / 3
    engines = [open_engine(each, threads=1, trial=False) for each in (path, out)]
    for each in feeds[4:]:
        before, after = (next(iter(engine.run(each).values())) for engine in engines)
        if name == "rec":
            assert (before.argmax(2) == after.argmax(2)).mean() > 0.9
        else:
            union = ((before > 0.3) | (after > 0.3)).sum()
            assert ((before > 0.3) & (after > 0.3)).sum() > 0.85 * union
