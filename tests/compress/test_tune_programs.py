"""Any program learns: gradients are right, losses are what they are said to be, runs go on."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import numpy as np
import paddle
import pytest
from compress_lab import Builder, model, run
from hypothesis import given
from hypothesis import strategies as st

from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.simplify import simplify
from compress.tune.learner import Batch, Learner, Vector, flat_of, values_of
from compress.tune.losses import Ctc, Distil, Loss, encode
from compress.tune.programs import Tuned, tune
from compress.tune.trainable import branches, parameters_of
from models.errors import InputError, ModelError
from models.ppyoloe.train.schedule import Plan

DICTIONARY = ("", "a", "b", "c")
BOTH = pytest.mark.parametrize("fast", [False, True])


def net(kind: str = "", *, gain: float = 0.2) -> Program:
    """A small network with an output of the kind: of convolutions that are deep and wide."""
    b = Builder(4, 3)
    b.conv(8, 3, padding=1)
    b.bias()
    b.plain("relu6", threshold=6.0)
    inner = b.last
    b.conv(8, 3, padding=1, depthwise=True)
    b.plain("hard_swish", threshold=6.0, scale=6.0, offset=3.0)
    b.joined("elementwise_add", inner, b.last)
    b.scale(0.5, 0.1)
    b.transposed(4)
    b.batch_norm()
    b.conv(1 if kind == "sigmoid" else 3)
    if kind:
        b.plain(kind, **({"axis": 1} if kind == "softmax" else {}))
    return _milder(b.done(), gain)


def reader(gain: float = 0.2, classes: int = len(DICTIONARY)) -> Program:
    """``(N, 4, 1, W)`` to probabilities by step, as the tail of PP-OCRv4's recogniser."""
    b = Builder(4, 3)
    b.variable("x", (-1, 4, 1, -1))
    b.conv(8)
    b.bias()
    b.plain("swish", beta=1.0)
    b.program.variables[b.last].type.lod_tensor.tensor.dims[2] = 1
    flat = b.variable("flat", (-1, 8, -1))
    shadow = b.variable("flat.shape", (0, -1, 8, 1, -1))
    op = b.add("squeeze2", {"X": b.last}, {"Out": flat, "XShape": shadow})
    op.put(axes=[2])
    weights, bias = b.parameter(8, classes), b.parameter(classes)
    product, said = b.variable("product", (-1, -1, classes)), b.variable("said", (-1, -1, classes))
    b.add("matmul_v2", {"X": flat, "Y": weights}, {"Out": product}, trans_x=True, trans_y=False)
    b.add("elementwise_add", {"X": product, "Y": bias}, {"Out": said}, axis=2)
    b.last = b.variable("sure", (-1, -1, classes))
    b.add("softmax", {"X": said}, {"Out": b.last}, axis=2)
    return _milder(b.done(), gain)


def _milder(program: Program, gain: float) -> Program:
    """Weights that keep numbers near 1: differences of large ones have no digits left."""
    for name in parameters_of(program):
        program.parameters[name] = program.parameters[name] * np.float32(gain)
    return program


def pictures(count: int = 3, *, line: bool = False, seed: int = 0) -> dict[str, Vector]:
    shape = (count, 4, 1, 9) if line else (count, 4, 6, 6)
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal(shape).astype(np.float32)}


def other(program: Program, far: float = 0.3, seed: int = 1) -> Program:
    """The same with other weights."""
    made, rng = copy.deepcopy(program), np.random.default_rng(seed)
    for name in parameters_of(made):
        value = made.parameters[name]
        noise = rng.standard_normal(value.shape) * far * np.abs(value).mean()
        made.parameters[name] = (value + noise).astype(np.float32)
    return made


