"""What comes out of the converters runs, answers as the program does, and is the same each time."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from compress_lab import Builder, lab, model, pictures

from compress.compare import largest_difference, latency_ratio
from compress.export import export_nb, export_onnx
from compress.export.child import DISCARDED
from compress.export.children import reason
from compress.export.lite import restore_for_lite
from compress.pdmodel import load_program, save_program
from compress.program import Program
from compress.simplify import simplify
from edge.engines.nb import foreign_target, read_nb
from models.errors import ModelError, StorageError

CONVERTED = 3e-4
"""What another engine may differ by, in the network's own units."""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_CACHE", str(lab() / "cache"))


def small(channels: int = 8) -> Program:
    b = Builder(3)
    b.conv(channels, 3, padding=1)
    b.bias()
    b.plain("hard_swish", threshold=6.0, scale=6.0, offset=3.0)
    b.scale(1.7, 0.4)
    b.conv(channels, 3, padding=1, depthwise=True)
    b.bias()
    b.plain("relu")
    return b.done()


def export(program: Program, path: Path) -> None:
    if path.suffix == ".nb":
        export_nb(program, path, "x86")
    else:
        export_onnx(program, path)


def source(program: Program, folder: Path) -> Path:
    save_program(program, folder / "source.pdmodel")
    return folder / "source.pdmodel"


def noise(channels: int = 3) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {"x": np.random.default_rng(5).standard_normal((1, channels, 16, 24)).astype(np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["det", "rec", "cls", "xs"])
def test_every_model_in_every_form(name: str, tmp_path: Path) -> None:
    program = load_program(model(name))
    simplify(program)
    feeds = [{program.feeds[0]: picture} for picture in pictures(name, 2)]
    for suffix in (".nb", ".onnx"):
        path = tmp_path / f"{name}{suffix}"
        export(program, path)
        assert largest_difference(model(name), path, feeds) <= CONVERTED
    export_nb(program, tmp_path / "arm.nb", "arm")
    head = read_nb(tmp_path / "arm.nb")
    assert foreign_target(head, "x86_64") == "ARM"
    assert head.precision == "fp32"
    assert [spec.name for spec in head.inputs] == list(program.feeds)


@pytest.mark.slow
def test_a_program_that_paddle_wrote_is_mended_for_lite(tmp_path: Path) -> None:
    program = load_program(model("xs"))
    kept = copy.deepcopy(program.of_type("swish")[0].attributes)
    export_nb(program, tmp_path / "xs.nb", "x86")  # opt aborts on swish, and crashes on transpose2
    assert program.of_type("swish")[0].attributes == kept
    restore_for_lite(program)
    assert all(op.get("beta") == 1.0 for op in program.of_type("swish"))
    assert all(op.output("XShape") in program.variables for op in program.of_type("transpose2"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nb", ".onnx"])
def test_the_same_program_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    made = set()
    for number in range(3):
        path = tmp_path / f"{number}{suffix}"
        if suffix == ".nb":
            export_nb(small(), path, "arm")
            assert path.read_bytes()[2:18] == b"v2.13-rc" + bytes(8)
        else:
            export_onnx(small(), path)
        made.add(path.read_bytes())
    assert len(made) == 1


@pytest.mark.slow
def test_a_scale_behind_an_activation_stays_behind_it(tmp_path: Path) -> None:
    program = small()
    reference = source(program, tmp_path)
    export_nb(program, tmp_path / "small.nb", "x86")
    assert largest_difference(reference, tmp_path / "small.nb", [noise()]) <= 1e-4


@pytest.mark.slow
def test_what_opt_would_make_of_it_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The day that this fails, DISCARDED has done its duty.
    from compress.export import child

    assert len(DISCARDED) == 1
    monkeypatch.setattr(child, "DISCARDED", ())
    reference = source(small(), tmp_path)
    child._to_nb(reference, tmp_path / "wrong.nb", "x86")
    assert largest_difference(reference, tmp_path / "wrong.nb", [noise()]) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nb", ".onnx"])
def test_an_operator_that_there_is_not(suffix: str, tmp_path: Path) -> None:
    program = small()
    program.of_type("relu")[0].type = "frobnicate"
    path = tmp_path / f"model{suffix}"
    with pytest.raises(ModelError, match="frobnicate") as caught:
        export(program, path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_onnx_file_is_fit_for_quantising(tmp_path: Path) -> None:
    export_onnx(small(), tmp_path / "small.onnx")
    made = onnx.load(str(tmp_path / "small.onnx"))
    assert [o.name for o in made.graph.output] == list(small().fetches)
    assert [i.name for i in made.graph.input] == ["x"]
    assert made.opset_import[0].version == 14
    weights = {i.name for i in made.graph.initializer}
    assert all(n.input[1] in weights for n in made.graph.node if n.op_type == "Conv")


@pytest.mark.slow
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        export_nb(small(), tmp_path / "file" / "model.nb", "arm")


@pytest.mark.slow
def test_two_models_take_turns(tmp_path: Path) -> None:
    export_onnx(small(64), tmp_path / "large.onnx")
    export_onnx(small(4), tmp_path / "small.onnx")
    feeds = {"x": np.zeros((1, 3, 160, 160), np.float32)}
    pace = latency_ratio(tmp_path / "large.onnx", tmp_path / "small.onnx", feeds, rounds=5)
    assert pace.cpu_ratio > 2
    assert pace.ratio == pace.first / pace.second


@pytest.mark.slow
def test_outputs_of_another_shape_are_no_small_difference(tmp_path: Path) -> None:
    export_onnx(small(64), tmp_path / "large.onnx")
    export_onnx(small(4), tmp_path / "small.onnx")
    with pytest.raises(ModelError, match="convert it again"):
        largest_difference(tmp_path / "large.onnx", tmp_path / "small.onnx", [noise()])


def test_what_a_converter_says_is_found_in_what_it_prints() -> None:
    lite = "Loading\n[F 11/22  5:32:54.742 op.h:118 GetAttr] Check failed: x: No beta\n\n--- stack"
    assert reason(lite) == "Check failed: x: No beta"
    assert reason("Warning\nlast") == "last"
    assert reason("\n") == "it said nothing"
