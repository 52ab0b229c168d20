"""Verdicts as JSON lines: one object a line, whole lines only."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from pathlib import Path

from edge.camera.capture import State
from edge.verdict import Verdict
from models.errors import StorageError

__all__ = ["JsonlOutput"]


class JsonlOutput:
    """Appends to a file; a line that cannot be written whole is taken back.

    Parameters
    ----------
    name
        How messages call the file.
    descriptor
        Open for appending; closed with the output.
    """

    pictures = False

    def __init__(self, name: str, descriptor: int) -> None:
        self.name, self._file = name, descriptor

    @classmethod
    def open(cls, path: Path) -> JsonlOutput:
        """Append to ``path``, which is made if it is missing, and its folder too.

        Raises
        ------
        StorageError
            It cannot be opened, or another process writes to it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise _failed(str(path), error) from error
        try:
            # Taking back a line that failed would cut off what another station has written since.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StorageError(
                f"{path}: another station writes to it: stop that one, or choose another path"
            ) from error
        return cls(str(path), descriptor)

    @classmethod
    def stdout(cls) -> JsonlOutput:
        """Write to this process's standard output, past Python's own buffer."""
        sys.stdout.flush()
        return cls("stdout", os.dup(sys.stdout.fileno()))

    def verdict(self, verdict: Verdict) -> None:
        """Append one line and hand it to the disk before the next.

        Raises
        ------
        StorageError
            The disk is full or gone; the file ends with the line before.
        """
        line = json.dumps(verdict.as_record(), ensure_ascii=False).encode() + b"\n"
        try:
            size = os.fstat(self._file).st_size
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                self._take_back(size)
                raise
            self._sync()
        except OSError as error:
            raise _failed(self.name, error) from error

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Not recorded: a line is a verdict."""

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _take_back(self, size: int) -> None:
        try:
            os.ftruncate(self._file, size)
        except OSError:
            return  # a pipe or a terminal: nothing to take back

    def _sync(self) -> None:
        try:
            os.fdatasync(self._file)
        except OSError as error:
            if error.errno not in _NO_DISK:
                raise


def _failed(name: str, error: OSError) -> StorageError:
    if error.errno == errno.EPIPE:
        mend = "whatever read them has ended; start both again"
    else:
        mend = "free some space or choose another path, then start again"
    return StorageError(f"{name}: verdicts cannot be written ({error.strerror}): {mend}")


_NO_DISK = frozenset({errno.EINVAL, errno.EROFS})
"""Of fdatasync: a pipe, a terminal, a device; there is no disk to wait for."""