def check_gradient(learner: Learner, program: Program, batch: Batch) -> None:
    """Along some directions the loss changes as the gradient says."""
    flat = flat_of(program.parameters, learner.names)
    learnt = learner.learn(flat, batch)
    assert np.linalg.norm(learnt.gradient) > 1e-3
    rng, step = np.random.default_rng(0), 2e-3
    ends = np.cumsum([0, *(program.parameters[n].size for n in learner.names)])
    for a, b in itertools.pairwise(ends.tolist()):
        way = np.zeros_like(flat)
        way[a:b] = rng.standard_normal(b - a)
        way /= np.linalg.norm(way)
        way *= 1 if way @ learnt.gradient >= 0 else -1
        ahead, behind = (
            sum(learner.learn(flat + np.float32(s * step) * way, batch).losses.values())
            for s in (1, -1)
        )
        slope = (ahead - behind) / (2 * step)
        assert slope == pytest.approx(float(way @ learnt.gradient), rel=0.05, abs=2e-3)


@BOTH
@pytest.mark.parametrize("kind", ["", "sigmoid", "softmax"])
def test_gradients_of_distillation(kind: str, fast: bool) -> None:
    teacher = net(kind)
    student = other(teacher)
    # The energy of these maps hardly changes: it is made to count.
    learner = Learner(student, teacher, [Distil(features=3.0)], fast=fast)
    check_gradient(learner, student, Batch(pictures()))
    flat = flat_of(student.parameters, learner.names)
    assert set(learner.learn(flat, Batch(pictures())).losses) == {"distil", "features"}


@BOTH
def test_gradients_of_texts_through_a_transposed_product(fast: bool) -> None:
    # Paddle's own gradient of it writes where it must not, and is wrong.
    program = reader()
    learner = Learner(program, other(program), [Ctc(DICTIONARY), Distil()], fast=fast)
    batch = Batch(pictures(line=True), ["ab", None, "cca"], [1.0, 1.0, 0.0])
    check_gradient(learner, program, batch)


def ctc_by_hand(probabilities: Vector, text: str) -> float:
    """Minus the logarithm of the sum over all paths that read as the text."""
    steps, classes = probabilities.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        merged = [c for i, c in enumerate(path) if c and (i == 0 or path[i - 1] != c)]
        if "".join(DICTIONARY[c] for c in merged) == text:
            total += float(np.prod([probabilities[i, c] for i, c in enumerate(path)]))
    return -float(np.log(total))


def test_texts_by_hand() -> None:
    program = reader(0.6)
    x = pictures(3, line=True)["x"][..., :5]
    (said,) = run(program, {"x": x})
    learner = Learner(program, None, [Ctc(DICTIONARY, weight=2.0)])
    flat = flat_of(program.parameters, learner.names)
    texts = ["ab", None, "bb"]
    found = learner.learn(flat, Batch({"x": x}, texts)).losses
    expected = ctc_by_hand(said[0], "ab") + ctc_by_hand(said[2], "bb")
    assert found == {"ctc": pytest.approx(2 * expected / 3, rel=1e-4)}
    none = learner.learn(flat, Batch({"x": x}, [None, "", None]))
    assert none.losses == {"ctc": 0.0}
    assert not none.gradient.any()


def test_divergence_by_hand() -> None:
    teacher, student = reader(0.6), other(reader(0.6))
    x = pictures(line=True)
    (right,), (said,) = run(teacher, x), run(student, x)
    each = (right * np.log(right / said)).sum((1, 2))
    learner = Learner(student, teacher, [Distil()])
    flat = flat_of(student.parameters, learner.names)
    found = learner.learn(flat, Batch(x, (), [1.0, 0.0, 1.0])).losses["distil"]
    assert found == pytest.approx((each[0] + each[2]) / 3, rel=1e-3)


def test_map_by_hand() -> None:
    teacher, student = net("sigmoid", gain=0.6), other(net("sigmoid", gain=0.6))
    (right,), (said,) = run(teacher, pictures()), run(student, pictures())
    far = right * np.log(right / said) + (1 - right) * np.log((1 - right) / (1 - said))
    text = right > 0.3
    assert 0.05 < text.mean() < 0.95
    expected = []
    for f, t, r, s in zip(far, text, right, said, strict=True):
        halves = (f * t).sum() / (t.sum() + 1) + (f * ~t).sum() / ((~t).sum() + 1)
        expected.append(halves + 1 - 2 * ((r * s).sum() + 1) / ((r**2).sum() + (s**2).sum() + 2))
    learner = Learner(student, teacher, [Distil()])
    found = learner.learn(flat_of(student.parameters, learner.names), Batch(pictures())).losses
    assert found["distil"] == pytest.approx(np.mean(expected), rel=1e-3)


