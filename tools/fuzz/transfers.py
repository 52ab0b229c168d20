"""Transfers of small bundles over lines that do whatever a line can do, in simulated time.

The host's sender, both links, the box's receiver and its disk are the real ones. Of a transfer all
follows from its seed: bundle, line, faults, and what comes of it.
"""

from __future__ import annotations

import contextlib
import math
import random
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import tenacity.nap

from firmware_bridge import channel, patience, sender
from firmware_bridge.channel import TIMEOUT, Channel
from firmware_bridge.line import Faults
from firmware_bridge.parcel import Parcel, bases_of
from firmware_bridge.pipe import channel_pair
from firmware_bridge.receiver import Receiver
from firmware_bridge.sender import Flashed
from firmware_bridge.slots import Slots
from firmware_bridge.trials import TrialResult
from models.bundle import CHUNK, FILES, Manifest, create_bundle, open_bundle, trust
from models.errors import LineguardError, TransferError
from tools.fuzz.samples import BOX, KEY, make_manifest

NOISE = random.Random(0).randbytes(12_000)  # noqa: S311 - repeatable, not secret

__all__ = ["KINDS", "Outcome", "Transfers", "folder_in_memory"]

KINDS = ("flip", "drop", "duplicate", "delay", "truncate", "disconnect")

DEADLINE = 600.0
"""Simulated seconds for a transfer: five times what a sender may get no further."""

PATIENCE = 2 * DEADLINE
"""Simulated seconds, after which one is stopped."""

OPENING = 30.0
"""Simulated seconds for a session that never began."""

RATES = (None, 115200, 230400, 921600, 3_000_000)
LATENCIES = (0.0, 0.001, 0.016)


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder that goes again, where waiting for the disk takes no time if that can be."""
    place = Path("/dev/shm")  # noqa: S108 - the folder in it has a name that nobody can foresee
    where = place if place.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="lineguard-", dir=where) as folder:
        yield Path(folder)


class _Stuck(BaseException):
    """It has no end; no ``Exception``, which a receiver would answer."""


@dataclass(frozen=True)
class Outcome:
    """What came of one transfer.

    Attributes
    ----------
    seed
        To have it again.
    end
        ``confirmed``; or ``trial`` (failed, as it had to), ``line`` (gave out, the old one runs),
        ``unseen`` (confirmed, but the line gave out before the host heard of it).
    error
        What the sender said; empty if it was confirmed.
    struck
        How often each kind of fault was done to it.
    took_s
        Simulated seconds.
    wrong
        What must not be; empty if all is well.
    """

    seed: int
    end: str
    error: str
    struck: Mapping[str, int]
    took_s: float
    wrong: str


@dataclass(frozen=True)
class _Case:
    """One transfer as it was drawn."""

    payload: dict[str, bytes]
    thorough: bool
    rate: int | None
    latency: float
    faults: Faults
    cuts: tuple[float, ...]  # seconds after which each of the first sessions is cut
    trial_s: float
    passes: bool


class Transfers:
    """Makes transfers to a box below ``folder``, each to one that is as good as new.

    Parameters
    ----------
    folder
        Empty; best in memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._template = folder, folder / "template"
        self._old = {"det.onnx": NOISE, "golden.png": b"\x89PNG"}
        trust(KEY.public, self._template / "trusted")
        parcel = self._parcel("1.0.0", self._old)
        world = _World(self._template, 0.0, True)
        world.flash(parcel, Faults(), (), None, 0.0)
        self._bases = bases_of(parcel.bundle)

    def run(self, seed: int) -> Outcome:
        """Make the transfer of that seed."""
        case = _draw(random.Random(seed), self._old)  # noqa: S311 - repeatable, not secret
        root = self._folder / f"box-{seed}"
        shutil.copytree(self._template, root, symlinks=True)
        parcel = self._parcel("2.0.0", case.payload, case.thorough)
        world = _World(root, case.trial_s, case.passes)
        flashed, error, end, wrong = None, "", "wrong", ""
        try:
            try:
                flashed = world.flash(parcel, case.faults, case.cuts, case.rate, case.latency)
            except LineguardError as refusal:
                error = str(refusal)
            took = world.now
            world.settle()
            wrong = self._judge(root, case, flashed, error)
            end = _end(flashed, error, Slots(root).state.active)
            if took > DEADLINE:
                wrong = wrong or f"took {took:.0f} simulated seconds"
            if flashed is None and case.passes and not wrong:
                world.flash(parcel, Faults(), (), 921600, 0.0)  # a good line mends all
                wrong = self._judge(root, case, flashed, "", clean=True)
        except _Stuck:
            took, wrong = world.now, "had no end"
        except Exception as surprise:
            took, wrong = world.now, f"{surprise!r:.200}"
        finally:
            parcel.bundle.close()
            parcel.bundle.path.unlink()
            shutil.rmtree(root)
        return Outcome(seed, end, error, dict(world.struck), took, wrong)

    def _parcel(self, version: str, payload: dict[str, bytes], thorough: bool = False) -> Parcel:
        path = self._folder / f"{version}.lgb"
        manifest = make_manifest(payload, version=version)
        create_bundle(path, manifest, payload, KEY)
        bases = self._bases if thorough else None
        return Parcel(open_bundle(path, [KEY.public]), bases, thorough=thorough)

    def _judge(
        self, root: Path, case: _Case, flashed: Flashed | None, error: str, *, clean: bool = False
    ) -> str:
        """What is wrong with the box, or with what was said of it."""
        slots = Slots(root)
        letter = slots.state.active
        if letter is None:
            return "no bundle is active"
        try:
            version = slots.verify(letter).version
        except LineguardError as fault:
            return f"the active bundle does not verify: {fault}"
        payload = {"1.0.0": self._old, "2.0.0": case.payload}[version]
        there = {path: (root / letter / FILES / path).read_bytes() for path in payload}
        if there != payload:
            return f"{version} is active with other bytes"
        if (root / "current").resolve() != (root / letter).resolve():
            return "current points elsewhere"
        if (flashed or clean) and version != "2.0.0":
            return "confirmed, but the old bundle is active"
        if not case.passes and version != "1.0.0":
            return "failed its trial, and is active"
        if not flashed and not clean and (not error or "\n" in error):
            return f"no reason was given, or too long a one: {error!r}"
        return ""


