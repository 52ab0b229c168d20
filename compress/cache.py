"""Work that is done once: each stage in a folder of its own, whole or absent.

::

    stages = Stages(Path("out/.stages"))
    done = stages.run("simplify", 1, {"model": path}, {"seed": 0}, make)
    done.folder / "model.pdmodel", done.facts["removed"]

A stage is known by its name, its version, its parameters, and the content of the files that go
in. One that is there is not made again; one that was killed leaves nothing but the folder
``checkpoint`` within it, from which its next run may go on.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.atomic import write_atomic
from models.errors import InputError, StorageError

__all__ = ["CHECKPOINT", "Stage", "Stages", "file_sha256"]

CHECKPOINT = "checkpoint"
"""Folder within a stage's own that survives a kill, and goes when the stage is whole."""

FACTS = "stage.json"

Make = Callable[[Path], Mapping[str, Any]]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


@dataclass(frozen=True)
class Stage:
    """A stage that is whole.

    Attributes
    ----------
    name
        What it is called.
    folder
        Where its files lie.
    facts
        What it said of itself.
    seconds
        That it took when it was made.
    cached
        Whether it was there already.
    """

    name: str
    folder: Path
    facts: Mapping[str, Any]
    seconds: float
    cached: bool


class Stages:
    """Stages of one output folder.

    Parameters
    ----------
    folder
        Where they are kept; made if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[Stage] = []

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder.

        Raises
        ------
        InputError
            Another one is at work there.
        StorageError
            The folder cannot be made.
        """
        lock = self.folder / ".lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _storage(self.folder, error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    f"{self.folder}: another run is at work there: wait for it, or give another "
                    "output folder"
                ) from None
            yield
        finally:
            os.close(handle)

    def run(
        self,
        name: str,
        version: int,
        inputs: Mapping[str, Path],
        parameters: Mapping[str, Any],
        make: Make,
    ) -> Stage:
        """Give the stage that is there, or make it.

        Parameters
        ----------
        name
            Letters, digits and ``-``.
        version
            Of the code: another number makes it again.
        inputs
            Files whose content decides; with a ``.pdmodel`` goes the ``.pdiparams`` beside it.
        parameters
            Whatever else decides, as JSON can say it.
        make
            Writes its files into the folder that it is given, and returns facts that JSON can
            say. It may keep what it needs to go on after a kill in ``CHECKPOINT`` there.

        Raises
        ------
        StorageError
            The disk is full, read-only or gone; what was there stays.
        """
        said = {
            "name": name,
            "version": version,
            "inputs": {role: _content(path) for role, path in sorted(inputs.items())},
            "parameters": parameters,
        }
        text = json.dumps(said, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        folder = self.folder / f"{name}-{key}"
        found = _load(folder, name)
        if found is None:
            shutil.rmtree(folder, ignore_errors=True)
            self._make(folder, json.loads(text), make)
            found = _load(folder, name, cached=False)
            if found is None:  # the disk keeps less than it took
                raise StorageError(f"{folder}: is not what was written there: check the disk")
        self.done.append(found)
        return found

    def _make(self, folder: Path, said: Mapping[str, Any], make: Make) -> None:
        began = time.monotonic()
        work = folder.with_name(f".{folder.name}")
        try:
            _clean(work, keep=CHECKPOINT)
            work.mkdir(parents=True, exist_ok=True)
            facts = dict(make(work))
            shutil.rmtree(work / CHECKPOINT, ignore_errors=True)
            files = {
                str(path.relative_to(work)): file_sha256(path)
                for path in sorted(work.rglob("*"))
                if path.is_file()
            }
            seconds = time.monotonic() - began
            whole = {**said, "facts": facts, "seconds": seconds, "files": files}
            write_atomic(work / FACTS, json.dumps(whole, ensure_ascii=False, indent=1).encode())
            os.replace(work, folder)
        except OSError as error:
            _clean(work, keep=CHECKPOINT)
            if error.errno in _FULL:
                raise _storage(folder, error) from error
            raise
        except BaseException:
            _clean(work, keep=CHECKPOINT)
            raise


def file_sha256(path: Path) -> str:
    """Hash of a file, in hex."""
    with path.open("rb") as file:
        hashed = hashlib.sha256()
        while block := file.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def _content(path: Path) -> list[str]:
    files = [path, path.with_suffix(".pdiparams")] if path.suffix == ".pdmodel" else [path]
    try:
        return [file_sha256(file) for file in files]
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be read ({error.strerror}): check the path"
        ) from error


def _load(folder: Path, name: str, *, cached: bool = True) -> Stage | None:
    """The stage in a folder; ``None`` unless every file is what it was."""
    try:
        whole = json.loads((folder / FACTS).read_bytes())
        for file, sha256 in whole["files"].items():
            if file_sha256(folder / file) != sha256:
                return None
        return Stage(name, folder, whole["facts"], float(whole["seconds"]), cached)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _clean(folder: Path, keep: str) -> None:
    """Empty a folder but for ``keep``; take it away if nothing is left."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name == keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _storage(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror}): free some space or choose another folder"
    )
