"""What one bundle has that another has not, and what it costs to send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import zstandard

from models.bundle.archive import Bundle
from models.bundle.manifest import Manifest

try:
    import bsdiff4  # type: ignore[import-untyped]
except ImportError:  # on a 32-bit box, which takes patches, and makes none
    bsdiff4 = None

__all__ = ["Coding", "FileChange", "changed_fields", "changed_files", "encode"]

Coding = Literal["raw", "zstd", "bsdiff"]
"""How a file goes over the wire; see ``docs/protocol.md``, message ``file``."""

LEVEL = 3
"""Of zstd, for content: weights shrink by 9% at any level, and a line waits for the slow ones."""

PATCH_LEVEL = 19
"""For patches, which shrink to little: the slowest that needs no more than 8 MiB on the box."""

MAX_DELTA = 64 * 2**20
"""Bytes of old and new content; bsdiff sorts suffixes, and takes 17 times the old on the host."""


@dataclass(frozen=True)
class FileChange:
    """What became of one path.

    Attributes
    ----------
    before, after
        Bytes; ``None`` where there is no such file.
    coding, wire
        The cheapest way of sending it to a box that has the old bundle, and how many bytes that
        takes; ``None`` and 0 if the box has its content already.
    """

    path: str
    state: Literal["equal", "changed", "new", "gone"]
    before: int | None
    after: int | None
    coding: Coding | None = None
    wire: int = 0


def encode(content: bytes, base: bytes | None = None) -> tuple[Coding, bytes]:
    """The shortest form of a file for the wire.

    Parameters
    ----------
    base
        What the box has already, if it is anything like ``content``.

    Returns
    -------
    ``raw``: the content; ``zstd``: compressed; ``bsdiff``: zstd of a bsdiff4 patch on ``base``,
    where the package ``bsdiff4`` is.
    """
    ways: list[tuple[Coding, bytes]] = [("raw", content)]
    ways.append(("zstd", zstandard.ZstdCompressor(level=LEVEL).compress(content)))
    if base and bsdiff4 is not None and len(base) + len(content) <= MAX_DELTA:
        packer = zstandard.ZstdCompressor(level=PATCH_LEVEL)
        ways.append(("bsdiff", packer.compress(bsdiff4.diff(base, content))))
    return min(ways, key=lambda way: len(way[1]))


def changed_fields(before: Manifest, after: Manifest) -> list[tuple[str, Any, Any]]:
    """Fields of two manifests that differ, without files: name, old and new value.

    ``None`` stands for what is not there.
    """
    old, new = (
        dict(_leaves("", each.model_dump(mode="json", exclude={"files"})))
        for each in (before, after)
    )
    names = [*old, *(name for name in new if name not in old)]
    return [
        (name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)
    ]


def changed_files(before: Bundle, after: Bundle) -> Iterator[FileChange]:
    """Every path of two bundles, those of ``after`` first; ``BundleError`` if one was altered."""
    had = {entry.path: (index, entry) for index, entry in enumerate(before.manifest.files)}
    contents = {entry.sha256 for entry in before.manifest.files}
    for index, entry in enumerate(after.manifest.files):
        at, old = had.pop(entry.path, (None, None))
        if old and old.sha256 == entry.sha256:
            yield FileChange(entry.path, "equal", old.bytes, entry.bytes)
            continue
        coding: Coding | None = None
        wire = b""
        if entry.sha256 not in contents:
            base = None if at is None else b"".join(before.read(at))
            coding, wire = encode(b"".join(after.read(index)), base)
        size = old.bytes if old else None
        state: Literal["changed", "new"] = "changed" if old else "new"
        yield FileChange(entry.path, state, size, entry.bytes, coding, len(wire))
    for path, (_, entry) in had.items():
        yield FileChange(path, "gone", entry.bytes, None)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is no table, by its dotted name."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, inner)
    else:
        yield path, value
