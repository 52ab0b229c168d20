"""The manifest of a bundle: all that is known of a model that goes onto boxes.

It is what a bundle's signature covers; the files hang on it by hash. The table in
``docs/protocol.md`` says what each field means.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, BinaryIO, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    SerializationInfo,
    Strict,
    ValidationError,
    model_validator,
)

from models.bundle.cbor import dump_cbor, load_cbor
from models.errors import BundleError

__all__ = [
    "CHUNK",
    "MAX_FILES",
    "MAX_MANIFEST",
    "MAX_TOTAL",
    "MODEL_FILES",
    "Bounds",
    "EngineRange",
    "ExpectedDefect",
    "Facts",
    "FileEntry",
    "Golden",
    "Manifest",
    "ModelTable",
    "chunk_hashes",
    "file_entry",
    "manifest_id",
    "model_paths",
    "release",
]

T = TypeVar("T")

CHUNK = 65_536
"""Bytes that are hashed on their own, so that a transfer resumes there."""

MAX_FILES = 256
MAX_TOTAL = 512 * 2**20
"""Bytes of all files: no box has memory for a larger model."""

MAX_MANIFEST = 3 * 2**20
"""Bytes of CBOR; in base64, with its signatures, an envelope of 4 MiB."""

MODEL_FILES = {"ppocr": ("det", "rec", "cls", "dictionary"), "ppyoloe": ("det",)}
"""Keys of a model's table that name files, by family."""

MAX_FAULTS = 10
"""Of a manifest, told at once: nobody mends one by hand."""


def _hex(value: object) -> object:
    """In CBOR a hash is 32 bytes; here it is text."""
    return value.hex() if isinstance(value, bytes) else value


def _raw(value: str | None, info: SerializationInfo) -> str | bytes | None:
    return value if value is None or info.mode == "json" else bytes.fromhex(value)


