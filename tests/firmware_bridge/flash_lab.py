"""A host and a box in one process, and a line between them that breaks where a test wants it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from box_lab import FACTS, make_root, passes, weights
from bundle_lab import make_bundle

from firmware_bridge.channel import Channel
from firmware_bridge.line import Faults
from firmware_bridge.parcel import Parcel
from firmware_bridge.pipe import channel_pair
from firmware_bridge.receiver import BoxFacts, Receiver
from firmware_bridge.sender import Flashed, Step, flash
from firmware_bridge.trials import Trial
from models.bundle import open_bundle
from models.errors import TransferError


def parcel(
    folder: Path, version: int = 1, *, thorough: bool | None = None, **fields: Any
) -> Parcel:
    """Version ``version``.0.0: a network that differs from the others in a few bytes."""
    payload = fields.pop("payload", None) or {
        "golden/board.png": b"\x89PNG, or so it says",
        "pcb/det.json": b'{"labels": ["short"]}\n',
        "pcb/det.onnx": weights(version),
    }
    folder.mkdir(exist_ok=True)
    path = make_bundle(folder, payload, version=f"{version}.0.0", hardware=("arm64",), **fields)
    bundle = open_bundle(path, None)
    return Parcel(bundle, thorough=thorough)


class Lossy:
    """A channel that breaks at its n-th use, before or after the message has passed."""

    def __init__(self, channel: Channel, uses: int, after: bool) -> None:
        self._channel, self._left, self._after = channel, uses, after
        self.name, self.rate = channel.name, channel.rate

    def send(self, message: Mapping[str, Any]) -> None:
        self._left -= 1
        if self._left == 0 and self._after:
            self._channel.send(message)
        if self._left <= 0:
            self._channel.close()
            raise TransferError("pipe: it was cut")
        self._channel.send(message)

    def receive(self, deadline: float) -> dict[str, Any]:
        return self._channel.receive(deadline)

    def close(self) -> None:
        self._channel.close()


@dataclass
class Box:
    """A box on a folder, and the way to it.

    Attributes
    ----------
    line
        Makes the faults of the n-th session, from 0.
    wrap
        Wraps the channel of the n-th session.
    heard
        All messages that have come, without the bytes of data.
    """

    root: Path
    trial: Trial = passes
    facts: BoxFacts = FACTS
    rate: int | None = None
    line: Callable[[int], Faults | None] = lambda session: None
    wrap: Callable[[Channel, int], Channel] = lambda channel, session: channel
    heard: list[dict[str, Any]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    session: int = -1

    def __post_init__(self) -> None:
        if not self.root.exists():
            make_root(self.root)
        self.receiver = Receiver(self.root, self.facts, self.trial)

    def start(self) -> None:
        """The agent is killed, and comes up again; what it knew is forgotten."""
        lock = self.receiver._slots.lock
        while lock._taken:
            lock.release()
        self.receiver = Receiver(self.root, self.facts, self.trial)

    def serve(self, message: dict[str, Any]) -> dict[str, Any] | None:
        size = len(message["d"]) if message.get("m") == "data" else 0
        self.heard.append({**message, "d": size})
        return self.receiver.handle(message, self.session)

    def connect(self) -> Channel:
        self.receiver.disconnect(self.session)
        self.session += 1
        session = self.session
        faults = self.line(session)
        host, _ = channel_pair(
            rate=self.rate, faults=faults, virtual=self.rate is not None, serve=self.serve
        )
        return self.wrap(host, session)

    def flash(self, what: Parcel, **how: Any) -> Flashed:
        """Flash it, and keep what was told."""
        self.steps.clear()
        return flash(self.connect, what, tell=self.tell, **how)

    def tell(self, step: Step) -> None:
        self.steps.append(step)

    def asked(self, m: str) -> list[dict[str, Any]]:
        """What the box was asked of that kind."""
        return [each for each in self.heard if each.get("m") == m]

    @property
    def phases(self) -> list[str]:
        """What was told, each phase once in a row."""
        return [phase for phase, _ in itertools.groupby(step.phase for step in self.steps)]