@pytest.mark.parametrize("kind", ["", "sigmoid", "softmax"])
def test_who_answers_as_the_teacher_loses_nothing(kind: str) -> None:
    program = net(kind)
    learner = Learner(program, program, [Distil(features=1.0)])
    flat = flat_of(program.parameters, learner.names)
    found = learner.learn(flat, Batch(pictures())).losses
    assert found == {"distil": pytest.approx(0, abs=1e-5), "features": pytest.approx(0, abs=1e-5)}


def test_static_mode_stays_inside() -> None:
    flag = "FLAGS_new_executor_serial_run"
    before = paddle.get_flags([flag])
    learner = Learner(net(), net(), [Distil()])
    learner.learn(flat_of(net().parameters, learner.names), Batch(pictures()))
    assert paddle.in_dynamic_mode()
    assert paddle.get_flags([flag]) == before


def test_what_learns() -> None:
    program = net()
    norm = program.of_type("batch_norm")[0]
    names = parameters_of(program)
    assert {norm.input("Scale"), norm.input("Bias")} <= set(names)
    assert not {norm.input("Mean"), norm.input("Variance")} & set(names)
    flat = flat_of(program.parameters, names)
    back = values_of(flat, program.parameters, names)
    assert all((back[n] == program.parameters[n]).all() for n in names)


def test_stages_of_the_detector() -> None:
    program = load_program(model("det"))
    simplify(program)
    found = branches(program, program)
    assert len(found) >= 4
    assert all(len(program.shape(name) or ()) == 4 for name in found)


@given(st.lists(st.none() | st.text("abc", max_size=5), min_size=1, max_size=4))
def test_encoding(texts: list[str | None]) -> None:
    labels, lengths = encode(texts, DICTIONARY)
    assert labels.dtype == np.int32
    assert lengths.dtype == np.int64
    back = ["".join(DICTIONARY[c] for c in row[:n]) for row, n in zip(labels, lengths, strict=True)]
    assert back == [text or "" for text in texts]


def test_what_does_not_fit() -> None:
    x = pictures(line=True)
    learner = Learner(reader(), None, [Ctc(DICTIONARY)])
    flat = flat_of(reader().parameters, learner.names)
    with pytest.raises(InputError, match="'axé': 'x' 'é' is not in the dictionary: leave"):
        learner.learn(flat, Batch(x, ["a", "axé", "b"]))
    with pytest.raises(ModelError, match="the dictionary has 4 classes, the recogniser 5"):
        Learner(reader(classes=5), None, [Ctc(DICTIONARY)])
    with pytest.raises(ModelError, match="is no recogniser"):
        Learner(net("sigmoid"), None, [Ctc(DICTIONARY)])
    with pytest.raises(ModelError, match="distillation has no teacher"):
        Learner(net(), None, [Distil()])
    with pytest.raises(ModelError, match="share no feature map"):
        Learner(reader(), reader(), [Distil(features=1.0)])
    two = net()
    two.ops.append(copy.deepcopy(two.of_type("fetch")[0]))
    with pytest.raises(ModelError, match="puts out 2 arrays, the student takes x and puts out 1"):
        Learner(net(), two, [Distil()])
    idle = Builder(4)
    idle.plain("relu")
    with pytest.raises(ModelError, match="no parameters that could learn"):
        Learner(idle.done(), None, [Distil()])


def batches(step: int) -> Batch:
    return Batch(pictures(4, seed=step))


def broken(step: int) -> Batch:
    x = pictures(4, seed=step)
    if step == 2:
        x["x"][0, 0, 0, 0] = np.nan
    return Batch(x)


