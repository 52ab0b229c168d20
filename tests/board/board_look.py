"""What a box would find on a disk when it comes up again."""

from __future__ import annotations

import os
import queue
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from board_log import copy_disk, extract

from firmware_bridge.parcel import Parcel
from firmware_bridge.receiver import BoxFacts, Receiver
from firmware_bridge.sender import flash
from firmware_bridge.slots import Slots
from firmware_bridge.trials import TrialResult
from models.bundle import Manifest

__all__ = ["Found", "look"]

FACTS = BoxFacts("board", ("arm64",), {"onnxruntime": "1.31.1"})


@dataclass(frozen=True)
class Found:
    """A box as its own start-up finds it: what is active, and what is in the other slot."""

    active: str
    other: str


class _Direct:
    """A box without any line: each message is answered as it is sent."""

    name, rate = "direct", None

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def send(self, message: Mapping[str, Any]) -> None:
        answer = self._receiver.handle(dict(message), self)
        if answer is not None:
            self._answers.put(answer)

    def receive(self, deadline: float) -> dict[str, Any]:
        return self._answers.get(timeout=min(deadline, 60.0))

    def close(self) -> None:
        self._receiver.disconnect(self)


def look(disk: Path, then: Parcel | None = None) -> Found:
    """Start the box's own software on what a disk holds; a bundle that is active must be whole.

    Parameters
    ----------
    then
        A bundle that must come to be active when it is flashed afterwards.
    """

    def passes(folder: Path, manifest: Manifest) -> TrialResult:
        return TrialResult(True, p99_ms=1.0, runs=50)

    with tempfile.TemporaryDirectory(prefix="lineguard-disk-") as folder:
        root = Path(folder) / "root"
        copy_disk(disk, root.with_name("disk"))
        extract(root.with_name("disk"), root)
        receiver = Receiver(root, FACTS, passes)
        slots = Slots(root)
        state = slots.state
        status = receiver.handle({"m": "status", "id": 1}) or {}
        assert status["fault"] == "", status
        active = ""
        if state.active is not None:
            assert os.readlink(root / "current") == state.active
            active = slots.verify(state.active).version
        if then is not None:
            flash(lambda: _Direct(receiver), then)
            after = slots.state.active
            assert after is not None
            assert slots.verify(after) == then.manifest
        return Found(active, state.slots[state.idle].state)
