"""What stands in the head of a ``.nb`` file, read without Paddle Lite.

Paddle Lite aborts, or quietly computes rubbish, when a file is not made for it; the file itself
says what it was made for::

    0   u16       format of the file, 2
    2   char[16]  version of paddle_lite_opt, NUL-terminated
    18  u64       length of the topology
    26            topology: a FlatBuffer with root ProgramDesc
                  (weights follow)

Sources: Paddle Lite's ``lite/model_parser/flatbuffers/framework.fbs`` (the tables and the order of
their fields), ``lite/api/paddle_place.h`` (the numbers of targets and precisions), and the
FlatBuffers internals page (how a table is laid out).
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.engines.base import Precision, TensorSpec
from models.errors import EngineError

__all__ = ["PADDLE_DTYPES", "NbHead", "check_made_for", "foreign_target", "on_x86", "read_nb"]

# framework.proto, VarType.Type; `.pdmodel` and `.nb` share it.
PADDLE_DTYPES = {
    0: "bool",
    1: "int16",
    2: "int32",
    3: "int64",
    4: "float16",
    5: "float32",
    6: "float64",
    20: "uint8",
    21: "int8",
}

# lite_api::TargetType and PrecisionType
_X86, _ARM = 2, 4
_INT8, _FP16 = 2, 5

_HEAD = struct.Struct("<H16sQ")
_KERNEL = "__@kernel_type_attr@__"
"""Where opt leaves its choice of a kernel: operator/alias/target/precision/layout."""


@dataclass(frozen=True)
class NbHead:
    """What a ``.nb`` file says of itself.

    Attributes
    ----------
    version
        Of the ``paddle_lite_opt`` that made it; the runtime must be the same.
    targets
        ``lite_api::TargetType`` of its kernels.
    precision
        ``int8`` or ``fp16`` if any kernel is.
    inputs
        In the order of the feed operators.
    """

    version: str
    targets: frozenset[int]
    precision: Precision
    inputs: tuple[TensorSpec, ...]


def check_made_for(path: Path, head: NbHead, version: str | None) -> None:
    """Refuse what Paddle Lite would abort on, or compute rubbish with.

    Parameters
    ----------
    path, head
        The file, and what it says of itself.
    version
        Of the library; ``None`` if it is not known yet.

    Raises
    ------
    EngineError
        The file is made by another version or for another processor, or is INT8 on x86.
    """
    # The header holds 16 bytes with the NUL: no more than 15 of a longer version.
    if version is not None and head.version != version[:15]:
        raise EngineError(
            f"{path}: made by paddle_lite_opt {head.version}, but Paddle Lite here is "
            f"{version}: make it again with the opt of that version"
        )
    if foreign := foreign_target(head):
        raise EngineError(
            f"{path}: made for {foreign}, which is not this processor: make it again with "
            "the valid_targets of this machine"
        )
    if head.precision == "int8" and on_x86():
        raise EngineError(
            f"{path}: the INT8 kernels of Paddle Lite for x86 give wrong results: "
            "use the FP32 .nb or the INT8 .onnx on this machine"
        )


def on_x86(machine: str | None = None) -> bool:
    """Whether this processor (``platform.machine()``) is a PC's."""
    return (machine or platform.machine()) in {"x86_64", "AMD64", "i686"}


def foreign_target(head: NbHead, machine: str | None = None) -> str | None:
    """Name the processor a file was made for if it is not this one (``platform.machine()``)."""
    if on_x86(machine):
        return "ARM" if _ARM in head.targets else None
    return "x86" if _X86 in head.targets else None


