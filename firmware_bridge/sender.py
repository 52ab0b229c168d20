"""A bundle onto a box, over any line, until the box has confirmed it or has said why not.

Whatever breaks on the way is taken up again where the box says that it stands: nothing is
remembered here that a box could have forgotten. ``docs/protocol.md``, sections 3 and 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tenacity import Retrying, retry_if_exception

from firmware_bridge.answers import Hello, Offered, SlotSaid, Status, read_answer
from firmware_bridge.asking import Asking
from firmware_bridge.channel import Channel
from firmware_bridge.parcel import Coded, Parcel
from firmware_bridge.patience import BROKEN, Patience
from models.bundle import CHUNK, Manifest
from models.errors import TransferError

__all__ = ["PATIENCE", "Flashed", "Phase", "Step", "flash"]

PATIENCE = 120.0
"""Seconds for which a box may be away or busy: one that starts again is back in half of it."""

DATA = 16_384 - 13
"""Bytes of a file in one message: with what CBOR adds, frames of every size are full."""

TRIAL = 300.0
"""Seconds to begin a trial, and for each model as many again: more than a box gives itself."""

RUNS, SLOWEST = 50, 4.0
"""Inspections in a trial, apart from two of each golden picture; and how many times the bound of
the manifest each may take."""

POLLS = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between looks at a trial; the last of them from then on."""

Phase = Literal["connect", "offer", "plan", "send", "check", "stage", "trial", "done", "failed"]


@dataclass(frozen=True)
class Step:
    """How far a flash is.

    Attributes
    ----------
    phase
        What is being done.
    done, total
        Bytes for the wire: handed to the line, which may still hold 128 KiB of them, and in all.
    sent
        Bytes that were handed to the line, those too that had to be sent again.
    box, runs
        The box's own name, and what it inspects with, as it said last; empty before it did.
    note
        Why this is done again, or why it failed; empty the first time.
    """

    phase: Phase
    done: int = 0
    total: int = 0
    sent: int = 0
    box: str = ""
    runs: str = ""
    note: str = ""


@dataclass(frozen=True)
class Flashed:
    """A flash that came to a good end.

    Attributes
    ----------
    box
        The box's own name.
    slot
        Where the bundle lies.
    before, runs
        What the box inspected with before, and does now.
    already
        Whether it did so before anything was sent.
    held
        Whether the bundle waits for the line to be idle, and is not active yet.
    p99_ms
        Latency in the trial; ``None`` if there was none, or the box has forgotten.
    sent
        Bytes of files that were handed to the line.
    """

    box: str
    slot: str
    before: str
    runs: str
    already: bool = False
    held: bool = False
    p99_ms: float | None = None
    sent: int = 0


def flash(
    connect: Callable[[], Channel],
    parcel: Parcel,
    *,
    hold: bool = False,
    tell: Callable[[Step], None] = lambda step: None,
    patience: float = PATIENCE,
) -> Flashed:
    """Put a bundle on a box, and wait for the box's own trial.

    Parameters
    ----------
    connect
        Opens a session with the box; called again whenever one has broken.
    parcel
        The bundle.
    hold
        Let the box begin the trial when its line is idle, and do not wait for that.
    tell
        Told each step, in the thread of the caller.
    patience
        Seconds without getting any further, once there was a session.

    Raises
    ------
    TransferError
        The box refuses it, its trial failed, or the line gave out; says what the box runs now.
    BundleError
        The bundle was altered while it was sent.
    """
    return _Flash(Asking(connect), parcel, hold, tell, patience).run()


