"""INT8 of others beside ours: who is given what, what is said of it, and what is refused."""

import json
import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from compressed_lab import artefact, small_compression, write_result
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compress.batches import Batches
from compress.datasets import Item
from compress.metrics.text import DetMetric
from compress.result import load_result
from models.errors import InputError, ModelError
from tools.bench import rival_models
from tools.bench.report import markdown
from tools.bench.rival_models import plain_int8, teach
from tools.bench.rivals import BATCH, _act_notes, _int8, _Lessons, _recipe
from tools.recipe_file import load_recipe

MACHINE = {"cpu": "c", "cores": 2, "python": "3", "onnxruntime": "1", "date": "d"}

Feeds = dict[str, NDArray[np.float32]]


def conv(path: Path) -> Path:
    """A convolution and a rectifier on whatever size."""
    weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "h", "w"])
        for name, channels in (("x", 3), ("y", 4))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "conv", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")]
    )
    opset = [helper.make_opsetid("", 14)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )
    return path


def inputs(count: int) -> Iterator[Feeds]:
    rng = np.random.default_rng(1)
    for number in range(count):
        yield {"x": rng.standard_normal((1, 3, 8, 8 + 8 * number)).astype(np.float32)}


def test_plain_quantising_sees_every_picture(tmp_path: Path) -> None:
    from edge.engines import open_engine

    source, out = conv(tmp_path / "conv.onnx"), tmp_path / "int8.onnx"
    given = list(inputs(3))
    assert not plain_int8(source, out, iter(given))
    made = onnx.load(out)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in made.graph.node}
    answers = []
    for path in (source, out):
        engine = open_engine(path, threads=1)
        answers.append(engine.run(given[2])["y"])
        engine.close()
    # It was calibrated on the widest as well: nothing of it is cut off by much.
    assert np.abs(answers[0] - answers[1]).max() < 0.1 * answers[0].max()
    assert np.abs(answers[0] - answers[1]).max() > 0


def test_what_cannot_be_quantised_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"bad\.onnx: quantize_static refuses it \("):
        plain_int8(tmp_path / "bad.onnx", tmp_path / "out.onnx", inputs(1))
    with pytest.raises(ModelError, match="quantize_static refuses it"):
        plain_int8(conv(tmp_path / "conv.onnx"), tmp_path / "out.onnx", iter(()))


class Pupil:
    """The other end of a pipe: looks at one batch, then learns for some epochs."""

    def __init__(self, epochs: int, answer: Any = None) -> None:
        self.pipe, self._end = multiprocessing.Pipe()
        self.seen: list[int] = []
        self._epochs, self._answer = epochs, answer
        threading.Thread(target=self._learn, daemon=True).start()

    def _learn(self) -> None:
        self._end.send("begin")
        self._end.recv()
        for _ in range(self._epochs):
            self._end.send("begin")
            while (feeds := self._end.recv()) is not None:
                self.seen.append(feeds["x"].shape[3])
                self._end.send("next")
        if self._answer is not None:
            self._end.send(self._answer)
        self._end.close()


