"""Paddle's inference files, read and written without running Paddle.

``.pdmodel`` is a ``ProgramDesc`` of ``framework.proto``; ``.pdiparams`` holds one tensor after the
other, in the alphabetical order of the parameters' names::

    u32  version, 0
    u64  levels of detail, 0 (else each: u64 bytes, offsets)
    u32  version of the tensor, 0
    i32  length of the description
         TensorDesc: type and dimensions
         elements, little-endian

Source: Paddle's ``paddle/fluid/framework/lod_tensor.cc`` and ``tensor_util.cc`` (2.6), and
``save_combine``, which sorts. Read and written here so that the same program always gives the same
bytes, and so that Paddle, which drops attributes when it saves, never touches it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from paddle.base.proto import framework_pb2

from compress.program import Op, Program
from edge.engines import Array
from edge.engines.nb import PADDLE_DTYPES
from models.atomic import write_atomic
from models.errors import ModelError

__all__ = ["load_program", "save_program"]

_VERSIONS = struct.Struct("<IQ")
_DESCRIBED = struct.Struct("<Ii")

_NOISE = ("op_callstack", "op_namescope", "op_role", "op_role_var", "op_device", "with_quant_attr")
"""Attributes about who made the program, where on his disk, and how he trained it."""

_NUMBERS = {name: number for number, name in PADDLE_DTYPES.items()}


def load_program(path: Path) -> Program:
    """Read ``path`` (``.pdmodel``) and the ``.pdiparams`` beside it.

    Raises
    ------
    ModelError
        A file is missing, cut off, not Paddle's, of Paddle 3, or the program has control flow or
        operators that work in place.
    """
    if path.suffix == ".json":
        raise ModelError(
            f"{path}: is a program of Paddle 3, which Paddle Lite cannot read: "
            "save it again as .pdmodel, with FLAGS_enable_pir_api=0 set before Paddle starts"
        )
    if not path.is_file() and path.with_suffix(".json").is_file():
        return load_program(path.with_suffix(".json"))
    desc = framework_pb2.ProgramDesc()
    try:
        _parse(desc, _read(path))
        if not desc.HasField("version"):  # it stands behind the operators
            raise ValueError("it has no end")
    except ValueError as error:
        raise ModelError(
            f"{path}: is no whole .pdmodel file ({error}): copy or export it again"
        ) from error
    if len(desc.blocks) != 1:
        flow = sorted({op.type for b in desc.blocks for op in b.ops if _has_block(op)})
        raise ModelError(
            f"{path}: has {len(desc.blocks)} blocks ({', '.join(flow) or 'no operators'}): "
            "export the network without control flow"
        )
    (block,) = desc.blocks
    variables = {known.name: known for known in block.vars}
    weights = path.with_suffix(".pdiparams")
    parameters = _read_parameters(weights, sorted(_parameter_names(variables)), variables)
    head = framework_pb2.ProgramDesc()
    head.CopyFrom(desc)
    del head.blocks[0].ops[:]
    del head.blocks[0].vars[:]
    ops = [_op(op) for op in block.ops]
    _check_made_once(path, ops, parameters)
    return Program(ops, variables, parameters, head)


def save_program(program: Program, path: Path) -> None:
    """Write ``path`` (``.pdmodel``) and the ``.pdiparams`` beside it.

    Each file is whole or absent, and the same program gives the same bytes.

    Raises
    ------
    StorageError
        The disk is full, read-only or gone.
    """
    desc = framework_pb2.ProgramDesc()
    desc.CopyFrom(program.head)
    (block,) = desc.blocks
    for name in sorted(program.variables):
        block.vars.add().CopyFrom(program.variables[name])
    for op in program.ops:
        _describe(op, block.ops.add())
    # The weights first: a .pdmodel without its weights would look complete to a glob.
    write_atomic(path.with_suffix(".pdiparams"), b"".join(_tensors(program.parameters)))
    write_atomic(path, desc.SerializeToString(deterministic=True))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}): "
            "give a .pdmodel with its .pdiparams beside it"
        ) from error


def _parse(message: Any, data: bytes) -> None:
    try:
        message.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, which is typed nowhere
        raise ValueError(str(error)) from error


def _has_block(op: Any) -> bool:
    return any(a.type == framework_pb2.BLOCK for a in op.attrs)


def _check_made_once(path: Path, ops: list[Op], parameters: Mapping[str, Array]) -> None:
    """Rewrites follow a variable from the one operator that makes it to those that take it."""
    made: set[str] = set()
    for op in ops:
        for name in op.makes():
            if name in made and name not in parameters and op.type != "fetch":
                raise ModelError(
                    f"{path}: {name} is made twice, again by {op.type}: "
                    "export the network without operators that work in place"
                )
            made.add(name)


def _parameter_names(variables: Mapping[str, Any]) -> Iterator[str]:
    for name, known in variables.items():
        if known.persistable and known.type.type == framework_pb2.VarType.LOD_TENSOR:
            yield name


def _read_parameters(
    path: Path, names: list[str], variables: Mapping[str, Any]
) -> dict[str, Array]:
    data = _read(path)
    parameters: dict[str, Array] = {}
    at = 0
    try:
        for name in names:
            parameters[name], at = _read_tensor(data, at)
            declared = variables[name].type.lod_tensor.tensor.dims
            if list(parameters[name].shape) != list(declared):
                raise ValueError(f"{name} is {list(parameters[name].shape)}, not {list(declared)}")
        if at != len(data):
            raise ValueError(f"{len(data) - at} bytes too many")
    except (struct.error, ValueError, KeyError) as error:
        raise ModelError(
            f"{path}: are not the parameters of {path.with_suffix('.pdmodel').name} ({error}): "
            "copy both files of one export"
        ) from error
    return parameters


def _read_tensor(data: bytes, at: int) -> tuple[Array, int]:
    _, levels = _VERSIONS.unpack_from(data, at)
    at += _VERSIONS.size
    if levels:
        raise ValueError("a parameter has levels of detail")
    _, length = _DESCRIBED.unpack_from(data, at)
    at += _DESCRIBED.size
    if not 0 < length <= len(data) - at:
        raise ValueError("cut off within a description")
    desc = framework_pb2.VarType.TensorDesc()
    _parse(desc, data[at : at + length])
    at += length
    dtype = np.dtype(PADDLE_DTYPES[desc.data_type]).newbyteorder("<")
    shape = [int(n) for n in desc.dims]
    count = int(np.prod(shape, dtype=np.int64))
    if count < 0 or count * dtype.itemsize > len(data) - at:
        raise ValueError("cut off within a parameter")
    value = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
    return value, at + count * dtype.itemsize


def _tensors(parameters: Mapping[str, Array]) -> Iterator[bytes]:
    for name in sorted(parameters):
        value = parameters[name]
        desc = framework_pb2.VarType.TensorDesc()
        desc.data_type = _NUMBERS[value.dtype.name]
        desc.dims.extend(value.shape)
        described = desc.SerializeToString(deterministic=True)
        yield _VERSIONS.pack(0, 0) + _DESCRIBED.pack(0, len(described)) + described
        yield value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def _op(desc: Any) -> Op:
    return Op(
        desc.type,
        {slot.parameter: list(slot.arguments) for slot in desc.inputs},
        {slot.parameter: list(slot.arguments) for slot in desc.outputs},
        {a.name: a for a in desc.attrs if a.name not in _NOISE},
    )


def _describe(op: Op, desc: Any) -> None:
    desc.type = op.type
    for slot, names in op.inputs.items():
        desc.inputs.add(parameter=slot, arguments=names)
    for slot, names in op.outputs.items():
        desc.outputs.add(parameter=slot, arguments=names)
    for name in sorted(op.attributes):
        desc.attrs.add().CopyFrom(op.attributes[name])
