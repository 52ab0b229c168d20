"""One file on its way in: its bytes are unpacked as they come, and no further than they may."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Protocol

import zstandard

from firmware_bridge import disk
from firmware_bridge.disk import Part
from firmware_bridge.patch import apply_patch
from models.bundle import CHUNK, FileEntry
from models.errors import BundleError, TransferError

__all__ = ["CODINGS", "NO_ROOM", "Coming", "most_bytes"]

CODINGS = ("raw", "zstd", "bsdiff")

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

MAX_WINDOW = 8 * 2**20
"""Bytes that zstd may look back, and that a box must have for it: as its level 19 does."""


class _Writer(Protocol):
    def write(self, data: bytes, /) -> int: ...


class Coming:
    """A file that is coming.

    Parameters
    ----------
    entry
        What it must be.
    part
        Where it grows. A patch goes to ``.patch`` beside it, and is applied when all has come.
    at
        Bytes of it that are kept.
    coding
        One of :data:`CODINGS`.
    base
        What a patch is for; ``None`` with the other codings.
    size
        Bytes that will come, coded.
    """

    def __init__(
        self, entry: FileEntry, part: Path, at: int, coding: str, base: Path | None, size: int
    ) -> None:
        self._entry, self._part, self._base, self._left = entry, part, base, size
        self._patch = part.with_suffix(".patch")
        self._fault: TransferError | None = None
        into = part if base is None else self._patch
        disk.own(into)
        self._file: Part | None = Part(into, at)
        limit = entry.bytes - at if base is None else most_bytes(entry.bytes, coding)
        self._sink: _Writer = _Limited(self._file, limit)
        if coding != "raw":
            unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
            self._sink = unpacker.stream_writer(self._sink, closefd=False)  # type: ignore[arg-type]

    def take(self, data: bytes | None) -> None:
        """Take the next bytes; what is wrong with them is kept for :meth:`finish`."""
        if self._fault is not None:
            return
        try:
            if data is None:
                raise TransferError("data without bytes came: send it again", "malformed")
            self._left -= len(data)
            if self._left < 0:
                raise TransferError("more came than was announced: send it again", "malformed")
            self._sink.write(data)
        except (OSError, TransferError, zstandard.ZstdError) as error:
            self._spoil(error)

    def finish(self) -> None:
        """All has come, is what it must be, and is on the disk under the name ``part``.

        Raises
        ------
        TransferError
            ``state``: not all has come; it stays for later. Else what came was thrown away:
            ``content``, ``malformed``, ``room`` or ``internal``.
        """
        if self._fault is None and self._left:
            self.close()
            raise TransferError(f"{self._entry.path}: {self._left} bytes have not come", "state")
        if self._fault is None:
            try:
                self._complete()
            except (OSError, BundleError, TransferError) as error:
                self._spoil(error)
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Take no more; what has come stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _complete(self) -> None:
        if self._file is not None and self._base is None:
            self._file.sync()
        self.close()
        if self._base is not None:
            disk.own(self._part)
            made = Part(self._part, 0)
            try:
                for piece in apply_patch(self._patch, self._base, self._entry.bytes):
                    made.write(piece)
                made.sync()
            finally:
                made.close()
            disk.remove(self._patch)
        if not disk.holds(self._part, self._entry.bytes, self._entry.sha256):
            raise TransferError("is not what the manifest says: send it again", "content")

    def _spoil(self, error: Exception) -> None:
        """Keep what went wrong for the answer, and no byte of what came."""
        code = "content"
        if isinstance(error, TransferError):
            code = error.code
        elif isinstance(error, OSError):
            code = "room" if error.errno in NO_ROOM else "internal"
        said = error.strerror if isinstance(error, OSError) else error
        self._fault = TransferError(f"{self._entry.path}: {said}", code)
        self.close()
        disk.remove(self._part)
        disk.remove(self._patch)


class _Limited:
    """A file with an end: what a few coded bytes can unpack to has none."""

    def __init__(self, file: Part, limit: int) -> None:
        self._file, self._left = file, limit

    def write(self, data: bytes, /) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise TransferError("unpacks to more than the manifest says: send it raw", "content")
        return self._file.write(data)


def most_bytes(content: int, coding: str) -> int:
    """Most coded bytes that so much content can need; zstd and bzip2 grow by less than 1%."""
    return content if coding == "raw" else content + content // 8 + CHUNK
