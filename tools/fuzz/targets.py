"""What is fuzzed: each target takes any bytes, and fails if a decoder does what it must not.

Checksums, signatures and compression stop a fuzzer that does not know them, so a part of the input
is first made into what carries the right ones. No target raises but for a finding.
"""

# ruff: noqa: S101 - an assertion that fails is what a fuzzer looks for

from __future__ import annotations

import bz2
import contextlib
import functools
import os
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from zlib import crc32

import bsdiff4  # type: ignore[import-untyped]
from cobs import cobs  # type: ignore[import-untyped]

from firmware_bridge.frames import Decoder, Frame, Kind, Terms, encode, pack_ack, pack_terms
from firmware_bridge.inbox import MAX_MESSAGE
from firmware_bridge.link import Link, Role, State
from firmware_bridge.patch import apply_patch
from models.bundle import Manifest, create_bundle, dump_cbor, load_cbor, open_bundle, sign
from models.errors import BundleError
from tools.fuzz.samples import KEY, make_manifest

__all__ = ["BASE", "PAYLOAD", "TARGETS", "good_bundle"]

PAYLOAD = {"det.onnx": b"network" * 100, "empty": b"", "golden.png": b"\x89PNG, or so it says"}
"""Of the one bundle that is signed."""

BASE = bytes(range(256)) * 4
"""What patches are for."""

_BAUDS = (230400, 921600)
_SESSION = 4711


@functools.cache
def good_bundle() -> bytes:
    """The one bundle that is signed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "good.lgb"
        create_bundle(path, make_manifest(PAYLOAD), PAYLOAD, KEY)
        return path.read_bytes()


class _Reader:
    """Takes the input apart; what is asked for beyond its end is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size), "big")

    def rest(self) -> bytes:
        return self.take(max(0, self.left))


def fuzz_frames(data: bytes) -> None:
    """Frames are found whatever the pieces in which they come, and are what was sent."""
    reader = _Reader(data)
    stuffed, step = reader.number(), 1 + reader.number()
    wire = reader.rest()
    if stuffed % 2:  # bodies, each behind its length, with the right CRC and COBS
        bodies = []
        reader = _Reader(wire)
        while reader.left > 0:
            bodies.append(reader.take(reader.number()))
        wire = b"".join(
            cobs.encode(body + struct.pack(">I", crc32(body))) + b"\0" for body in bodies
        )
    whole = Decoder().feed(wire)
    decoder = Decoder()
    pieces = [
        frame for at in range(0, len(wire), step) for frame in decoder.feed(wire[at : at + step])
    ]
    assert pieces == whole
    assert all(Decoder().feed(encode(*frame)) == [frame] for frame in whole)


def fuzz_link(data: bytes) -> None:
    """A link takes anything, at any time, and its own messages stay within their bounds."""
    reader = _Reader(data)
    first = reader.number()
    role = Role.HOST if first & 1 else Role.BOX
    bauds = _BAUDS if first & 2 else ()
    now = 0.0
    link = Link(role, now, session=_SESSION if first & 1 else -1, rate=_BAUDS[-1], bauds=bauds)
    if first & 4:  # begin with an open session
        kind = Kind.SYN_ACK if first & 1 else Kind.SYN
        link.receive(encode(kind, _SESSION, 0, pack_terms(Terms(bauds=bauds))), now)
    while reader.left > 0:
        _step(link, reader, now)
        written = link.poll(now)
        assert all(frame.session <= 0xFFFF for frame in Decoder().feed(written))
        assert link.next_timeout(now) >= now
        while (message := link.take()) is not None:
            assert len(message) <= MAX_MESSAGE
        if link.state is State.CLOSED:
            if role is Role.HOST:
                return
            link = link.successor(now)
        now += reader.number() / 50


def _step(link: Link, reader: _Reader, now: float) -> None:
    """One thing that happens to a link."""
    what = reader.number() % 10
    if what == 0:
        link.receive(reader.take(reader.number()), now)
    elif what == 1:
        link.receive(reader.take(1) * 32 * reader.number(), now)
    elif what == 2 and link.state is State.OPEN:
        link.send(bytes(32 * reader.number()))
    else:
        link.receive(encode(*_frame(what, reader)), now)


def _frame(what: int, reader: _Reader) -> Frame:
    session = _SESSION + max(0, reader.number() - 250)
    if what == 3:
        terms = Terms(reader.number(3), reader.number(2), (reader.number(4),))
        return Frame(Kind.SYN, session, 0, pack_terms(terms))
    if what == 4:
        return Frame(Kind.ACK, session, 0, pack_ack(reader.number(), reader.number(4)))
    if what == 5:
        return Frame(Kind.DATA, session, reader.number(), bytes(1 + 16 * reader.number()))
    if what == 6:
        return Frame(Kind.RATE, session, 0, struct.pack(">I", (*_BAUDS, 1)[reader.number() % 3]))
    kind = Kind(1 + reader.number() % 7)
    return Frame(kind, session, reader.number(4), reader.take(reader.number()))


