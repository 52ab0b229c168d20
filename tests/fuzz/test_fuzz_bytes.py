"""Bytes that nobody meant: frames by an independent reading of the document, and all targets."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firmware_bridge.frames import LONGEST, Decoder, Frame, Kind, encode
from firmware_bridge.inbox import Inbox
from models.bundle import Manifest, sign, verify_envelope
from models.errors import BundleError
from tools.fuzz.samples import KEY, STRANGER, make_manifest
from tools.fuzz.targets import PAYLOAD, TARGETS, good_bundle


def unstuffed(piece: bytes) -> bytes | None:
    """COBS as its paper has it: a code, that many bytes less one, and a zero unless it was 255."""
    out = bytearray()
    while piece:
        code, block, piece = piece[0], piece[1 : piece[0]], piece[piece[0] :]
        if code == 0 or len(block) < code - 1:
            return None
        out += block
        if code < 255 and piece:
            out.append(0)
    return bytes(out)


def read_by_hand(wire: bytes) -> list[Frame]:
    frames = []
    for piece in wire.split(b"\0")[:-1]:
        body = unstuffed(piece) if len(piece) <= LONGEST else None
        if (
            body is None
            or len(body) < 11
            or zlib.crc32(body[:-4]) != struct.unpack(">I", body[-4:])[0]
        ):
            continue
        kind, session, seq = struct.unpack(">BHI", body[:7])
        if 1 <= kind <= 7:
            frames.append(Frame(Kind(kind), session, seq, body[7:-4]))
    return frames


frames = st.builds(
    encode,
    st.sampled_from(Kind),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=300)
    | st.integers(0, 4097).map(bytes)
    | st.integers(0, 4097).map(b"\1".__mul__),
)


@settings(max_examples=200)
@given(st.lists(frames | st.binary(max_size=300), max_size=6), st.data())
def test_frames_are_what_the_document_makes_of_the_bytes(
    pieces: list[bytes], data: st.DataObject
) -> None:
    wire = bytearray(b"".join(pieces))
    for _ in range(data.draw(st.integers(0, 3))):
        if wire:
            wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    assert Decoder().feed(bytes(wire)) == read_by_hand(bytes(wire))


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes(target: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=400))
    @example(b"")
    def attempt(data: bytes) -> None:
        TARGETS[target](data)

    attempt()


seeds = st.integers(0, 2**32)


def spoilt(good: bytes, dice: random.Random) -> bytes:
    """Flip, cut, splice, lengthen, some of it several times."""
    data = bytearray(good)
    for _ in range(dice.randint(1, 4)):
        at, size = dice.randrange(len(data) + 1), dice.randint(1, 40)
        what = dice.randrange(5)
        if what == 0 and data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        elif what == 1:
            del data[at : at + size]
        elif what == 2:
            data[at:at] = data[dice.randrange(len(data) + 1) :][:size]
        elif what == 3:
            data[at : at + size] = dice.randbytes(size)
        else:
            data += data[:size] if dice.random() < 0.5 else bytes(512 * dice.randint(1, 3))
    return bytes(data)


@settings(max_examples=300, deadline=None)
@given(seeds)
def test_a_spoilt_bundle_is_the_one_that_was_signed_or_none(seed: int) -> None:
    dice = random.Random(seed)
    TARGETS["bundle"](b"\0" + spoilt(good_bundle(), dice))


MANIFEST = make_manifest(PAYLOAD)


@settings(max_examples=300, deadline=None)
@given(seeds)
def test_a_spoilt_envelope_holds_what_was_signed_or_nothing(seed: int) -> None:
    dice = random.Random(seed)
    good, strange = sign(MANIFEST, KEY), sign(make_manifest(PAYLOAD, counter=9), STRANGER)
    at = dice.randrange(len(good))
    mixed = good[:at] + strange[at:] if dice.random() < 0.3 else spoilt(good, dice)
    try:
        assert verify_envelope(mixed, [KEY.public]) == MANIFEST
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either end will do


@settings(max_examples=300, deadline=None)
@given(seeds)
def test_a_spoilt_manifest_has_one_form_or_is_none(seed: int) -> None:
    data = spoilt(MANIFEST.to_cbor(), random.Random(seed))
    try:
        assert Manifest.from_cbor(data).to_cbor() == data
    except BundleError as error:
        assert "make it anew" in str(error) or str(error).startswith("manifest: ")  # noqa: PT017


@pytest.mark.parametrize("message", [b"", b"\xa0", b"\xa1\x60\x60"])
def test_short_messages_that_nobody_fetches_are_not_free(message: bytes) -> None:
    inbox = Inbox()
    for number in range(100_000):
        inbox.data(number, b"\1" + message, 0.0)
    kept = 0
    while inbox.take() is not None:
        kept += 1
    assert kept < 80_000  # of 64 bytes each: 5 MiB
    told, _ = inbox.ack()
    assert told == kept
