import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.frames import (
    LARGEST,
    LONGEST,
    REACH,
    Decoder,
    Frame,
    Kind,
    Terms,
    encode,
    pack_ack,
    pack_terms,
    unpack_ack,
    unpack_terms,
)
from models.bundle.cbor import dump_cbor

frames = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=300) | st.sampled_from([bytes(LARGEST + 1), b"\x01" * (LARGEST + 1)]),
)


def stuff(data: bytes) -> bytes:
    """COBS as its paper describes it, block by block."""
    out = bytearray()
    for block in (data + b"\0").split(b"\0")[:-1]:
        while len(block) >= 254:
            out += b"\xff" + block[:254]
            block = block[254:]
        out += bytes([len(block) + 1]) + block
    return bytes(out)


def test_a_frame_on_the_wire_is_what_the_document_says() -> None:
    body = bytes([5, 0x12, 0x34, 0, 0, 0, 0])
    expected = stuff(body + zlib.crc32(body).to_bytes(4, "big")) + b"\0"
    assert encode(Kind.PING, 0x1234) == expected
    assert expected[:8] == bytes([4, 5, 0x12, 0x34, 1, 1, 1, 5])
    body = bytes([3, 0, 1, 0, 0, 2, 3]) + b"payload"
    assert encode(Kind.DATA, 1, 0x203, b"payload") == (
        stuff(body + zlib.crc32(body).to_bytes(4, "big")) + b"\0"
    )


@given(st.lists(frames, max_size=8), st.integers(1, 600), st.binary(max_size=20))
def test_frames_come_out_of_pieces_of_any_size(sent: list[Frame], size: int, noise: bytes) -> None:
    stream = noise.replace(b"\0", b"") + b"\0" + b"".join(encode(*frame) for frame in sent)
    decoder = Decoder()
    got = []
    for begin in range(0, len(stream), size):
        got += decoder.feed(stream[begin : begin + size])
    assert got[-len(sent) :] == sent or not sent
    assert len(got) <= len(sent) + 1


@pytest.mark.parametrize("payload", [b"", bytes(LARGEST + 1), bytes(range(1, 255)) * 16])
def test_the_longest_frame_is_not_longer_than_it_may(payload: bytes) -> None:
    assert len(encode(Kind.DATA, 0xFFFF, 1, payload)) <= LONGEST + 1
    assert Decoder().feed(encode(Kind.DATA, 0xFFFF, 1, payload))[0].payload == payload


def test_every_single_flipped_bit_and_every_cut_is_noticed() -> None:
    good = encode(Kind.DATA, 4711, 3, b"\x01\x00what was sent")
    for bit in range(8 * (len(good) - 1)):
        bad = bytearray(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        assert Decoder().feed(bytes(bad)) == []
    for end in range(len(good) - 1):
        assert Decoder().feed(good[:end] + b"\0") == []


@given(st.lists(st.binary(max_size=2000), max_size=10))
def test_garbage_gives_nothing_and_costs_nothing(pieces: list[bytes]) -> None:
    decoder = Decoder()
    for piece in pieces:
        assert decoder.feed(piece) == []
        assert len(decoder._rest) <= LONGEST
    decoder.feed(b"\0")
    frame = Frame(Kind.PING, 1, 0, b"")
    assert decoder.feed(encode(*frame)) == [frame]


@pytest.mark.parametrize("size", [1, 100, 70000])
def test_a_flood_without_an_end_is_cut_and_the_next_frame_is_found(size: int) -> None:
    decoder = Decoder()
    for _ in range(1 + 20000 // size):
        assert decoder.feed(b"\x01" * size) == []
        assert len(decoder._rest) <= LONGEST
    frame = Frame(Kind.ACK, 7, 0, pack_ack(3, 0))
    assert decoder.feed(b"\0" + encode(*frame)) == [frame]


@pytest.mark.parametrize("kind", [0, 8, 255])
def test_unknown_kinds_are_dropped(kind: int) -> None:
    assert Decoder().feed(encode(kind, 1)) == []  # type: ignore[arg-type]


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, (1 << REACH) - 1))
def test_acks_come_back(first: int, behind: int) -> None:
    packed = pack_ack(first, behind)
    assert len(packed) <= 36
    assert not behind or packed[-1]
    assert unpack_ack(packed) == (first, behind)


def test_an_ack_is_what_the_document_says() -> None:
    assert pack_ack(258, 0) == b"\x00\x00\x01\x02"
    assert pack_ack(0, 1 << 9 | 1) == b"\x00\x00\x00\x00\x01\x02"
    assert unpack_ack(b"abc") is None
    assert unpack_ack(bytes(37)) is None


def test_terms_come_back() -> None:
    terms = Terms(32768, 1024, (230400, 921600))
    assert unpack_terms(pack_terms(terms)) == terms


good = {"v": 1, "window": 65536, "frame": 4096, "bauds": [230400]}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff\xff",
        dump_cbor([1]),
        dump_cbor(good | {"v": 2}),
        dump_cbor(good | {"window": 4095}),
        dump_cbor(good | {"window": 1 << 40}),
        dump_cbor(good | {"window": True}),
        dump_cbor(good | {"frame": 63}),
        dump_cbor(good | {"frame": 4097}),
        dump_cbor(good | {"frame": 64.5}),
        dump_cbor(good | {"bauds": 9600}),
        dump_cbor(good | {"bauds": [0]}),
        dump_cbor(good | {"bauds": ["fast"]}),
        dump_cbor(good | {"bauds": list(range(1, 30))}),
        dump_cbor({"v": 1}),
    ],
)
def test_terms_out_of_bounds_are_refused(said: bytes) -> None:
    assert unpack_terms(dump_cbor(good)) is not None
    assert unpack_terms(said) is None