def fuzz_cbor(data: bytes) -> None:
    """What is read is written as the same bytes."""
    with contextlib.suppress(BundleError):
        assert dump_cbor(load_cbor(data)) == data


def fuzz_manifest(data: bytes) -> None:
    """A manifest has one form, and goes through its own limits."""
    with contextlib.suppress(BundleError):
        manifest = Manifest.from_cbor(data)
        assert manifest.to_cbor() == data
        assert manifest.total <= 512 * 2**20
        for entry in manifest.files:
            assert not {"", ".", ".."} & set(entry.path.split("/"))


def fuzz_bundle(data: bytes) -> None:
    """Nothing opens but the one bundle that was signed, or one that its signer has malformed."""
    reader = _Reader(data)
    kind = reader.number() % 3
    if kind == 0:
        _open(reader.rest())
    elif kind == 1:  # changes of the good one: where, how many bytes go, what comes
        made = bytearray(good_bundle())
        while reader.left > 0:
            at, gone = reader.number(2), reader.number(2)
            made[at : at + gone] = reader.take(reader.number())
        _open(bytes(made))
    else:  # a manifest that was signed, whatever it is
        with contextlib.suppress(BundleError):
            _open(_with_envelope(sign(Manifest.from_cbor(reader.rest()), KEY)), signed=True)


def _with_envelope(envelope: bytes) -> bytes:
    """The good bundle with another manifest."""
    good = good_bundle()
    size = int(good[124:135], 8)
    header = bytearray(good[:512])
    header[124:135] = f"{len(envelope):011o}".encode()
    header[148:156] = b" " * 8
    header[148:155] = f"{sum(header):06o}\0".encode()
    payload = good[512 + size + -size % 512 :]
    return bytes(header) + envelope + bytes(-len(envelope) % 512) + payload


def _open(data: bytes, signed: bool = False) -> None:
    """As a host and a box do: with trust and, to look at, without."""
    with _file(data) as path:
        for trusted in ([KEY.public], [], None):
            with contextlib.suppress(BundleError), open_bundle(path, trusted) as bundle:
                assert trusted != []
                bundle.check()
                for index, entry in enumerate(bundle.manifest.files):
                    content = b"".join(bundle.read(index))
                    assert trusted is None or PAYLOAD[entry.path] == content
                assert trusted is None or signed or bundle.manifest == make_manifest(PAYLOAD)


@contextlib.contextmanager
def _file(data: bytes) -> Iterator[Path]:
    descriptor = os.memfd_create("fuzz")
    try:
        os.write(descriptor, data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def fuzz_patch(data: bytes) -> None:
    """A patch gives what ``bsdiff4`` makes of it, of the size that was asked for, or is refused."""
    reader = _Reader(data)
    packed, size = reader.number() % 2, reader.number(2)
    if packed:  # control, difference and extra, with their compression and lengths
        triples = b"".join(
            struct.pack("<3Q", *(_bsdiff(reader) for _ in range(3)))
            for _ in range(reader.number() % 8)
        )
        parts = [triples, reader.take(reader.number(2)), reader.rest()]
        control, difference, extra = map(bz2.compress, parts)
        head = struct.pack("<3Q", len(control), len(difference), size)
        patch = b"BSDIFF40" + head + control + difference + extra
    else:
        patch = reader.rest()
    with _file(patch) as path, _file(BASE) as base:
        try:
            pieces = list(apply_patch(path, base, size))
        except BundleError:
            return
    made = b"".join(pieces)
    assert len(made) == size
    assert max(map(len, pieces), default=0) <= 65536
    if packed:
        with contextlib.suppress(ValueError):  # it minds what is left over, which harms nobody
            assert made == bsdiff4.patch(BASE, patch)


def _bsdiff(reader: _Reader) -> int:
    """A number as bsdiff writes it: small as a rule, of 64 bits at times, of either sign."""
    first = reader.number()
    value = reader.number(8) if first == 255 else reader.number(2)
    return value | (1 << 63 if first & 1 else 0)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "bundle": fuzz_bundle,
    "cbor": fuzz_cbor,
    "frames": fuzz_frames,
    "link": fuzz_link,
    "manifest": fuzz_manifest,
    "patch": fuzz_patch,
}
