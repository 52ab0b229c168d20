"""A bundle, ready to go to any number of boxes: each file in the shortest form for each of them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from models.bundle import CHUNK, Bundle, FileEntry, encode, manifest_id
from models.errors import LineguardError

__all__ = ["Base", "Coded", "Parcel", "bases_of"]

Base: TypeAlias = Callable[[], bytes]
"""Reads a file that a box may have; it is compared with its hash before it is used."""


@dataclass(frozen=True)
class Coded:
    """A file, or the rest of one, as it goes over the wire.

    Attributes
    ----------
    index, entry
        Which file of the manifest.
    at
        Bytes of its content that the box has.
    coding, base
        As in the message ``file``; ``base`` is empty unless it is ``bsdiff``.
    size
        Bytes on the wire.
    pieces
        Gives them, from the start each time.
    """

    index: int
    entry: FileEntry
    at: int
    coding: str
    base: bytes
    size: int
    pieces: Callable[[], Iterable[bytes]]


class Parcel:
    """A bundle and what boxes may have already; several threads may code from it.

    Parameters
    ----------
    bundle
        Open as long as this is used.
    bases
        Content that deltas can be made on, by its sha256 in hex.
    thorough
        Whether to compress and to make deltas, which takes the host a second for each MB. Left
        out, that is done for lines with a baud, which are slower than that.
    """

    def __init__(
        self,
        bundle: Bundle,
        bases: Mapping[str, Base] | None = None,
        *,
        thorough: bool | None = None,
    ) -> None:
        self.bundle, self.manifest = bundle, bundle.manifest
        self.id = bytes.fromhex(manifest_id(bundle.manifest.to_cbor()))
        self._bases, self._thorough = bases or {}, thorough
        self._kept: dict[tuple[int, bytes], tuple[str, bytes]] = {}
        self._mutex = threading.Lock()  # bsdiff takes much memory: one at a time

    @property
    def named(self) -> str:
        """Name and version."""
        return f"{self.manifest.name} {self.manifest.version}"

    def code(self, index: int, at: int, offered: Iterable[bytes], rate: int | None) -> Coded:
        """Decide how a file goes to a box.

        Parameters
        ----------
        index
            Of ``manifest.files``.
        at
            Bytes of it that the box has.
        offered
            sha256 of what the box could take a delta on.
        rate
            Baud of the line; ``None`` where it has none.

        Raises
        ------
        BundleError
            The bundle has been altered.
        """
        entry = self.manifest.files[index]
        thorough = rate is not None if self._thorough is None else self._thorough
        if not thorough or at == entry.bytes:
            return Coded(
                index, entry, at, "raw", b"", entry.bytes - at, lambda: self.bundle.read(index, at)
            )
        base = next((each for each in offered if each.hex() in self._bases), b"")
        with self._mutex:
            coding, data = self._encode(index, at, b"" if at else base)
            if at and base:  # a delta begins at 0, and may be shorter than what is left
                whole, patch = self._encode(index, 0, base)
                if whole == "bsdiff" and len(patch) < len(data):
                    coding, data, at = whole, patch, 0
        base = base if coding == "bsdiff" else b""
        return Coded(index, entry, at, coding, base, len(data), lambda: _cut(data))

    def _encode(self, index: int, at: int, base: bytes) -> tuple[str, bytes]:
        """Coding and coded bytes; kept if they are for the whole file, since other boxes follow."""
        if at == 0 and (index, base) in self._kept:
            return self._kept[index, base]
        before = None
        if base:
            try:
                before = self._bases[base.hex()]()
            except LineguardError:
                before = b""  # the file of the base is gone or altered: it was but a help
            before = before if hashlib.sha256(before).digest() == base else None
        coded = encode(b"".join(self.bundle.read(index, at)), before)
        if at == 0:
            self._kept[index, base] = coded
        return coded


def bases_of(bundle: Bundle) -> dict[str, Base]:
    """All files of a bundle, by sha256; nobody needs to trust it, but it must stay open."""

    def reader(index: int) -> Base:
        return lambda: b"".join(bundle.read(index))

    return {entry.sha256: reader(index) for index, entry in enumerate(bundle.manifest.files)}


def _cut(data: bytes) -> Iterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(data), CHUNK):
        yield bytes(view[start : start + CHUNK])