class _World:
    """A host, a box, and the time of both: that of the lines between them, one after the other."""

    def __init__(self, root: Path, trial_s: float, passes: bool) -> None:
        self.struck: Counter[str] = Counter()
        self._trial_s, self._passes = trial_s, passes
        self._go, self._due = threading.Event(), math.inf
        self._receiver = Receiver(root, BOX, self._trial)
        self._channel: Any = None
        self._before, self._session = 0.0, -1

    @property
    def now(self) -> float:
        """Seconds."""
        return self._before + (self._channel.clock() if self._channel else 0.0)

    def monotonic(self) -> float:
        """As of :mod:`time`."""
        if self.now > PATIENCE:
            raise _Stuck
        return self.now

    def sleep(self, seconds: float) -> None:
        """As of :mod:`time`; an open session goes on meanwhile."""
        end = self.monotonic() + seconds
        while self.now < end:
            try:
                self._channel.receive(end - self.now)
            except (AttributeError, TransferError) as error:
                if getattr(error, "code", "") != TIMEOUT:
                    self._before += end - self.now
                    return

    def flash(
        self,
        parcel: Parcel,
        faults: Faults,
        cuts: tuple[float, ...],
        rate: int | None,
        latency: float,
    ) -> Flashed:
        """Flash over lines of that kind."""
        left = iter(cuts)

        def connect() -> Channel:
            self._receiver.disconnect(self._session)
            self._session += 1
            self._before, self._channel = self.now, None
            cut = next(left, Faults().disconnect)
            harm = replace(
                faults, disconnect=cut, seed=faults.seed + self._session, struck=self.struck
            )
            try:
                self._channel, _ = channel_pair(
                    rate=rate, latency=latency, faults=harm, virtual=True, serve=self._serve
                )
            except TransferError:
                self._before += OPENING
                raise
            return self._channel  # type: ignore[no-any-return]

        with contextlib.ExitStack() as stack:
            for module in (channel, patience, sender, tenacity.nap):
                stack.enter_context(mock.patch.object(module, "time", self))
            return sender.flash(connect, parcel)

    def settle(self) -> None:
        """Let a trial end that nobody waits for any more."""
        self._end_trial()
        self._receiver.disconnect(self._session)
        self._receiver.tick()

    def _serve(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self.monotonic()
        answer = self._receiver.handle(message, self._session)
        if any(thread.name == "trial" for thread in threading.enumerate()):
            self._due = min(self._due, self.now + self._trial_s)
            if self.now >= self._due:
                self._end_trial()
        return answer

    def _trial(self, folder: Path, manifest: Manifest) -> TrialResult:
        self._go.wait()
        return TrialResult(
            self._passes, "" if self._passes else "golden.png: none is there", 12.5, 50
        )

    def _end_trial(self) -> None:
        self._go.set()
        for thread in threading.enumerate():
            if thread.name == "trial":
                thread.join()
        self._due = math.inf
        self._go.clear()


def _end(flashed: Flashed | None, error: str, letter: str | None) -> str:
    if flashed is not None:
        return "confirmed"
    if "failed its trial" in error:
        return "trial"
    return "line" if letter == "a" else "unseen"


def _draw(dice: random.Random, old: Mapping[str, bytes]) -> _Case:
    size = (
        dice.randrange(CHUNK, 3 * CHUNK) if dice.random() < 0.05 else dice.randrange(1000, 20_000)
    )
    network = dice.randbytes(size)
    if dice.random() < 0.4:  # trained a little further
        at = dice.randrange(len(old["det.onnx"]))
        network = old["det.onnx"][:at] + dice.randbytes(100) + old["det.onnx"][at + 100 :]
    kinds = dice.sample(KINDS, dice.randint(1, len(KINDS)))
    worse = 10.0 if dice.random() < 0.1 else 1.0  # such that some get nowhere
    flip, drop, duplicate, delay, truncate = (
        min(0.95, worse * 10 ** dice.uniform(*span)) if kind in kinds else 0.0
        for kind, span in zip(KINDS, [(-6.0, -3.3)] + 4 * [(-3.0, -0.5)], strict=False)
    )
    harm = Faults(flip, drop, duplicate, delay, truncate)
    cuts = dice.randint(1, 4) if "disconnect" in kinds else 0
    return _Case(
        payload={"det.onnx": network, "golden.png": dice.randbytes(dice.randrange(3000))},
        thorough=dice.random() < 0.5,
        rate=dice.choice(RATES),
        latency=dice.choice(LATENCIES),
        faults=replace(harm, seed=dice.randrange(2**32)),
        cuts=tuple(dice.expovariate(1.0) for _ in range(cuts)),
        trial_s=dice.uniform(0, 3),
        passes=dice.random() < 0.95,
    )
