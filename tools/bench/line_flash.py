"""A whole flash over a line: in simulated time, or over a cable to an agent, and how long it took.

The trial is left out: its bundle is held, as for a line that is not idle.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.agent import box_facts
from firmware_bridge.line import Faults
from firmware_bridge.parcel import Parcel
from firmware_bridge.pipe import channel_pair
from firmware_bridge.receiver import Receiver
from firmware_bridge.sender import Step, flash
from firmware_bridge.session import Session
from firmware_bridge.transport import connect
from firmware_bridge.trials import TrialResult
from models.bundle import Manifest, PrivateKey, create_bundle, file_entry, open_bundle, trust
from models.errors import TransferError
from tools.bench.line_cable import Cable

__all__ = ["Run", "agent", "make_parcel", "over_cable", "parcel_of", "simulated"]

KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))


@dataclass(frozen=True)
class Run:
    """One flash.

    Attributes
    ----------
    payload
        Bytes of files that were to be brought.
    rate
        Baud.
    seconds
        From ``hello`` until the bundle is staged: everything but the trial.
    opening
        Seconds before that, in which the session was opened and the baud raised.
    planning
        Seconds of ``seconds`` in which the host compressed what it then sent.
    sent
        Bytes of files that it sent.
    cpu
        Seconds of processor time that this process took for both, of all its threads.
    """

    payload: int
    rate: int
    seconds: float
    opening: float
    planning: float
    sent: int
    cpu: float

    @property
    def share(self) -> float:
        """Of what the line could have carried meanwhile."""
        return self.payload * 10 / self.rate / self.seconds

    @property
    def share_with_opening(self) -> float:
        """The same from the very beginning."""
        return self.payload * 10 / self.rate / (self.seconds + self.opening)


@contextmanager
def make_parcel(folder: Path, size: int, seed: int) -> Iterator[Parcel]:
    """A bundle of ``size`` random bytes, which no coding makes shorter, and little else."""
    with parcel_of(folder / f"{size}-{seed}.lgb", np.random.default_rng(seed).bytes(size)) as each:
        yield each


@contextmanager
def parcel_of(path: Path, network: bytes) -> Iterator[Parcel]:
    """A bundle of that ``network``, which nobody will open, as a file at ``path``."""
    facts = box_facts()
    payload = {
        "det.onnx": network,
        "det.json": b"{}",
        "golden.png": b"never looked at",
    }
    manifest = Manifest.model_validate(
        {
            "name": "bench",
            "version": "1.0.0",
            "counter": 1,
            "hardware": facts.hardware,
            "engine": {"name": "onnxruntime", "min": "1.0", "max": "9.0"},
            "files": tuple(file_entry(path, content) for path, content in payload.items()),
            "models": {"det": {"family": "ppyoloe", "det": "det.onnx"}},
            "golden": ({"image": "golden.png", "model": "det"},),
            "bounds": {"p99_ms": 100.0},
        }
    )
    create_bundle(path, manifest, payload, KEY)
    with open_bundle(path, [KEY.public]) as bundle:
        yield Parcel(bundle)


def simulated(
    parcel: Parcel, root: Path, rate: int, *, flip: float = 0.0, latency: float = 0.0, seed: int = 0
) -> Run:
    """In simulated time, where only the line takes any; ``root`` must not exist."""
    trust(KEY.public, root / "trusted")
    receiver = Receiver(root, box_facts(), lambda folder, manifest: TrialResult(False))
    faults = Faults(flip=flip, seed=seed)
    session, _ = channel_pair(
        rate=rate, latency=latency, faults=faults, virtual=True, serve=receiver.handle
    )
    return _flash(parcel, lambda: session, rate, 0.0)


@contextmanager
def agent(port: str, root: Path) -> Iterator[None]:
    """``lineguard agent`` in another process, and listening."""
    trust(KEY.public, root / "trusted")
    command = [str(Path(sys.executable).with_name("lineguard")), "agent"]
    child = subprocess.Popen(
        [*command, "--port", port, "--root", str(root)], stdout=subprocess.PIPE, text=True
    )
    try:
        if child.stdout is None or not child.stdout.readline():
            raise ChildProcessError("lineguard agent does not start")
        yield
    finally:
        child.terminate()
        child.wait()


def over_cable(parcel: Parcel, cable: Cable, rate: int) -> Run:
    """In real time, to the agent at the other end of ``cable``."""
    begin = time.monotonic()
    return _flash(parcel, lambda: connect(cable.host, rate=rate), rate, begin)


def _flash(parcel: Parcel, opened: Callable[[], Session], rate: int, begin: float) -> Run:
    session: Session | None = None
    times: dict[str, float] = {}
    cpu = time.process_time()

    def connect() -> Session:
        nonlocal session
        if session is not None:
            raise TransferError("the session broke: see to the cable")  # once, or it is no figure
        session = opened()
        times["hello"] = session.clock()
        return session

    def tell(step: Step) -> None:
        if session is not None:
            times.setdefault(step.phase, session.clock())

    flashed = flash(connect, parcel, hold=True, tell=tell, patience=0.0)
    return Run(
        payload=parcel.manifest.total,
        rate=rate,
        seconds=times["done"] - times["hello"],
        opening=times["hello"] - begin,
        planning=times["send"] - times["plan"],
        sent=flashed.sent,
        cpu=time.process_time() - cpu,
    )
