"""A whole flash of which the messages are spoilt, left out, repeated or turned round."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from test_fuzz_bytes import seeds, spoilt

from firmware_bridge.receiver import Receiver
from firmware_bridge.slots import Slots
from firmware_bridge.trials import TrialResult
from models.bundle import FILES, Manifest, dump_cbor, load_cbor, manifest_id, sign, trust
from models.errors import BundleError
from tools.fuzz.samples import BOX, KEY, make_manifest
from tools.fuzz.transfers import folder_in_memory

OLD = {"det.onnx": b"old" * 3000, "golden.png": b"\x89PNG"}
NEW = {"det.onnx": b"new" * 3000, "golden.png": b"\x89PNG, another", "x.json": b"{}"}


def passes(folder: Path, manifest: Manifest) -> TrialResult:
    return TrialResult(True, p99_ms=1.0, runs=50)


def conversation(version: str, payload: dict[str, bytes]) -> list[bytes]:
    """All messages of a flash, each file in another coding."""
    manifest = make_manifest(payload, version=version)
    named: dict[str, Any] = {"transfer": bytes.fromhex(manifest_id(manifest.to_cbor()))}
    messages: list[dict[str, Any]] = [{"m": "offer", "envelope": sign(manifest, KEY)}]
    for index, content in enumerate(payload.values()):
        coding = ("raw", "zstd")[index % 2]
        data = zstandard.ZstdCompressor().compress(content) if index % 2 else content
        said = {"index": index, "at": 0, "coding": coding, "base": b"", "bytes": len(data)}
        messages.append({"m": "file", **named, **said})
        messages += [{"m": "data", "d": data[at : at + 4000]} for at in range(0, len(data), 4000)]
        messages.append({"m": "check", **named, "index": index})
    messages += [{"m": "stage", **named}, {"m": "activate", "hold": False}, {"m": "status"}]
    return [dump_cbor({**message, "id": number}) for number, message in enumerate(messages)]


def say(receiver: Receiver, data: bytes) -> None:
    """As a session does: what is no CBOR never comes to a receiver."""
    try:
        message = load_cbor(data)
    except BundleError:
        return
    answer = receiver.handle(message)
    if answer is not None:
        dump_cbor(answer)
    for thread in threading.enumerate():
        if thread.name == "trial":
            thread.join()


def active(root: Path) -> dict[str, bytes]:
    slots = Slots(root)
    letter = slots.state.active
    assert letter is not None
    manifest = slots.verify(letter)
    return {
        entry.path: (root / letter / FILES / entry.path).read_bytes() for entry in manifest.files
    }


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield _new_box(folder / "root")


def _new_box(root: Path) -> Path:
    trust(KEY.public, root / "trusted")
    receiver = Receiver(root, BOX, passes)
    for message in conversation("1.0.0", OLD):
        say(receiver, message)
    assert active(root) == OLD
    return root


def test_left_alone_it_goes_through(template: Path) -> None:
    root = Path(shutil.copytree(template, template.with_name("alone"), symlinks=True))
    receiver = Receiver(root, BOX, passes)
    for message in conversation("2.0.0", NEW):
        say(receiver, message)
    assert active(root) == NEW


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(seeds)
def test_nothing_becomes_active_but_what_was_signed(template: Path, seed: int) -> None:
    dice = random.Random(seed)
    root = template.with_name("spoilt")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root, symlinks=True)
    receiver = Receiver(root, BOX, passes)
    messages = conversation("2.0.0", NEW)
    for _ in range(dice.randint(1, 3)):
        at, other = dice.randrange(len(messages)), dice.randrange(len(messages))
        what = dice.randrange(5)
        if what == 0:
            messages[at] = spoilt(messages[at], dice)
        elif what == 1 and len(messages) > 1:
            del messages[at]
        elif what == 2:
            messages.insert(other, messages[at])
        elif what == 3:
            messages[at], messages[other] = messages[other], messages[at]
        else:  # a byte of it, so that it stays CBOR
            data = bytearray(messages[at])
            data[-1 - dice.randrange(min(40, len(data)))] ^= 1 << dice.randrange(8)
            messages[at] = bytes(data)
    for message in messages:
        say(receiver, message)
    assert active(root) in (OLD, NEW)
    receiver.disconnect()
    for message in conversation("2.0.0", NEW):  # and the next one goes through
        say(receiver, message)
    assert active(root) == NEW
