"""Paddle's files: read, written again, and refused with a mend."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from compress_lab import CLOSE, Builder, model, pictures, run
from paddle.base.proto import framework_pb2

from compress.pdmodel import load_program, save_program
from edge.engines import open_engine
from models.errors import ModelError


@pytest.fixture
def small(tmp_path: Path) -> Path:
    b = Builder(3)
    b.conv(4, 3)
    b.bias()
    save_program(b.done(), tmp_path / "small.pdmodel")
    return tmp_path / "small.pdmodel"


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_program(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path.parent))
    return message


@pytest.mark.slow
@pytest.mark.parametrize("name", ["det", "rec", "cls", "xs"])
def test_a_model_that_is_written_again_answers_the_same(name: str, tmp_path: Path) -> None:
    program = load_program(model(name))
    again = tmp_path / "again.pdmodel"
    save_program(program, again)
    weights = again.with_suffix(".pdiparams").read_bytes()
    assert weights == model(name).with_suffix(".pdiparams").read_bytes()
    (feed,) = program.feeds
    feeds = {feed: pictures(name)[0]}
    old, new = (
        list(open_engine(path, threads=1, trial=False).run(feeds).values())
        for path in (model(name), again)
    )
    assert all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))


@pytest.mark.slow
def test_nothing_of_its_makers_is_left(tmp_path: Path) -> None:
    save_program(load_program(model("xs")), tmp_path / "xs.pdmodel")
    written = (tmp_path / "xs.pdmodel").read_bytes()
    assert b"op_callstack" in model("xs").read_bytes()
    assert b"op_callstack" not in written
    assert b".py" not in written


def test_the_same_program_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_program(load_program(small), tmp_path / f"{name}.pdmodel")
    for suffix in (".pdmodel", ".pdiparams"):
        one, two = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes() == small.with_suffix(suffix).read_bytes()


def test_inputs_and_outputs(small: Path) -> None:
    program = load_program(small)
    (spec,) = program.inputs
    assert str(spec) == "float32 (?, 3, ?, ?)"
    assert spec.name == "x"
    assert program.fetches == ("t2",)
    x = np.random.default_rng(0).standard_normal((1, 3, 5, 6)).astype(np.float32)
    (answer,) = run(program, {"x": x})
    kernel, bias = (program.parameters[name] for name in sorted(program.parameters))
    expected = np.einsum("ijk,oijk->o", x[0, :, :3, :3], kernel) + bias
    assert np.abs(answer[0, :, 0, 0] - expected).max() < CLOSE


def test_a_program_of_paddle_3(small: Path) -> None:
    newer = small.with_name("inference.json")
    newer.write_text("{}")
    assert "Paddle 3" in refusal(newer)
    assert "FLAGS_enable_pir_api=0" in refusal(small.with_name("inference.pdmodel"))


def test_files_that_are_missing(small: Path) -> None:
    assert "No such file" in refusal(small.with_name("other.pdmodel"))
    small.with_suffix(".pdiparams").unlink()
    assert "small.pdiparams: cannot be read" in refusal(small)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_files_that_are_cut_off(small: Path, share: float) -> None:
    for suffix in (".pdiparams", ".pdmodel"):
        file = small.with_suffix(suffix)
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * share)])
        refusal(small)
        file.write_bytes(data)
    load_program(small)


def test_every_byte_that_may_be_altered_is_refused_or_harmless(small: Path) -> None:
    weights = small.with_suffix(".pdiparams")
    data = weights.read_bytes()
    refused = 0
    for at in range(40):
        weights.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])
        with contextlib.suppress(ModelError):
            load_program(small)
            continue
        refused += 1
    assert refused > 10


def test_parameters_of_another_model(small: Path, tmp_path: Path) -> None:
    b = Builder(3)
    b.conv(5, 3)
    b.bias()
    save_program(b.done(), tmp_path / "other.pdmodel")
    shutil.copy(tmp_path / "other.pdiparams", small.with_suffix(".pdiparams"))
    assert "are not the parameters of small.pdmodel" in refusal(small)
    with small.with_suffix(".pdiparams").open("ab") as file:
        file.write(b"more")
    refusal(small)


def test_control_flow(small: Path) -> None:
    desc = framework_pb2.ProgramDesc()
    desc.ParseFromString(small.read_bytes())
    desc.blocks.add(idx=1, parent_idx=0)
    op = desc.blocks[0].ops.add(type="while")
    op.attrs.add(name="sub_block", type=framework_pb2.BLOCK, block_idx=1)
    small.write_bytes(desc.SerializeToString())
    assert "2 blocks (while)" in refusal(small)


def test_a_variable_that_is_made_twice(small: Path) -> None:
    program = load_program(small)
    program.of_type("elementwise_add")[0].outputs["Out"] = ["t1"]
    program.of_type("fetch")[0].inputs["X"] = ["t1"]
    save_program(program, small)
    assert "t1 is made twice" in refusal(small)
