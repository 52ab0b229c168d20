"""What outputs to machines have in common: which parts they tell of, and how the station is."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from edge.camera.capture import State
from edge.io.courier import Courier, Link
from edge.io.hooks import Hooks
from edge.io.signal import Signal
from edge.verdict import Verdict

__all__ = ["Health", "MachineOutput"]


class Health:
    """Whether the station can be relied on; safe from several threads.

    Parameters
    ----------
    cameras
        Whose pictures matter. None of them runs yet.
    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self._cameras = dict.fromkeys(cameras, False)
        self._faults: dict[str, str] = {}
        self._lock = threading.Lock()

    def camera(self, camera: str, state: State, reason: str) -> None:
        """A camera has changed its state; others than those that matter do not count."""
        with self._lock:
            if camera not in self._cameras:
                return
            self._cameras[camera] = state == "running"
            if state == "lost":
                self._faults[f"camera {camera}"] = reason
            else:
                self._faults.pop(f"camera {camera}", None)

    def fault(self, source: str, reason: str | None) -> None:
        """Something is at fault, or no more if ``reason`` is ``None``."""
        with self._lock:
            if reason is None:
                self._faults.pop(source, None)
            else:
                self._faults[source] = reason

    @property
    def faults(self) -> int:
        """How many things are at fault."""
        return len(self._faults)

    @property
    def ready(self) -> bool:
        """Whether parts that come now are inspected: every camera runs."""
        with self._lock:
            return all(self._cameras.values())


class MachineOutput:
    """Tells a machine that acknowledges: each verdict as a :class:`Signal`, over one link.

    Parameters
    ----------
    name
        How messages call it.
    camera
        Whose parts; ``None`` for those of all cameras.
    health
        Shared with the link, which shows it.
    link
        To the machine.
    hooks
        Whom to tell.
    """

    pictures = False

    def __init__(
        self, name: str, camera: str | None, health: Health, link: Link[Signal], hooks: Hooks
    ) -> None:
        self.name, self._camera, self._health = name, camera, health
        self._courier = Courier(name, link, hooks)

    def verdict(self, verdict: Verdict) -> None:
        """Hand it to the courier."""
        if self._camera in (None, verdict.part.camera):
            self._courier.send(Signal.of(verdict))

    def camera(self, camera: str, state: State, reason: str) -> None:
        """Show it to the machine."""
        self._health.camera(camera, state, reason)
        self._courier.beat()

    def fault(self, source: str, reason: str | None) -> None:
        """Show the machine that something else of the station is at fault, or no more. Any thread.

        Must not be told of this output itself.
        """
        self._health.fault(source, reason)
        self._courier.beat()

    @property
    def waiting(self) -> int:
        """Verdicts that the other side has not acknowledged."""
        return self._courier.waiting

    def close(self) -> None:
        """Deliver what can be delivered, leave the machine in the safe state."""
        self._courier.close()
