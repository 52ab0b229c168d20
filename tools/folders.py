"""Folders that are whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InputError, StorageError

__all__ = ["whole_or_absent"]


@contextmanager
def whole_or_absent(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that takes its name when all went well, and else is removed.

    Raises
    ------
    InputError
        ``folder`` is there already and holds something.
    StorageError
        The disk is full or read-only.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: is there already: choose a new or an empty folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be made ({error.strerror}): choose another folder"
        ) from error
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp's 0700 would hide it from others
        os.replace(unfinished, folder)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written ({error.strerror}): free some space or choose another"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
