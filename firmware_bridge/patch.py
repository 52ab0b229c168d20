"""bsdiff patches, applied piece by piece: a box has less memory than its models have bytes.

Format: bsdiff 4 by Colin Percival (``BSDIFF40``), as the package ``bsdiff4`` writes it; that one
applies a patch in memory and believes every length that the patch states.
"""

from __future__ import annotations

import bz2
import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleError

__all__ = ["apply_patch"]

MAGIC = b"BSDIFF40"
HEADER = 32
CONTROL = 24
PIECE = 1 << 16
"""Bytes that are held at once, of each of the three streams and of the base."""


def apply_patch(patch: Path, base: Path, size: int) -> Iterator[bytes]:
    """The file that ``patch`` makes of ``base``, in pieces.

    Whoever takes them must compare their hash: a patch can be sound and still not the right one.

    Parameters
    ----------
    size
        What the result must have, in bytes, by the manifest; whatever the patch says.

    Raises
    ------
    BundleError
        The patch is malformed, or makes more or less than ``size``.
    """
    with patch.open("rb") as file, base.open("rb") as old:
        head = file.read(HEADER)
        if len(head) < HEADER or head[:8] != MAGIC:
            raise BundleError(f"{patch.name}: is no bsdiff patch: send the whole file")
        control_bytes, diff_bytes, made = (_number(head, at) for at in (8, 16, 24))
        if made != size:
            raise BundleError(f"{patch.name}: makes {made} bytes of {size}: send the whole file")
        end = patch.stat().st_size
        if min(control_bytes, diff_bytes) < 0 or HEADER + control_bytes + diff_bytes > end:
            raise BundleError(f"{patch.name}: is cut off: send the whole file")
        diff_at, extra_at = HEADER + control_bytes, HEADER + control_bytes + diff_bytes
        with (
            _Stream(patch, HEADER, diff_at) as control,
            _Stream(patch, diff_at, extra_at) as diff,
            _Stream(patch, extra_at, end) as extra,
        ):
            try:
                yield from _make(control, diff, extra, old, base.stat().st_size, size)
            except (EOFError, OSError, ValueError) as error:  # bz2 raises all three
                raise BundleError(f"{patch.name}: {error}: send the whole file") from error


def _make(
    control: _Stream, diff: _Stream, extra: _Stream, old: BinaryIO, old_size: int, size: int
) -> Iterator[bytes]:
    done = position = idle = 0
    while done < size:
        triple = control.read(CONTROL)
        add, copy, seek = (_number(triple, at) for at in (0, 8, 16))
        if add < 0 or copy < 0 or add + copy > size - done:
            raise ValueError("writes beyond its end")
        idle = idle + 1 if add + copy == 0 else 0
        if idle > 1:
            raise ValueError("goes round without writing")
        for start in range(0, add, PIECE):
            changed = np.frombuffer(diff.read(min(PIECE, add - start)), np.uint8)
            yield _added(changed, old, position + start, old_size)
        for start in range(0, copy, PIECE):
            yield extra.read(min(PIECE, copy - start))
        done += add + copy
        position += add + seek


def _added(changed: NDArray[np.uint8], old: BinaryIO, start: int, old_size: int) -> bytes:
    """Bytes of the base plus what changed, modulo 256; beyond its ends the base is zero."""
    low, high = max(start, 0), min(start + len(changed), old_size)
    if low >= high:
        return changed.tobytes()
    old.seek(low)
    made = changed.copy()
    made[low - start : high - start] += np.frombuffer(old.read(high - low), np.uint8)
    return made.tobytes()


def _number(data: bytes, at: int) -> int:
    """A bsdiff integer: 63 bits, little-endian, and a sign."""
    (raw,) = struct.unpack_from("<Q", data, at)
    value = int(raw & ~(1 << 63))
    return -value if raw >> 63 else value


class _Stream(contextlib.AbstractContextManager["_Stream"]):
    """One of the three bzip2 streams of a patch; gives exactly what it is asked for."""

    def __init__(self, patch: Path, start: int, end: int) -> None:
        self._file = patch.open("rb")
        self._file.seek(start)
        self._left = end - start
        self._unpacker = bz2.BZ2Decompressor()

    def read(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            packed = b""
            if self._unpacker.needs_input:
                packed = self._file.read(max(0, min(PIECE, self._left)))
                self._left -= len(packed)
                if not packed:
                    raise ValueError("is cut off")
            got += self._unpacker.decompress(packed, size - len(got))
        return bytes(got)

    def __exit__(self, *_: object) -> None:
        self._file.close()
