"""What a model file says of itself: precision, inputs, version, processor."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import pytest
from engine_lab import convert, lab, nb, tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.engines import open_engine
from edge.engines.nb import NbHead, foreign_target, read_nb
from edge.engines.onnxruntime_engine import onnx_precision
from models.errors import EngineError

FLOAT, FLOAT16 = 1, 10


def field(number: int, value: int | bytes | str) -> bytes:
    """One protobuf field; enough of an encoder for models of a hundred bytes."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    assert len(data) < 1 << 14
    length = [len(data)] if len(data) < 128 else [len(data) & 127 | 128, len(data) >> 7]
    return bytes([number << 3 | 2, *length]) + data


def value_info(name: str, kind: int) -> bytes:
    shape = field(1, field(1, 2)) + field(1, field(1, 3))
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def node(operator: str, inputs: str, output: str, attribute: bytes = b"") -> bytes:
    names = b"".join(field(1, name) for name in inputs.split())
    return field(1, names + field(2, output) + field(4, operator) + attribute)


def onnx_model(nodes: bytes, kind: int = FLOAT, initialisers: bytes = b"") -> bytes:
    """Per onnx.proto3: ModelProto with one graph from x to y, both (2, 3)."""
    graph = nodes + field(2, "g") + initialisers
    graph += field(11, value_info("x", kind)) + field(12, value_info("y", kind))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def cast(kind: int) -> bytes:
    return field(5, field(1, "to") + field(3, kind) + bytes([0xA0, 1, 2]))  # AttributeProto, INT


SCALES = field(5, field(2, FLOAT) + field(8, "s") + field(9, struct.pack("<f", 0.1))) + field(
    5, field(2, 3) + field(8, "z") + field(9, b"\0")
)

MODELS = {
    "fp32": onnx_model(node("Relu", "x", "y")),
    "fp32 with a telling name": onnx_model(
        node("Relu", "x", "QuantizeLinear") + node("Relu", "QuantizeLinear", "y")
    ),
    "int8": onnx_model(
        node("QuantizeLinear", "x s z", "q") + node("DequantizeLinear", "q s z", "y"),
        initialisers=SCALES,
    ),
    "fp16": onnx_model(node("Relu", "x", "y"), FLOAT16),
    "fp16 inside": onnx_model(node("Cast", "x", "h", cast(10)) + node("Cast", "h", "y", cast(1))),
}


@pytest.mark.parametrize("what", MODELS)
def test_onnx(what: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(MODELS[what])
    engine = open_engine(path, threads=1, trial=False)
    assert engine.precision == what.split()[0]
    assert engine.inputs[0].shape == (2, 3)
    answer = engine.run({"x": np.ones((2, 3), engine.inputs[0].dtype)})["y"]
    assert np.allclose(answer, 1, atol=0.05)


def test_onnx_weights_are_not_taken_for_operators() -> None:
    noise = np.random.default_rng(0).bytes(10_000_000)
    assert onnx_precision(noise, {"tensor(float)"}) == "fp32"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "precision", "foreign"),
    [
        ("x86", "fp32", {"x86_64": None, "aarch64": "x86", "armv7l": "x86"}),
        ("arm", "fp32", {"x86_64": "ARM", "aarch64": None, "armv7l": None}),
        ("fp16", "fp16", {"x86_64": "ARM", "aarch64": None, "armv7l": None}),
    ],
)
def test_nb(made: str, precision: str, foreign: dict[str, str | None]) -> None:
    path = nb("cls", "arm", fp16=True) if made == "fp16" else nb("cls", made)
    head = read_nb(path)
    assert head.version == "v2.13-rc"
    assert head.precision == precision
    assert str(head.inputs[0]) == "float32 (?, 3, ?, ?)"
    assert {machine: foreign_target(head, machine) for machine in foreign} == foreign


@pytest.mark.slow
@pytest.mark.parametrize("target", ["arm", "x86"])
def test_nb_int8(target: str) -> None:
    head = read_nb(convert(tiny()[1], target))
    assert head.precision == "int8"
    assert str(head.inputs[0]) == "float32 (1, 3, 16, 16)"


def written_by_flatbuffers(dims: list[int]) -> bytes:
    """A file of one feed and one INT8 ARM kernel, by the official FlatBuffers library."""
    b = flatbuffers.Builder()

    def table(*fields: tuple[int, int]) -> int:
        b.StartObject(5)
        for number, offset in fields:
            b.PrependUOffsetTRelativeSlot(number, offset, 0)
        end: int = b.EndObject()
        return end

    def vector(items: list[int]) -> int:
        b.StartVector(4, len(items), 4)
        for item in reversed(items):
            b.PrependUOffsetTRelative(item)
        end: int = b.EndVector()
        return end

    text = b.CreateString
    b.StartVector(8, len(dims), 8)
    for size in reversed(dims):
        b.PrependInt64(size)
    sizes = b.EndVector()
    b.StartObject(2)
    b.PrependInt32Slot(0, 3, 0)  # int64
    b.PrependUOffsetTRelativeSlot(1, sizes, 0)
    tensor = b.EndObject()
    var = table((0, text("bild")), (1, table((2, table((0, tensor))))))
    out = table((0, text("Out")), (1, vector([text("bild")])))
    feed = table((0, text("feed")), (2, vector([out])))
    kernel = text("conv2d/int8/out/4/2/1")
    name = text("__@kernel_type_attr@__")
    b.StartObject(14)
    b.PrependUOffsetTRelativeSlot(0, name, 0)
    b.PrependUOffsetTRelativeSlot(4, kernel, 0)
    attribute = b.EndObject()
    conv = table((0, text("conv2d")), (3, vector([attribute])))
    block = table((2, vector([var])), (3, vector([feed, conv])))
    b.Finish(table((0, vector([block]))))
    topology = bytes(b.Output())
    return struct.pack("<H16sQ", 2, b"v9.9\0rubbish", len(topology)) + topology


def test_nb_by_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "model.nb"
    path.write_bytes(written_by_flatbuffers([-1, 3, 7]))
    head = read_nb(path)
    assert head == NbHead("v9.9", frozenset({4}), "int8", head.inputs)
    assert [str(spec) for spec in head.inputs] == ["int64 (?, 3, 7)"]
    assert head.inputs[0].name == "bild"


@settings(deadline=None)  # files on a busy disk
@given(data=st.data())
def test_nb_that_is_damaged(data: st.DataObject) -> None:
    whole = written_by_flatbuffers([1, 3, 48, -1])
    spoilt = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at in data.draw(st.lists(st.integers(0, max(len(spoilt) - 1, 0)), max_size=4)):
        if at < len(spoilt):
            spoilt[at] = data.draw(st.integers(0, 255))
    path = lab() / "damaged.nb"
    path.write_bytes(spoilt)
    with suppress(EngineError):
        assert isinstance(read_nb(path), NbHead)


def test_nb_of_another_format(tmp_path: Path) -> None:
    path = tmp_path / "old.nb"
    path.write_bytes(b"\x01\x00" + written_by_flatbuffers([1])[2:])
    with pytest.raises(EngineError, match="format 1"):
        read_nb(path)
