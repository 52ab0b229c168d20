"""Files that are whole or absent: the one place where lineguard replaces a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from models.errors import StorageError

__all__ = ["write_atomic"]


def write_atomic(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``: temporary file, fsync, rename, fsync of the folder.

    Whatever happens, ``path`` afterwards holds either what it held before or all of ``data``.
    Missing parent folders are made.

    Raises
    ------
    StorageError
        The disk is full, read-only or gone; no temporary file is left.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide it from a station's other users
        os.replace(temporary, path)
        temporary = None
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}): "
            "free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
