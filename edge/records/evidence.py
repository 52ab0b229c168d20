"""Pictures of parts as files: which are kept, where they lie, and how much room they take.

Which pictures there are stands in the database; nothing here looks for files by itself.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.verdict import Verdict
from models.atomic import write_atomic
from models.errors import InputError

__all__ = ["RESERVE", "Evidence", "Policy", "as_jpeg", "evidence_name"]

RESERVE = 64 * 2**20
"""Bytes of the disk that no picture takes: room for the rows of some 20,000 parts."""

_ID = re.compile(r"[\w-]{1,200}")
"""What the id of a verdict may hold: nothing that leads out of a folder."""


class Policy:
    """Which parts leave a picture.

    Golden parts always do; those that come while the station is locked never, or they would take
    the room of others.

    Parameters
    ----------
    evidence
        ``ng``: every part that is NG; ``none``: no part at all.
    ok_every
        With ``ng``, of each camera one OK part in so many too, the first among them; 0 is none.
    """

    def __init__(self, evidence: Literal["ng", "none"], ok_every: int) -> None:
        self._evidence, self._ok_every = evidence, ok_every
        self._passed: Counter[str] = Counter()

    def wants(self, verdict: Verdict) -> bool:
        """Whether to keep the picture of the next part; asked once for each."""
        if any(reason.code == "challenge_due" for reason in verdict.reasons):
            return False
        if self._evidence == "none" or not verdict.ok or verdict.golden is not None:
            return self._evidence == "ng"
        if not self._ok_every:
            return False
        self._passed[verdict.part.camera] += 1
        return self._passed[verdict.part.camera] % self._ok_every == 1 % self._ok_every


class Evidence:
    """The folder of the pictures.

    Parameters
    ----------
    folder
        Made when the first picture is written.
    max_bytes
        What all of them may take.
    used
        What they take now.
    reserve
        Bytes of the disk to leave free.
    """

    def __init__(self, folder: Path, max_bytes: int, used: int, reserve: int = RESERVE) -> None:
        self._folder, self._max_bytes, self.reserve = folder, max_bytes, reserve
        self.used = used

    def lacks(self, size: int) -> bool:
        """Whether an older picture must go before one of ``size`` bytes may come."""
        return self.used + size > self._max_bytes or self._free() < self.reserve + size

    def save(self, name: str, data: bytes) -> None:
        """Write a picture, whole or not at all. ``StorageError`` if it cannot be written."""
        write_atomic(self._folder / name, data)
        self.used += len(data)

    def remove(self, name: str, size: int) -> None:
        """Delete a picture, and the folder of its day with the last of them."""
        self.used -= size
        with contextlib.suppress(OSError, InputError):  # it is gone, or was never ours
            path = self.path(name)
            path.unlink(missing_ok=True)
            path.parent.rmdir()

    def mend(self, name: str) -> int | None:
        """After a cut: clear away what is not whole; bytes of the picture if it is whole."""
        path = self.path(name)
        for temporary in path.parent.glob(f".{path.name}.*"):
            temporary.unlink(missing_ok=True)
        try:
            size = path.stat().st_size
        except OSError:
            return None
        self.used += size
        return size

    def path(self, name: str) -> Path:
        """Where a picture lies.

        Raises
        ------
        InputError
            ``name`` leads out of the folder: somebody has meddled with the database.
        """
        folder = self._folder.resolve()
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise InputError(f"{name!r}: no picture has such a name: the records were altered")
        return path

    def _free(self) -> int:
        folder = self._folder
        while not folder.exists():
            folder = folder.parent
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize


def evidence_name(part: str, time: datetime) -> str:
    """Path of a part's picture in the folder: its day, UTC, and its id.

    Raises
    ------
    InputError
        The id is none that a station gives.
    """
    if not _ID.fullmatch(part):
        raise InputError(f"{part!r}: is no id of a part: letters, digits, _ and - only")
    return f"{time.astimezone(timezone.utc):%Y-%m-%d}/{part}.jpg"


def as_jpeg(image: NDArray[np.uint8], quality: int) -> bytes | None:
    """``(H, W, 3) uint8`` BGR as JPEG; ``None`` if there is no JPEG of it, e.g. of no pixels."""
    try:
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error:
        return None
    return data.tobytes() if done else None
