"""Files in which the kernel tells what a machine is, read so that no state of them does harm.

Half of ``/sys`` is missing on every board, and another half on the next one: what is not there, is
no text, or cannot be read is empty here, never an error. The root can be another folder than ``/``,
as captured from another board.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Root", "cpu_list", "natural", "printable"]

MAX_BYTES = 1 << 20
"""Of one file: ``/proc/cpuinfo`` of the largest machine has less."""

MAX_NAMES = 10_000
"""Files that a pattern may match: a folder of garbage must not cost a minute."""

MAX_LINE = 200
"""Characters of a value: no name in ``/sys`` is longer."""

MAX_CPU = 1023
"""As in a station file's ``cores``."""


@dataclass(frozen=True)
class Root:
    """The files of a machine.

    Attributes
    ----------
    path
        Where its ``/`` is.
    """

    path: Path = Path("/")

    @property
    def live(self) -> bool:
        """Whether it is this very machine, which can be asked more than its files."""
        return self.path == Path("/")

    def file(self, name: str) -> Path:
        """Where ``proc/cpuinfo`` or ``/proc/cpuinfo`` lies."""
        return self.path / name.lstrip("/")

    def data(self, name: str, size: int = MAX_BYTES) -> bytes:
        """The beginning of a file; empty if there is none that can be read at once."""
        parts = []
        try:
            # A pipe or a terminal in its place would be waited for without O_NONBLOCK.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            descriptor = os.open(self.file(name), flags)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    while size > 0 and (part := os.read(descriptor, size)):
                        parts.append(part)
                        size -= len(part)
            finally:
                os.close(descriptor)
        except (OSError, ValueError):  # ValueError: a NUL in the name
            pass
        return b"".join(parts)

    def text(self, name: str) -> str:
        """A file as text, whatever it holds."""
        return self.data(name).decode("utf-8", "replace")

    def line(self, name: str) -> str:
        """The first line of a file, fit to be shown."""
        return printable(self.text(name).partition("\n")[0])[:MAX_LINE].strip()

    def number(self, name: str) -> int | None:
        """The whole number that a file holds, decimal or ``0x``; ``None`` if it is none."""
        text = self.line(name)
        if not re.fullmatch(r"-?[0-9]{1,18}|0x[0-9a-fA-F]{1,16}", text):
            return None
        return int(text, 0 if text.startswith("0x") else 10)

    def names(self, pattern: str) -> list[str]:
        """Paths below the root that match a pattern, ``cpu10`` after ``cpu9``."""
        try:
            found = glob.glob(pattern, root_dir=self.path)[:MAX_NAMES]
        except (OSError, ValueError):
            return []
        return sorted((name for name in found if name.isprintable()), key=natural)

    def link(self, name: str) -> str:
        """Where a symbolic link leads, as it is written; empty if it is none."""
        try:
            return printable(os.readlink(self.file(name)))
        except (OSError, ValueError):
            return ""

    def real(self, name: str) -> str:
        """The path that a lasting name, as below ``/dev/v4l/by-id``, leads to."""
        try:
            return f"/{self.file(name).resolve().relative_to(self.path.resolve())}"
        except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
            return name

    def exists(self, name: str) -> bool:
        """Whether something is there."""
        try:
            return self.file(name).exists()
        except (OSError, ValueError):
            return False

    def may(self, name: str, mode: int = os.R_OK | os.W_OK) -> bool:
        """Whether this user may read and write it."""
        try:
            return os.access(self.file(name), mode)
        except (OSError, ValueError):
            return False

    @property
    def kernel(self) -> str:
        """Release of the kernel."""
        return self.line("proc/sys/kernel/osrelease") or (platform.release() if self.live else "")

    @property
    def machine(self) -> str:
        """What the kernel calls its processor: ``aarch64``, ``armv7l``, ``x86_64``.

        Under a 64-bit kernel it is ``aarch64`` also where all programs are 32-bit.
        """
        if self.live:
            return platform.machine().lower()
        return self.line("proc/sys/kernel/arch").lower()  # since Linux 6.1

    @property
    def bits(self) -> int:
        """32 or 64: of this interpreter, and so of what it can load; 0 if it is not known.

        https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html: ``EI_CLASS``.
        """
        head = self.data("proc/self/exe", 5)
        return {b"\x7fELF\x01": 32, b"\x7fELF\x02": 64}.get(head, 0)


def natural(name: str) -> list[tuple[int, str]]:
    """Key to sort names by, numbers in them by their value.

    >>> sorted(["cpu10", "cpu9"], key=natural)
    ['cpu9', 'cpu10']
    """
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]+", name)
    return [(int(part), "") if re.fullmatch("[0-9]{1,18}", part) else (-1, part) for part in parts]


def printable(text: str) -> str:
    r"""Keep what can be shown on one line of a terminal, in ASCII and other scripts.

    >>> printable("Rev 1.4\0")
    'Rev 1.4'
    """
    return "".join(char for char in text if char.isprintable())


def cpu_list(text: str) -> tuple[int, ...]:
    """The numbers in a list of processors; what is no list is empty.

    https://docs.kernel.org/admin-guide/cputopology.html

    >>> cpu_list("0-3,6")
    (0, 1, 2, 3, 6)
    """
    found: set[int] = set()
    for part in text.strip().split(","):
        ends = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part)
        if ends is None:
            return ()
        first, last = int(ends[1]), int(ends[2] or ends[1])
        found.update(range(first, min(last, MAX_CPU) + 1))
    return tuple(sorted(found))
