"""What is said of a child process in which a native library died."""

from __future__ import annotations

import signal

__all__ = ["NOT_ITS_FAULT", "death"]

NOT_ITS_FAULT = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Killed from outside (out of memory, a busy box): says nothing about the model."""

_DEATHS: dict[int, str] = {
    signal.SIGABRT: "it aborts the process (SIGABRT)",
    signal.SIGSEGV: "it crashes the process by a bad memory access (SIGSEGV)",
    signal.SIGBUS: "it crashes the process by a bad memory access (SIGBUS)",
    signal.SIGFPE: "it crashes the process by a division by zero (SIGFPE)",
    signal.SIGILL: "it needs an instruction that this processor has not (SIGILL)",
}


def death(number: int) -> str | None:
    """What a library did to its process that died of signal ``number``; ``None`` if nothing."""
    return _DEATHS.get(number)
