"""A process with an official code in it, which is shown pictures."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import DeviceError

__all__ = ["PeerProcess"]

CHILD = Path(__file__).with_name("peer_child.py")


class PeerProcess:
    """PaddleOCR or PaddleDetection, as the lock has them.

    Parameters
    ----------
    name
        ``paddleocr`` or ``paddledet``.
    threads
        Of its engine and of whatever else it computes with.
    settings
        Of that peer, see ``peer_child.py``.

    Raises
    ------
    DeviceError
        It did not open, with the last that it said.
    """

    def __init__(self, name: str, threads: int, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        told = json.dumps({**settings, "threads": threads})
        self._child = subprocess.Popen(
            # Isolated: of a folder that it is started from, nothing must shadow what it imports.
            [sys.executable, "-I", str(CHILD), name, told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        try:
            self.version = str(self._heard()["version"])
        except DeviceError:
            self.close()
            raise

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def look(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        """What it says of a picture ``(H, W, 3) uint8`` BGR, with the seconds that it took itself.

        Raises
        ------
        DeviceError
            It died.
        """
        assert self._child.stdin is not None  # noqa: S101 - it is a pipe
        picture = io.BytesIO()
        np.save(picture, image)
        with contextlib.suppress(BrokenPipeError):  # reading says why
            self._child.stdin.write(picture.tell().to_bytes(8, "big") + picture.getvalue())
            self._child.stdin.flush()
        return self._heard()

    def close(self) -> None:
        """End it."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout, self._said):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it was never told
                    pipe.close()

    def _heard(self) -> dict[str, Any]:
        assert self._child.stdout is not None  # noqa: S101 - it is a pipe
        line = self._child.stdout.readline()
        if not line:
            self._child.wait()
            self._said.seek(0)
            said = self._said.read().decode("utf-8", "replace").strip().splitlines()
            last = said[-1].strip()[:200] if said else "nothing"
            raise DeviceError(f"{self.name}: ended, last said {last!r}: make setup installs it")
        heard: dict[str, Any] = json.loads(line)
        return heard