class _Run:
    """Tuning towards other weights, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.student, self.teacher = folder / "s.pdmodel", folder / "t.pdmodel"
        self.out, self.checkpoint = folder / "out" / "m.pdmodel", folder / "at.npz"
        save_program(other(net()), self.student)
        save_program(net(), self.teacher)
        self.losses: list[float] = []

    def __call__(
        self, steps: int, *, until: int = 10**6, workers: int = 1, rate: float = 1e-2,
        losses: tuple[Loss, ...] = (Distil(),), source: object = batches,
    ) -> Tuned:  # fmt: skip
        def shown(share: float, measured: dict[str, float]) -> None:
            self.losses.append(measured["loss"])

        return tune(
            self.student, self.out, source, losses=losses, teacher=self.teacher,  # type: ignore[arg-type]
            length=Plan(steps), rate=rate, checkpoint=self.checkpoint, workers=workers,
            progress=shown, stop=lambda: len(self.losses) >= until,
        )  # fmt: skip


@pytest.mark.slow
def test_it_learns_and_changes_nothing_else(tmp_path: Path) -> None:
    run_ = _Run(tmp_path)
    done = run_(60, workers=2)
    assert (done.finished, done.steps, len(done.losses)) == (True, 60, 10)
    assert done.losses[-1]["distil"] < 0.1 * run_.losses[0]
    assert not run_.checkpoint.exists()
    before, after = load_program(run_.student), load_program(run_.out)
    assert after.parameters.keys() == before.parameters.keys()
    norm = before.of_type("batch_norm")[0]
    for slot in ("Mean", "Variance"):
        name = norm.input(slot)
        assert (after.parameters[name] == before.parameters[name]).all()
    assert run_.out.read_bytes() == run_.student.read_bytes()
    x = pictures(seed=77)
    (right,), (was,), (is_,) = (run(p, x) for p in (load_program(run_.teacher), before, after))
    assert np.abs(is_ - right).mean() < 0.5 * np.abs(was - right).mean()


@pytest.mark.slow
def test_it_goes_on_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, parts = _Run(tmp_path / "a"), _Run(tmp_path / "b")
    whole(6)
    stopped = parts(6, until=3)
    assert (stopped.finished, stopped.steps) == (False, 3)
    assert not parts.out.exists()
    with pytest.raises(
        InputError, match=r"at\.npz: checkpoint of another training \(rate was 0\.01"
    ):
        parts(6, rate=0.5)
    assert parts(6).steps == 6
    assert parts.losses == whole.losses
    weights = [r.out.with_suffix(".pdiparams").read_bytes() for r in (whole, parts)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_what_is_no_number_ends_it_and_leaves_what_was_good(tmp_path: Path) -> None:
    run_ = _Run(tmp_path)
    with pytest.raises(ModelError, match=r"s\.pdmodel: tuning: the loss is no number at step 2"):
        run_(6, source=broken)
    assert not run_.out.exists()
    run_.losses.clear()
    assert run_(6, until=1).steps == 3  # with a batch that is sound it goes on


@pytest.mark.slow
def test_faults_of_the_processes_are_told(tmp_path: Path) -> None:
    run_ = _Run(tmp_path)
    with pytest.raises(ModelError, match=r"s\.pdmodel: is no recogniser"):
        run_(2, losses=(Ctc(DICTIONARY),))
    assert not run_.out.exists()
    assert not run_.checkpoint.exists()


@pytest.mark.slow
def test_the_stock_classifier_learns_through_onednn() -> None:
    """Its convolutions say ``is_test``, and oneDNN refuses the gradient of those."""
    program = load_program(model("cls"))
    learner = Learner(program, copy.deepcopy(program), [Distil()])
    noise = np.random.default_rng(0).standard_normal((2, 3, 48, 192)).astype(np.float32)
    flat = flat_of(program.parameters, learner.names)
    learnt = learner.learn(flat, Batch({program.feeds[0]: noise}))
    assert learnt.losses["distil"] == pytest.approx(0.0, abs=1e-4)
    assert np.isfinite(learnt.gradient).all()