def _ordered(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    if not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError("must be [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
    return box


def _path(path: str) -> str:
    if any(part in {".", ".."} for part in path.split("/")):
        raise ValueError("must have no part . or ..")
    return path


_Many = Annotated[tuple[T, ...], Strict(False)]
_Sha256 = Annotated[
    str, BeforeValidator(_hex), Field(pattern=r"^[0-9a-f]{64}$"), PlainSerializer(_raw)
]
_Path = Annotated[
    str,
    Field(max_length=100, pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$"),
    AfterValidator(_path),
]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
_Semantic = Annotated[
    str, Field(max_length=64, pattern=r"^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z.-]+)?$")
]
_Release = Annotated[str, Field(max_length=32, pattern=r"^[0-9]{1,6}(\.[0-9]{1,6}){0,3}$")]
_Text = Annotated[str, Field(max_length=1000)]
_Label = Annotated[str, Field(min_length=1, max_length=64)]
_Pixel = Annotated[int, Field(ge=0, le=65_535)]
_Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
_Region = Annotated[tuple[_Pixel, _Pixel, _Pixel, _Pixel], Strict(False), AfterValidator(_ordered)]
_Box = Annotated[tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate], Strict(False)]

ModelTable = dict[str, JsonValue]
"""A station file's ``[models.NAME]``; whoever opens the model checks the rest of it."""


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class FileEntry(_Table):
    """One file of the payload. ``chunks`` are the hashes of each 64 KiB, the last one shorter."""

    path: _Path
    bytes: int = Field(ge=0, le=MAX_TOTAL)
    sha256: _Sha256
    chunks: _Many[_Sha256] = Field(max_length=MAX_TOTAL // CHUNK)

    @model_validator(mode="after")
    def _whole(self) -> FileEntry:
        if len(self.chunks) != -(-self.bytes // CHUNK):
            raise ValueError(f"chunks: there are {len(self.chunks)} of {self.bytes} bytes")
        return self


class EngineRange(_Table):
    """The engine that a bundle's models are for, and the versions it may have."""

    name: Literal["onnxruntime", "paddle_lite"]
    min: _Release = Field(description='the oldest that will do, e.g. "1.20"')
    max: _Release = Field(description='the newest that will do, e.g. "1.23"')

    def admits(self, version: str) -> bool:
        """Whether an engine of that version will do; each end counts as far as it is written.

        >>> EngineRange(name="onnxruntime", min="1.20", max="1.23").admits("1.23.2")
        True
        """
        have, low, high = release(version), release(self.min), release(self.max)
        return bool(have) and have >= low and have[: len(high)] <= high


class ExpectedDefect(_Table):
    """A defect that must be found; ``box`` is xyxy in pixels of the picture."""

    label: _Label
    score: float = Field(ge=0, le=1)
    box: _Box


class Golden(_Table):
    """A picture of the payload, and what its model must find on it.

    Attributes
    ----------
    box
        The region that is looked at, xyxy in pixels; the whole picture if ``None``.
    texts
        In the order in which the reader gives them.
    """

    image: _Path
    model: str = Field(max_length=64)
    mode: Literal["page", "fixed", "label"] = "page"
    box: _Region | None = None
    texts: _Many[_Text] = Field((), max_length=1000)
    defects: _Many[ExpectedDefect] = Field((), max_length=1000)


class Bounds(_Table):
    """What the trial on a box must hold."""

    p99_ms: float = Field(gt=0, le=60_000, description="latency of one golden picture")


class Facts(_Table):
    """What people say of a bundle; the rest of its manifest follows from its files."""

    name: _Name = Field(description="small letters, digits and . _ -, at most 64, e.g. pcb-xs")
    version: _Semantic = Field(description="e.g. 1.4.0")
    counter: int = Field(
        ge=0, lt=2**32, description="a box never goes below the highest that it has confirmed"
    )
    hardware: _Many[_Name] = Field(
        min_length=1, max_length=16, description="e.g. arm64, armv7, x86-64"
    )
    engine: EngineRange = Field(description="name, min and max")
    figures: dict[str, JsonValue] = Field(
        {}, description="accuracy and latency as verified, for people"
    )
    source: _Sha256 | None = Field(None, description="sha256 of the model that it was made from")
    recipe: dict[str, JsonValue] = Field({}, description="what was done to it, for people")


class Manifest(Facts):
    """All that is signed of a bundle."""

    format: Literal[1] = 1
    files: _Many[FileEntry] = Field(min_length=1, max_length=MAX_FILES)
    models: dict[Annotated[str, Field(pattern=r"^[\w-]{1,64}$")], ModelTable] = Field(
        min_length=1, max_length=16
    )
    golden: _Many[Golden] = Field(min_length=1, max_length=MAX_FILES)
    bounds: Bounds

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        paths = {file.path for file in self.files}
        if len(paths) < len(self.files):
            yield "files: names one twice"
        folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
        if both := sorted(paths & folders):
            yield f"files: {both[0]} is a file and a folder"
        if sum(file.bytes for file in self.files) > MAX_TOTAL:
            yield f"files: have more than {MAX_TOTAL // 2**20} MiB in all"
        if len(set(self.hardware)) < len(self.hardware):
            yield "hardware: names one twice"
        if release(self.engine.min) > release(self.engine.max):
            yield "engine: min is above max"
        for name, table in self.models.items():
            for key, path in model_paths(table).items():
                if path not in paths:
                    yield f"models.{name}.{key}: {path!r:.60} is none of files"
        for golden in self.golden:
            if golden.image not in paths:
                yield f"golden: {golden.image} is none of files"
            if golden.model not in self.models:
                yield f"golden: {golden.model!r} is none of models"

    @classmethod
    def build(cls, fields: Any) -> Manifest:
        """Make one of its fields.

        Raises
        ------
        BundleError
            They break a rule.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise BundleError(_explain(error)) from error

    def to_cbor(self) -> bytes:
        """The one way of writing it: what is signed."""
        return dump_cbor(self.model_dump())

    @classmethod
    def from_cbor(cls, data: bytes) -> Manifest:
        """Read what :meth:`to_cbor` has written, and nothing else.

        Raises
        ------
        BundleError
            It is larger than a manifest may be, not CBOR, or breaks a rule.
        """
        if len(data) > MAX_MANIFEST:
            raise BundleError(f"manifest: is larger than {MAX_MANIFEST // 2**20} MiB: make it anew")
        try:
            fields = load_cbor(data)
        except BundleError as error:
            raise BundleError(f"manifest: {error}") from error
        manifest = cls.build(fields)
        if manifest.to_cbor() != data:
            raise BundleError("manifest: is not written as lineguard writes it: make it anew")
        return manifest

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def model_paths(table: ModelTable) -> dict[str, JsonValue]:
    """What a model's table says of files, by key.

    >>> model_paths({"family": "ppyoloe", "det": "pcb/det.onnx", "labels": ["short"]})
    {'det': 'pcb/det.onnx'}
    """
    keys = MODEL_FILES.get(str(table.get("family")), ())
    return {key: table[key] for key in keys if table.get(key) is not None}


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with; none if it begins otherwise.

    >>> release("v2.13rc0")
    (2, 13)
    """
    found = re.match(r"v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3})", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def manifest_id(payload: bytes) -> str:
    """How a manifest is named: the sha256 of its CBOR, hex."""
    return hashlib.sha256(payload).hexdigest()


def chunk_hashes(file: BinaryIO) -> tuple[str, ...]:
    """sha256, hex, of each 64 KiB from where ``file`` stands to its end."""
    return tuple(hashlib.sha256(chunk).hexdigest() for chunk in iter(lambda: file.read(CHUNK), b""))


def file_entry(path: str, content: bytes) -> FileEntry:
    """How a manifest describes a file of the payload.

    Raises
    ------
    BundleError
        The path or the size is none that a bundle may have.
    """
    chunks = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
    try:
        return FileEntry(
            path=path,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            chunks=tuple(hashlib.sha256(chunk).hexdigest() for chunk in chunks),
        )
    except ValidationError as error:
        raise BundleError(_explain(error)) from error


def _explain(error: ValidationError) -> str:
    """Faults in words, one line each."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False)[:MAX_FAULTS]:
        place = ".".join(str(step) for step in fault["loc"]).encode("ascii", "replace").decode()
        words = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
        shown = f": {place[:80]}" if place else ""
        lines.append(f"manifest{shown}: {words.splitlines()[0][:200]}: make it anew")
    return "\n".join(lines)
