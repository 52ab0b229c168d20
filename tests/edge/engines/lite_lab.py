"""A release of Paddle Lite that never was: our stand-in, compiled, and models for it."""

from __future__ import annotations

import atexit
import platform
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import flatbuffers  # type: ignore[import-untyped]
from needs_lab import needs

from edge.engines.lite import LiteBuild, build_lite, find_release, this_machine
from edge.engines.lite.child import LIBRARY
from edge.engines.nb import PADDLE_DTYPES

STANDIN = Path(__file__).with_name("lite_standin")
VERSION = "v2.13-rc"
TYPES = {name: number for number, name in PADDLE_DTYPES.items()}
ARM, X86 = 4, 2
HERE = X86 if platform.machine() == "x86_64" else ARM


@lru_cache(maxsize=1)
def lab() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lineguard-lite-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_release(folder: Path, cxx: str = "g++") -> Path:
    """An unpacked release: ``cxx/include`` and ``cxx/lib``."""
    include, library = folder / "cxx" / "include", folder / "cxx" / "lib" / LIBRARY
    include.mkdir(parents=True)
    library.parent.mkdir()
    shutil.copy(STANDIN / "paddle_api.h", include)
    compile_standin(library, cxx=cxx)
    return folder


def compile_standin(library: Path, *flags: str, cxx: str = "g++") -> None:
    needs(shutil.which(cxx), f"{cxx}, the compiler")
    subprocess.run(
        [
            *(cxx, "-std=c++17", "-O1", "-fPIC", "-shared", *flags),
            *(str(STANDIN / "standin.cc"), "-o", str(library), f"-Wl,-soname,{LIBRARY}"),
        ],
        check=True,
        capture_output=True,
    )


@lru_cache(maxsize=1)
def release() -> Path:
    """The stand-in's release, compiled once."""
    return write_release(lab() / "release")


@lru_cache(maxsize=1)
def build() -> LiteBuild:
    """A build against it, made once."""
    return build_lite(find_release(release()), None, lab() / "builds", lambda line: None)


def other_build(folder: Path) -> LiteBuild:
    """The same under another key: what is known of one says nothing of the other."""
    key = "0123456789abcdef"
    shutil.copytree(build().folder, folder / key)
    other = replace(build(), folder=folder / key, key=key)
    (folder / key / "lite.json").write_bytes(other.facts())
    (folder / this_machine()).symlink_to(key)
    return other


def write_model(
    path: Path,
    *lines: str,
    inputs: dict[str, tuple[str, Sequence[int]]] | None = None,
    version: str = VERSION,
    kernel: str = f"conv2d/def/{HERE}/1/1",
) -> Path:
    """A ``.nb`` file with the head of a real one, which ends with what the stand-in is to do.

    ``inputs``: type and dimensions (-1 for any) by name; else a float32 image ``x`` of any size.
    """
    given: dict[str, tuple[str, Sequence[int]]] = inputs or {"x": ("float32", (-1, 3, -1, -1))}
    topology = _topology(given, kernel)
    head = struct.pack("<H16sQ", 2, version.encode()[:15], len(topology))
    told = "\n".join(["STANDIN", *(f"input {name}" for name in given), *lines, ""])
    path.write_bytes(head + topology + told.encode())
    return path


def _topology(inputs: dict[str, tuple[str, Sequence[int]]], kernel: str) -> bytes:
    """A program that feeds the inputs to one kernel, by the official FlatBuffers library."""
    b = flatbuffers.Builder()

    def table(*fields: tuple[int, int], slots: int = 14) -> int:
        b.StartObject(slots)
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

    variables, operators = [], []
    for name, (dtype, dims) in inputs.items():
        b.StartVector(8, len(dims), 8)
        for size in reversed(dims):
            b.PrependInt64(size)
        sizes = b.EndVector()
        b.StartObject(2)
        b.PrependInt32Slot(0, TYPES[dtype], 0)
        b.PrependUOffsetTRelativeSlot(1, sizes, 0)
        tensor = b.EndObject()
        kind = table((2, table((0, tensor))))
        variables.append(table((0, b.CreateString(name)), (1, kind)))
        out = table((0, b.CreateString("Out")), (1, vector([b.CreateString(name)])))
        operators.append(table((0, b.CreateString("feed")), (2, vector([out]))))
    attribute = table((0, b.CreateString("__@kernel_type_attr@__")), (4, b.CreateString(kernel)))
    operators.append(table((0, b.CreateString("conv2d")), (3, vector([attribute]))))
    block = table((2, vector(variables)), (3, vector(operators)))
    b.Finish(table((0, vector([block]))))
    return bytes(b.Output())