class Pictures:
    """Can be gone through again and again."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[Feeds]:
        return inputs(self._count)

    def __len__(self) -> int:
        return self._count


def test_each_epoch_begins_with_the_first_picture() -> None:
    pupil, bar = Pupil(2, {"why": ""}), list[tuple[int, int]]()
    found = teach(pupil.pipe, Pictures(3), 1.0, lambda *done: bar.append(done))
    assert found == {"why": "", "epochs": [3, 3], "stopped": False}
    assert pupil.seen == [8, 16, 24, 8, 16, 24]
    assert bar == [(done, 3) for done in (1, 1, 2, 3, 1, 2, 3)]


def test_an_epoch_ends_with_its_minutes_but_has_a_step() -> None:
    pupil = Pupil(1, {"why": ""})
    found = teach(pupil.pipe, Pictures(50), 0.0, lambda done, total: None)
    assert found == {"why": "", "epochs": [1], "stopped": True}


def test_who_is_gone_or_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EOFError):
        teach(Pupil(1).pipe, Pictures(1), 1.0, lambda done, total: None)
    monkeypatch.setattr(rival_models, "SILENT_S", 0.01)
    ours, theirs = multiprocessing.Pipe()
    with theirs, pytest.raises(ModelError, match=r"ACT has said nothing for 0\.01 s"):
        teach(ours, Pictures(1), 1.0, lambda done, total: None)


def test_the_int8_that_ships_is_what_is_compared(tmp_path: Path) -> None:
    dense, shipped = conv(tmp_path / "dense.onnx"), tmp_path / "shipped.onnx"
    shipped.write_bytes(b"eight bits")
    out = small_compression(tmp_path / "out", dense, shipped)
    result = load_result(out / "result.json")
    assert _int8(out, result) == out / "small.int8.onnx"
    (out / "small.int8.onnx").write_bytes(b"other")
    with pytest.raises(InputError, match=r"small\.int8\.onnx: is not what .*result\.json says"):
        _int8(out, result)
    full = artefact(dense, precision="fp32")
    none = write_result(tmp_path / "none", "m.pdmodel", full, [full])
    with pytest.raises(InputError, match="none: ships no INT8 for ONNX Runtime"):
        _int8(none, load_result(none / "result.json"))


RECIPE = """
name = "mine"
model = "zoo:ppocrv4-det-paddle"
family = "ppocr_det"
targets = ["x86-onnx"]
[[calibration]]
path = "train.txt"
[[evaluation]]
path = "val.txt"
[gate]
drop = 0.03
"""


def test_the_recipe_is_the_one_that_was_run(tmp_path: Path) -> None:
    dense = conv(tmp_path / "dense.onnx")
    out = small_compression(tmp_path / "out", dense, dense)
    document = json.loads((out / "result.json").read_bytes())
    document["asked"]["recipe"] = RECIPE
    (out / "result.json").write_text(json.dumps(document))
    found = _recipe(load_result(out / "result.json"))
    assert (found.name, found.gate.drop) == ("mine", 0.03)


def test_a_rival_sees_the_batches_that_we_learn_from(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE)
    asked = load_recipe(tmp_path / "mine.toml")
    photos = sorted((Path(__file__).parents[1] / "data/wire_markers/det").glob("*.jpg"))[:2]
    items = [Item(each.name, each, None, "") for each in photos]
    given = _Lessons(Batches(asked, DetMetric(960), items, BATCH))
    seen = [batch["x"] for batch in given]
    assert [each.shape for each in seen] == [(2, 3, 320, 320)] * 2
    for first, again in zip(seen, given, strict=True):
        assert np.array_equal(first, again["x"])
    assert not np.array_equal(seen[0], seen[1])
    lines = asked.model_copy(update={"family": "ppocr_rec"})
    assert len(_Lessons(Batches(lines, DetMetric(960), items * 9, BATCH))) == 3


def row(name: str, value: float | None, speed: float | None, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"name": name, "why": "", "notes": []}
    if value is not None:
        drop = (0.9 - value) / 0.9
        said |= {"value": value, "low": value - 0.02, "high": value + 0.02}
        said |= {"drop": drop, "drop_low": drop - 0.01, "drop_high": drop + 0.01}
    if speed is not None:
        said |= {"bytes": int(1e6 / speed), "cpu_ratio": speed}
    return said | more


def page(*rows: dict[str, Any], quick: bool = False) -> str:
    recipe = {
        "recipe": "ppocrv4-det",
        "metric": "hmean",
        "quick": quick,
        "pictures": {"calibration": 200, "tuning": 0, "evaluation": 370},
        "shape": {"x": [1, 3, 640, 640]},
        "threads": 1,
        "rows": [row("FP32 original", 0.9, 1.0), *rows],
    }
    figures = {"minutes": 60.0, "recipes": [recipe]}
    return markdown({"rivals": {"command": "c", "machine": MACHINE, "figures": figures}})


def test_the_page_says_whom_ours_is_behind() -> None:
    ours = row("lineguard", 0.9, 2.0)
    text = page(ours, row("plain", 0.85, 1.5), row("ACT", 0.9, 2.0))
    assert "| FP32 original | 0.9000 | 0.8800 to 0.9200 | - | - | 1.00 | 1.00 |" in text
    assert "| **lineguard** | 0.9000 | 0.8800 to 0.9200 | +0.00% |" in text
    assert "| plain | 0.8500 | 0.8300 to 0.8700 | +5.56% | +4.56% to +6.56% | 1.50 | 0.67 |" in text
    assert "\nlineguard is behind nobody.\n" in text
    assert "--quick" not in text
    behind = page(ours, row("plain", 0.91, 2.1), row("ACT", 0.8, 2.5), quick=True)
    assert "\nlineguard is behind plain in accuracy and speed, ACT in speed." in behind
    assert "--quick" in behind


def test_who_failed_has_a_line_with_the_reason() -> None:
    failed = row("plain", None, None, why="failed: a | b")
    slow = row("ACT", 0.95, None, notes=["qat_dis 25 steps", "as Paddle computes it: no ONNX"])
    stock = row("lineguard, stock weights", 0.99, 3.0)
    text = page(row("lineguard, tuned", 0.9, 2.0), stock, failed, slow)
    assert "| plain | - | - | - | - | - | - | failed: a / b |" in text
    assert "| - | - | qat_dis 25 steps; as Paddle computes it: no ONNX |" in text
    assert (
        "\nlineguard, tuned is behind ACT in accuracy; lineguard, stock weights is behind nobody.\n"
    ) in text


def test_what_act_did_is_told() -> None:
    facts = {"strategies": ["qat_dis"], "epochs": [7, 25], "stopped": False, "refused": ""}
    assert _act_notes(facts, 200) == ("qat_dis 25 steps on 200 pictures",)
    facts |= {"stopped": True, "refused": "prune: E: x"}
    assert _act_notes(facts, 9) == (
        "qat_dis 25 steps on 9 pictures, ended by the time given",
        "its own choice fails (prune: E: x): told to take qat_dis",
    )