class _Flash:
    def __init__(
        self,
        box: Asking,
        parcel: Parcel,
        hold: bool,
        tell: Callable[[Step], None],
        patience: float,
    ) -> None:
        self._box, self._parcel, self._hold, self._tell = box, parcel, hold, tell
        self._patience = Patience(patience)
        self._name = self._before = self._runs = self._note = ""
        self._done = self._total = self._sent = self._polls = 0
        self._whole: set[int] = set()  # files of which a delta has failed
        self._activated = False
        self._end = 0.0  # of the trial, at the latest

    def run(self) -> Flashed:
        """Try until it is done or hopeless."""
        trying = Retrying(
            retry=retry_if_exception(self._hopeful),
            stop=self._patience.is_over,
            wait=self._patience.pause,
            reraise=True,
        )
        try:
            flashed = trying(self._try)
            self._say("done")
            return flashed
        except TransferError as error:
            words = f"{error}; {self._ending(error)}"
            self._note = words
            self._say("failed")
            raise TransferError(words, error.code) from error
        finally:
            self._box.close()

    def _hopeful(self, error: BaseException) -> bool:
        self._note = str(error)
        return self._box.met and self._patience.hopeful(error)

    def _ending(self, error: TransferError) -> str:
        """What the box runs now."""
        try:
            if error.code not in BROKEN:
                self._look()
                return f"{self._name} runs {self._runs}"
        except TransferError:
            pass  # then what was known before is all there is to say
        if self._runs:
            return f"{self._name} ran {self._runs} when it was last asked"
        return "what it runs is not known; nothing was changed"

    def _try(self) -> Flashed:
        if not self._box.connected or not self._name:
            self._say("connect")
            answer = self._box.ask({"m": "hello", "host": "lineguard"})
            self._name = read_answer(Hello, answer).box
        status, here = self._look()
        lies_there = here is not None and here[1].state in {"STAGED", "TRIAL"}
        if here and here[1].active:
            return self._finish(status, here[0], already=not self._activated)
        if self._activated and not lies_there:
            raise self._failed(status)
        if not lies_there:
            self._transfer()
            status, here = self._look()
        if here and here[1].state == "STAGED":
            self._activated = True  # even if nobody hears the answer
            answer = self._box.ask({"m": "activate", "hold": self._hold}, work=self._bytes)
            if answer.get("state") == "STAGED":
                return self._finish(status, here[0], held=True)
        return self._await_trial()

    def _look(self) -> tuple[Status, tuple[str, SlotSaid] | None]:
        """What the box holds now, and where this bundle is."""
        status = read_answer(Status, self._box.ask({"m": "status"}))
        self._runs = status.runs
        self._before = self._before or status.runs
        return status, status.find(self._parcel.id)

    def _transfer(self) -> None:
        """Bring everything that the box lacks, and let it put that into a slot."""
        self._say("offer")
        envelope = self._parcel.bundle.envelope
        offer = {"m": "offer", "envelope": envelope}
        answer = self._box.ask(offer, work=3 * self._bytes, size=len(envelope))
        self._say("plan")
        plan = list(self._plan(read_answer(Offered, answer)))
        left = sum(coded.size for coded in plan)
        self._total = max(self._total, left)
        self._done = self._total - left
        for coded in plan:
            self._send(coded)
        self._say("stage")
        self._box.ask({"m": "stage", "transfer": self._parcel.id}, work=2 * self._bytes)
        self._patience.reached(1)

    def _plan(self, offered: Offered) -> Iterator[Coded]:
        files = self._parcel.manifest.files
        if offered.transfer != self._parcel.id or len(offered.files) != len(files):
            raise TransferError("the box has answered to another offer: update it", "malformed")
        for index, (entry, said) in enumerate(zip(files, offered.files, strict=True)):
            if said.at > entry.bytes or (said.at % CHUNK and said.at != entry.bytes):
                raise TransferError(f"the box has {said.at} bytes of {entry.path}", "malformed")
            if said.need:
                bases = () if index in self._whole else said.base
                yield self._parcel.code(index, said.at, bases, self._box.channel.rate)

    def _send(self, coded: Coded) -> None:
        named = {"transfer": self._parcel.id, "index": coded.index}
        how = {"at": coded.at, "coding": coded.coding, "base": coded.base, "bytes": coded.size}
        try:
            self._box.ask({"m": "file", **named, **how})
            for data in _messages(coded.pieces()):
                self._box.send({"m": "data", "d": data})
                self._done += len(data)
                self._sent += len(data)
                self._say("send")
                self._patience.reached(0, self._done - self._total)
            self._say("check")
            self._box.ask({"m": "check", **named}, work=2 * coded.entry.bytes)
        except TransferError as error:
            if coded.coding == "bsdiff" and error.code not in BROKEN:
                self._whole.add(coded.index)
            raise

    def _await_trial(self) -> Flashed:
        """Look once a second how the trial goes."""
        if not self._end:
            self._end = time.monotonic() + _longest(self._parcel.manifest)
        self._activated = True
        self._say("trial")
        while True:
            status, here = self._look()
            if here and here[1].active:
                return self._finish(status, here[0])
            if here is None or here[1].state != "TRIAL":
                raise self._failed(status)
            if time.monotonic() > self._end:
                raise TransferError(
                    f"{self._name}: the trial of {self._parcel.named} does not end: "
                    "see `lineguard box log`",
                    "trial",
                )
            time.sleep(POLLS[min(self._polls, len(POLLS) - 1)])
            self._polls += 1
            self._patience.reached(2, self._polls)

    def _failed(self, status: Status) -> TransferError:
        said = status.trial
        known = said is not None and said.manifest == self._parcel.id and said.state == "failed"
        why = said.reason if said is not None and known else "see `lineguard box log`"
        return TransferError(f"{self._name}: {self._parcel.named} failed its trial: {why}", "trial")

    def _finish(
        self, status: Status, slot: str, *, already: bool = False, held: bool = False
    ) -> Flashed:
        tried = status.trial if status.trial and status.trial.manifest == self._parcel.id else None
        p99 = tried.p99_ms if tried and not held else None
        return Flashed(self._name, slot, self._before, self._runs, already, held, p99, self._sent)

    @property
    def _bytes(self) -> int:
        return self._parcel.manifest.total

    def _say(self, phase: Phase) -> None:
        self._tell(
            Step(phase, self._done, self._total, self._sent, self._name, self._runs, self._note)
        )
        self._note = "" if phase == "send" else self._note


def _longest(manifest: Manifest) -> float:
    """Seconds that a trial may take."""
    inspections = RUNS + 2 * len(manifest.golden)
    slowest = SLOWEST * manifest.bounds.p99_ms / 1000
    return TRIAL * (1 + len(manifest.models)) + inspections * slowest


def _messages(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, in messages that are all full but the last."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= DATA:
            yield bytes(held[:DATA])
            del held[:DATA]
    if held:
        yield bytes(held)
