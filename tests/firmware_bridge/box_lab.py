"""Bundles in memory, a box to send them to, and a host that does so without any line."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bsdiff4  # type: ignore[import-untyped]
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware_bridge.receiver import BoxFacts, Receiver
from firmware_bridge.slots import Slots
from firmware_bridge.trials import Trial, TrialResult
from models.bundle import CHUNK, Manifest, PrivateKey, file_entry, manifest_id, sign, trust

FACTS = BoxFacts("box-1", ("arm64",), {"onnxruntime": "1.23.2"})

KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))
STRANGER = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02"))


@dataclass(frozen=True)
class Release:
    """A bundle as a host has it."""

    manifest: Manifest
    payload: Mapping[str, bytes]
    envelope: bytes

    @property
    def id(self) -> bytes:
        return bytes.fromhex(manifest_id(self.manifest.to_cbor()))

    def content(self, index: int) -> bytes:
        return self.payload[self.manifest.files[index].path]


def weights(seed: int, chunks: float = 2.25) -> bytes:
    """Bytes that differ from seed to seed in the last chunk only."""
    data = bytearray(bytes(range(256)) * int(chunks * CHUNK / 256))
    data[-100:-90] = bytes([seed]) * 10
    return bytes(data)


def release(version: int = 1, *, key: PrivateKey = KEY, **fields: Any) -> Release:
    """Version ``version``.0.0: a network that differs from the others, what is the same in all."""
    payload = fields.pop("payload", None) or {
        "golden/board.png": b"\x89PNG, or so it says",
        "pcb/det.json": b'{"labels": ["short"]}\n',
        "pcb/det.onnx": weights(version),
    }
    said: dict[str, Any] = {
        "name": "pcb",
        "version": f"{version}.0.0",
        "counter": 1,
        "hardware": ("arm64",),
        "engine": {"name": "onnxruntime", "min": "1.20", "max": "1.30"},
        "files": tuple(file_entry(path, content) for path, content in payload.items()),
        "models": {"pcb": {"family": "ppyoloe", "det": "pcb/det.onnx", "labels": ["short"]}},
        "golden": ({"image": "golden/board.png", "model": "pcb"},),
        "bounds": {"p99_ms": 100.0},
        **fields,
    }
    manifest = Manifest.model_validate(said)
    return Release(manifest, payload, sign(manifest, key))


def passes(folder: Path, manifest: Manifest) -> TrialResult:
    return TrialResult(True, p99_ms=12.5, runs=50)


def fails(folder: Path, manifest: Manifest) -> TrialResult:
    return TrialResult(False, "golden/board.png: expected 'A', read 'B'")


def make_root(root: Path) -> Path:
    """A new box's folder, which trusts ``KEY``."""
    trust(KEY.public, root / "trusted")
    return root


def box(root: Path, trial: Trial = passes, facts: BoxFacts = FACTS) -> Receiver:
    """A box as it comes up."""
    return Receiver(make_root(root) if not root.exists() else root, facts, trial)


def ask(receiver: Receiver, m: str, **fields: Any) -> dict[str, Any]:
    """One request, which must be answered."""
    answer = receiver.handle({"m": m, "id": 7, **fields})
    assert answer is not None
    assert (answer["m"], answer["id"]) == (m, 7)
    return answer


def code_of(receiver: Receiver, m: str, **fields: Any) -> str:
    """Code of a refusal; its text must be one line."""
    answer = ask(receiver, m, **fields)
    assert answer.keys() == {"m", "id", "error", "text"}, answer
    assert answer["text"]
    assert "\n" not in answer["text"]
    return str(answer["error"])


def offered(receiver: Receiver, new: Release) -> list[dict[str, Any]]:
    answer = ask(receiver, "offer", envelope=new.envelope)
    assert answer.get("transfer") == new.id, answer
    files: list[dict[str, Any]] = answer["files"]
    return files


def announce(receiver: Receiver, new: Release, index: int, **fields: Any) -> dict[str, Any]:
    said = {"transfer": new.id, "index": index, "at": 0, "coding": "raw", "base": b"", **fields}
    return ask(receiver, "file", **said)


def send(
    receiver: Receiver,
    new: Release,
    index: int,
    at: int = 0,
    coding: str = "raw",
    base: bytes = b"",
) -> dict[str, Any]:
    """One file; gives the answer to ``check``. ``base`` is the content that a patch is for."""
    data = new.content(index)[at:]
    if coding == "bsdiff":
        data = bsdiff4.diff(base, data)
    if coding != "raw":
        data = zstandard.ZstdCompressor().compress(data)
    base_hash = bytes.fromhex(file_entry("x", base).sha256) if coding == "bsdiff" else b""
    answer = announce(receiver, new, index, at=at, coding=coding, base=base_hash, bytes=len(data))
    assert "error" not in answer, answer
    for start in range(0, len(data), 40_000):
        assert receiver.handle({"m": "data", "d": data[start : start + 40_000]}) is None
    return ask(receiver, "check", transfer=new.id, index=index)


def send_all(receiver: Receiver, new: Release, old: Release | None = None) -> int:
    """Offer, and send what is needed, as changes of ``old`` if given; gives how many files were."""
    files = offered(receiver, new)
    for index, said in enumerate(files):
        if said["need"] and old is None:
            assert send(receiver, new, index, said["at"]).get("ok") is True
        elif said["need"] and old is not None:
            base = old.content(index)
            assert bytes.fromhex(file_entry("x", base).sha256) in said["base"]
            assert send(receiver, new, index, 0, "bsdiff", base).get("ok") is True
    return sum(said["need"] for said in files)


def tried(receiver: Receiver) -> dict[str, Any]:
    """Wait for the end of the trial; gives the status then."""
    for _ in range(5000):
        status = ask(receiver, "status")
        if status["trial"] is None or status["trial"]["state"] != "running":
            return status
        time.sleep(0.001)
    raise AssertionError("the trial never ends")


def flash(receiver: Receiver, new: Release, old: Release | None = None) -> dict[str, Any]:
    """All of a flash; gives the last status."""
    send_all(receiver, new, old)
    staged = ask(receiver, "stage", transfer=new.id)
    assert staged.get("slot") in {"a", "b"}, staged
    assert ask(receiver, "activate", hold=False).get("state") == "TRIAL"
    return tried(receiver)


def active(root: Path) -> str | None:
    """Version of the active bundle, all of it verified; ``current`` must point to it."""
    slots = Slots(root)
    letter = slots.state.active
    if letter is None:
        assert not (root / "current").exists()
        return None
    assert (root / "current").resolve() == root.resolve() / letter
    return slots.verify(letter).version
