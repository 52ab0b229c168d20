"""A staged bundle is tried beside the active one, and becomes active if it passes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firmware_bridge.slots import Slots
from firmware_bridge.state import Letter
from models.bundle import Manifest
from models.errors import BundleError, TransferError

__all__ = ["IDLE", "Trial", "TrialResult", "Trials"]

IDLE = "idle"
"""File in the folder of a box: the station's word that nobody waits for its verdicts."""


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended.

    Attributes
    ----------
    passed
        Whether the bundle may become active.
    reason
        Why not; empty if it passed.
    p99_ms
        99th percentile of the latencies; ``None`` if it did not come to that.
    runs
        How many of them there were.
    """

    passed: bool
    reason: str = ""
    p99_ms: float | None = None
    runs: int = 0


Trial = Callable[[Path, Manifest], TrialResult]
"""Tries the bundle in a slot's folder, and takes its time."""


class _Running:
    """A trial in a thread of its own, which changes nothing."""

    def __init__(self, trial: Trial, folder: Path, letter: Letter, manifest: Manifest) -> None:
        self.letter, self.manifest = letter, manifest
        self.result: TrialResult | None = None
        work = threading.Thread(target=self._work, args=(trial, folder), name="trial", daemon=True)
        work.start()

    def _work(self, trial: Trial, folder: Path) -> None:
        try:
            self.result = trial(folder, self.manifest)
        except Exception as error:  # a trial that cannot be made is not passed
            self.result = TrialResult(False, f"the trial broke off: {error!r:.200}: report it")


class Trials:
    """Starts and ends the trials of a box; all of it happens in :meth:`tick` and :meth:`start`.

    Parameters
    ----------
    slots
        Where they change something.
    trial
        What tries a bundle.

    Attributes
    ----------
    last
        The newest since start-up: ``manifest``, ``state`` (running, passed, failed), ``reason``,
        ``p99_ms`` and ``runs``; ``None`` if there was none.
    """

    def __init__(self, slots: Slots, trial: Trial) -> None:
        self.last: dict[str, Any] | None = None
        self._slots, self._trial = slots, trial
        self._running: _Running | None = None

    @property
    def running(self) -> bool:
        """Whether one runs, or its end is still to be written down."""
        return self._running is not None

    def idle(self) -> bool:
        """Whether the station says (by a file ``idle``) that nobody waits for its verdicts."""
        return (self._slots.root / IDLE).exists()

    def tick(self) -> None:
        """Write down the end of a trial, or start one that is due.

        Raises
        ------
        StorageError
            The disk failed; the next call tries again.
        """
        if self._running is not None:
            if self._running.result is not None:
                self._end(self._running, self._running.result)
            return
        state = self._slots.state
        slot = state.slots[state.idle]
        # In TRIAL without a trial: the power went. But it may be another process's, which has
        # the lock then.
        if slot.state == "TRIAL" or (slot.state == "STAGED" and slot.held and self.idle()):
            with contextlib.suppress(TransferError):
                self.start()

    def start(self) -> None:
        """Start the trial of the slot that is not active.

        Raises
        ------
        TransferError
            ``busy``: another process writes, or tries it.
        StorageError
            The disk failed; nothing was started.
        """
        with self._slots.writing():
            letter = self._slots.state.idle
            slot = self._slots.state.slots[letter]
            if slot.state not in {"STAGED", "TRIAL"} or self._running is not None:
                return  # another process was faster
            name = {"manifest": bytes.fromhex(slot.manifest or "")}
            try:
                manifest = self._slots.begin_trial(letter)
            except BundleError as error:
                self._slots.fail_trial(letter, str(error))
                result = TrialResult(False, str(error))
                self.last = {**name, "state": "failed", **_shown(result)}
                return
            self._slots.lock.take()  # until its end
            self.last = {**name, "state": "running", **_shown(TrialResult(False))}
            folder = self._slots.root / letter
            self._running = _Running(self._trial, folder, letter, manifest)

    def _end(self, running: _Running, result: TrialResult) -> None:
        if result.passed:
            words = f"{result.runs} runs, p99 {result.p99_ms or 0:.1f} ms"
            self._slots.pass_trial(running.letter, running.manifest.counter, words)
        else:
            self._slots.fail_trial(running.letter, result.reason)
        state = "passed" if result.passed else "failed"
        self.last = {**(self.last or {}), "state": state, **_shown(result)}
        self._running = None
        self._slots.lock.release()


def _shown(result: TrialResult) -> dict[str, Any]:
    return {key: value for key, value in asdict(result).items() if key != "passed"}
