"""The C library's heap, kept small: a box has little memory, and a station many threads.

glibc gives each thread that allocates a heap of its own, up to eight for each core, and what is
free in one is of no use to another; mallopt(3), malloc_trim(3). Other C libraries have neither.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["few_heaps", "give_back"]

HEAPS = 2
"""For all threads: those of a station allocate seldom, and large things lie in no heap."""

_M_ARENA_MAX = -8


def few_heaps() -> None:
    """Let all threads of this process share few heaps; before it makes them."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Give free memory back to the system: models leave much when they have been opened."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
