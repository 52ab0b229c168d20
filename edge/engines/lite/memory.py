"""Memory that two processes share, without a name: it is gone with the last that has it."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator

import numpy as np

from edge.engines.base import Array
from edge.engines.lite.child import ALIGNMENT, piece

__all__ = ["SharedMemory", "aligned", "pieces"]


class SharedMemory:
    """Bytes behind a descriptor that a child inherits.

    Parameters
    ----------
    name
        What ``/proc`` shows; nothing is found by it.

    Attributes
    ----------
    descriptor
        Whoever makes it closes it.

    Raises
    ------
    OSError
        No descriptor is to be had.
    """

    def __init__(self, name: str) -> None:
        self.descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Memory that shrinks under a reader is a crash of the reader.
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._bytes = np.empty(0, np.uint8)

    def grown(self, size: int) -> Array:
        """Give at least ``size`` bytes, made first if need be.

        Raises
        ------
        OSError
            There is no memory for them.
        """
        if size > self._bytes.size:
            # Pages that are promised but not there would be a crash when they are written.
            os.posix_fallocate(self.descriptor, 0, size + size // 4)
        return self.found(size)

    def found(self, size: int) -> Array:
        """Give at least ``size`` bytes that somebody has made.

        Raises
        ------
        ValueError
            There are less.
        """
        if size > self._bytes.size:
            there = os.fstat(self.descriptor).st_size
            if there < size:
                raise ValueError(f"{there} bytes instead of {size}")
            self._bytes = np.frombuffer(mmap.mmap(self.descriptor, there), np.uint8)
        return self._bytes


def aligned(size: int) -> int:
    """Bytes from the beginning of an array of ``size`` bytes to that of the next."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def pieces(size: int) -> Iterator[slice]:
    """Cut an array of ``size`` bytes as :func:`edge.engines.lite.child.piece` says."""
    step = piece(size)
    return (slice(start, min(start + step, size)) for start in range(0, size, step))