def read_nb(path: Path) -> NbHead:
    """Read the head of a file.

    Raises
    ------
    EngineError
        It cannot be read, is no ``.nb`` file, or is cut off within its topology.
    """
    try:
        with path.open("rb") as file:
            layout, version, length = _HEAD.unpack(file.read(_HEAD.size))
            if layout != 2:
                raise ValueError(f"file format {layout} instead of 2")
            topology = file.read(min(length, path.stat().st_size))
        return _read_topology(topology, version.split(b"\0")[0].decode("ascii"))
    except (OSError, ValueError, struct.error, KeyError, IndexError) as error:
        raise EngineError(
            f"{path}: is no whole .nb file ({error}): make it again with paddle_lite_opt"
        ) from error


def _read_topology(topology: bytes, version: str) -> NbHead:
    program = _Table(topology, _u32(topology, 0))
    kernels: set[tuple[int, int]] = set()
    fed: list[str] = []
    dims: dict[str, _Table] = {}
    for block in program.tables(0):
        for var in block.tables(2):
            dims[var.text(0)] = var
        for op in block.tables(3):
            if op.text(0) == "feed":
                fed += [name for out in op.tables(2) for name in out.texts(1)]
            for attribute in op.tables(3):
                if attribute.text(0) == _KERNEL:
                    _, _, target, precision, _ = attribute.text(4).rsplit("/", 4)
                    kernels.add((int(target), int(precision)))
    precisions = {precision for _, precision in kernels}
    return NbHead(
        version=version,
        targets=frozenset(target for target, _ in kernels),
        precision="int8" if _INT8 in precisions else "fp16" if _FP16 in precisions else "fp32",
        inputs=tuple(_spec(name, dims[name]) for name in fed),
    )


def _spec(name: str, var: _Table) -> TensorSpec:
    tensor = var.table(1).table(2).table(0)  # VarDesc.type.lod_tensor.tensor
    dtype = np.dtype(PADDLE_DTYPES[tensor.int32(0)])
    return TensorSpec(name, tuple(n if n > 0 else None for n in tensor.int64s(1)), dtype)


def _u32(data: bytes, at: int) -> int:
    value: int = struct.unpack_from("<I", data, at)[0]
    return value


@dataclass(frozen=True)
class _Table:
    """A FlatBuffers table at ``at``; its fields are known by number."""

    data: bytes
    at: int

    def field(self, number: int) -> int:
        """Where field ``number`` lies; ``KeyError`` if the table has not got it."""
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        slot = 4 + 2 * number
        if vtable < 0 or slot >= struct.unpack_from("<H", self.data, vtable)[0]:
            raise KeyError(f"field {number}")
        offset: int = struct.unpack_from("<H", self.data, vtable + slot)[0]
        if offset == 0:
            raise KeyError(f"field {number}")
        return self.at + offset

    def follow(self, number: int) -> int:
        at = self.field(number)
        return at + _u32(self.data, at)

    def table(self, number: int) -> _Table:
        return _Table(self.data, self.follow(number))

    def text(self, number: int) -> str:
        return self._text_at(self.follow(number))

    def int32(self, number: int) -> int:
        """A scalar; FlatBuffers leaves out a field that has its default, here always 0."""
        try:
            value: int = struct.unpack_from("<i", self.data, self.field(number))[0]
        except KeyError:
            return 0
        return value

    def tables(self, number: int) -> list[_Table]:
        return [_Table(self.data, at) for at in self._elements(number)]

    def texts(self, number: int) -> list[str]:
        return [self._text_at(at) for at in self._elements(number)]

    def int64s(self, number: int) -> tuple[int, ...]:
        at = self.follow(number)
        return struct.unpack_from(f"<{_u32(self.data, at)}q", self.data, at + 4)

    def _elements(self, number: int) -> Iterator[int]:
        try:
            at = self.follow(number)
        except KeyError:  # an empty vector is left out
            return
        for slot in range(at + 4, at + 4 + 4 * _u32(self.data, at), 4):
            yield slot + _u32(self.data, slot)

    def _text_at(self, at: int) -> str:
        return self.data[at + 4 : at + 4 + _u32(self.data, at)].decode("utf-8")
