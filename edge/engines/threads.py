"""Which cores the threads of an inference may use.

On Linux a new thread inherits the mask of the thread that makes it. So an engine is opened (and
run once, for pools that are made by the first run) inside :func:`pinned`, and the thread that runs
it afterwards pins itself by :func:`pin_current_thread`: then all of the inference stays on its
cores, and the others are left to the cameras and outputs.

Source: sched_setaffinity(2), "a child created via fork(2) inherits its parent's CPU affinity mask".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from models.errors import EngineError

__all__ = ["pin_all_threads", "pin_current_thread", "pinned"]

ONLINE = Path("/sys/devices/system/cpu/online")

TASKS = Path("/proc/self/task")


def pin_current_thread(cores: Sequence[int]) -> None:
    """Keep the calling thread, and every thread that it makes from now on, on ``cores``.

    Raises
    ------
    EngineError
        The machine has not all of them, or this process may not use them; the thread's mask is
        then what it was.
    """
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
        # The kernel drops cores that there are not without a word, as long as one is left.
        if os.sched_getaffinity(0) == set(cores):
            return
    except (OSError, ValueError, OverflowError):
        pass
    os.sched_setaffinity(0, before)
    raise EngineError(
        f"cores {', '.join(map(str, cores)) or '(none)'}: cannot all be used: "
        f"this machine has {_online()}"
    )


def pin_all_threads(cores: Sequence[int]) -> None:
    """Keep every thread of this process on ``cores``, also those that libraries have made.

    Raises
    ------
    EngineError
        As :func:`pin_current_thread`.
    """
    pin_current_thread(cores)
    for task in TASKS.iterdir():
        with suppress(OSError):  # it has just ended
            os.sched_setaffinity(int(task.name), cores)


@contextmanager
def pinned(cores: Sequence[int] | None) -> Iterator[None]:
    """Pin the calling thread to ``cores`` for the length of a block; ``None`` leaves it alone.

    Raises
    ------
    EngineError
        As :func:`pin_current_thread`.
    """
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    pin_current_thread(cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _online() -> str:
    try:
        return ONLINE.read_text("ascii").strip()
    except OSError:
        return f"0-{(os.cpu_count() or 1) - 1}"
