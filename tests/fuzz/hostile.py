"""The largest and the worst that each decoder may be given, and what memory that takes.

Run by itself, ``python tests/fuzz/hostile.py NAME``: prints by how many MiB the process has grown.
"""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import zstandard
from cobs import cobs  # type: ignore[import-untyped]

from firmware_bridge.frames import LARGEST, Decoder, Kind, Terms, encode, pack_terms
from firmware_bridge.inbox import Inbox
from firmware_bridge.link import Link, Role
from firmware_bridge.receiver import Receiver
from firmware_bridge.trials import TrialResult
from models.bundle import Manifest, dump_cbor, load_cbor, manifest_id, sign, trust, verify_envelope
from models.bundle.envelope import PAYLOAD_TYPE
from models.errors import LineguardError
from tools.fuzz.samples import BOX, KEY, make_manifest
from tools.fuzz.targets import PAYLOAD, TARGETS, good_bundle

READ = 65_536
"""Bytes that a port gives at once, at most."""

SESSION = 7
MIB = 2**20


def _flood_of_noise() -> None:
    decoder = Decoder()
    for _ in range(64):
        decoder.feed(b"x" * MIB)


def _link_full_of(frames: int, flags: bytes, gap: int = 0) -> None:
    """A sender that minds neither window nor ACK; nobody fetches what has come."""
    link = Link(Role.BOX, 0.0)
    link.receive(encode(Kind.SYN, SESSION, 0, pack_terms(Terms())), 0.0)
    for number in range(frames):
        link.receive(encode(Kind.DATA, SESSION, gap + number, flags + bytes(LARGEST)), 0.0)


def _inbox_of_small_messages(message: bytes) -> None:
    inbox = Inbox()
    for number in range(500_000):
        inbox.data(number, b"\1" + message, 0.0)


def _zeros() -> None:
    decoder = Decoder()
    for _ in range(64):
        decoder.feed(bytes(READ))


def _bomb() -> bytes:
    """As far back as zstd may look, by a packer that itself takes little."""
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=23)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    return b"".join(packer.compress(bytes(MIB)) for _ in range(256)) + packer.flush()


def _message(data: bytes) -> None:
    with contextlib.suppress(LineguardError):
        load_cbor(data)


def _envelope(payload: bytes, sig: str = "AA==") -> None:
    table = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": KEY.public.id, "sig": sig}],
    }
    with contextlib.suppress(LineguardError):
        verify_envelope(json.dumps(table).encode(), [KEY.public])


def _manifest(fields: object) -> None:
    """Signed by who is trusted, and wrong all the same."""
    payload = dump_cbor(fields)
    head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode()
    _envelope(payload, base64.b64encode(KEY.key.sign(head + payload)).decode())


def _flash(coding: str, data: bytes) -> None:
    """Send one file in some coding to a box, which has another as its base."""
    payload = {"det.onnx": bytes(4 * MIB), "golden.png": b"\x89PNG"}
    manifest = make_manifest(payload)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        trust(KEY.public, root / "trusted")
        receiver = Receiver(root, BOX, lambda folder, manifest: TrialResult(True))
        named = {"transfer": bytes.fromhex(manifest_id(manifest.to_cbor())), "index": 0, "id": 1}
        said = {"at": 0, "coding": coding, "base": b"", "bytes": len(data)}
        for message in (
            {"m": "offer", "envelope": sign(manifest, KEY), "id": 1},
            {"m": "file", **named, **said},
            {"m": "data", "d": data},
        ):
            receiver.handle(message)
        answer = receiver.handle({"m": "check", **named})
        assert answer is not None
        assert answer["error"] == "content"


def _patch() -> None:
    """Three triples that ask for 60 KB each of streams of zeros without an end."""
    triples = b"".join(struct.pack(">H", 60_000) + bytes(4) for _ in range(1))
    TARGETS["patch"](b"\1" + struct.pack(">H", 60_000) + b"\1" + triples + bytes(2) + bytes(MIB))


def _bundle() -> None:
    """A header that states 4 MiB, behind which they are."""
    made = bytearray(good_bundle())
    made[124:135] = f"{4 * MIB:011o}".encode()
    made[148:156] = b" " * 8
    made[148:155] = f"{sum(made[:512]):06o}\0".encode()
    TARGETS["bundle"](b"\0" + bytes(made) + b"[" * 4 * MIB)


WORST: Mapping[str, Callable[[], object]] = {
    "noise without an end": _flood_of_noise,
    "a frame that COBS makes longest": lambda: Decoder().feed(
        cobs.encode(b"\1" * 10 * MIB) + b"\0"
    ),
    "zeros": _zeros,
    "a message without an end": lambda: _link_full_of(2000, b"\0"),
    "messages that nobody fetches": lambda: _link_full_of(2000, b"\1"),
    "empty messages that nobody fetches": lambda: _inbox_of_small_messages(b""),
    "small messages that nobody fetches": lambda: _inbox_of_small_messages(b"\xa1\x60\x60"),
    "all frames but the first": lambda: _link_full_of(2000, b"\0", gap=1),
    "5 MiB of CBOR bytes": lambda: _message(dump_cbor(bytes(5 * MIB - 5))),
    "5 MiB of CBOR text": lambda: _message(dump_cbor("\u20ac" * (5 * MIB // 3))),
    "5 MiB of CBOR nulls": lambda: _message(b"\x9a\x00\x4f\xff\xff" + b"\xf6" * (5 * MIB - 5)),
    "30,000 CBOR texts": lambda: _message(dump_cbor(["x" * 170] * 29_990)),
    "30,000 CBOR maps": lambda: _message(dump_cbor([{}] * 29_990)),
    "an envelope of 3 MiB": lambda: _envelope(bytes(3 * MIB - 600)),
    "a manifest of 30,000 faults": lambda: _manifest({str(n): n for n in range(14_900)}),
    "a manifest of wrong files": lambda: _manifest(
        {**make_manifest(PAYLOAD).model_dump(), "files": [{"path": "../" * 9}] * 9000}
    ),
    "a manifest of long texts": lambda: _manifest(
        {**make_manifest(PAYLOAD).model_dump(), "name": "x" * (3 * MIB - 2000)}
    ),
    "a manifest of 3 MiB": lambda: _manifest(
        {**make_manifest(PAYLOAD).model_dump(), "recipe": {"x": ["y" * 1000] * 2900}}
    ),
    "a bundle of brackets": _bundle,
    "a zip bomb": lambda: _flash("zstd", _bomb()),
    "a patch that is a bomb": _patch,
}


def main(name: str) -> None:
    """Give a decoder the worst, and print what it took."""
    good_bundle()  # made before, so that it does not count
    Manifest.from_cbor(make_manifest(PAYLOAD).to_cbor())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    WORST[name]()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


if __name__ == "__main__":
    main(sys.argv[1])
