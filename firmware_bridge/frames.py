"""Frames: the only thing that stands on the wire (``docs/protocol.md``, section 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeGuard
from zlib import crc32

from cobs import cobs  # type: ignore[import-untyped]

from models.bundle.cbor import dump_cbor, load_cbor
from models.errors import BundleError

__all__ = [
    "LARGEST",
    "LONGEST",
    "REACH",
    "SMALLEST",
    "VERSION",
    "Decoder",
    "Frame",
    "Kind",
    "Terms",
    "encode",
    "pack_ack",
    "pack_terms",
    "unpack_ack",
    "unpack_terms",
]

VERSION = 1

SMALLEST, LARGEST = 64, 4096
"""Bytes of a message in one DATA: below, the head is a fifth; above, nothing is left to gain."""

REACH = 256
"""How many frames behind the first missing one an ACK can tell of."""

_HEAD = struct.Struct(">BHI")
_NEXT = struct.Struct(">I")
_CRC = 4
_BODY = _HEAD.size + 1 + LARGEST + _CRC

LONGEST = _BODY + _BODY // 254 + 1
"""Bytes of the longest legal frame, without its 0x00: COBS adds one to each 254."""

_MAX_WINDOW = 1 << 20
_MAX_BAUDS = 16


class Kind(IntEnum):
    """What a frame is."""

    SYN = 1
    SYN_ACK = 2
    DATA = 3
    ACK = 4
    PING = 5
    RESET = 6
    RATE = 7


class Frame(NamedTuple):
    """One frame that came whole."""

    kind: Kind
    session: int
    seq: int
    payload: bytes


_KINDS = {int(kind): kind for kind in Kind}


def encode(kind: Kind, session: int, seq: int = 0, payload: bytes = b"") -> bytes:
    """Give the bytes of one frame, 0x00 included.

    COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", 1999.
    """
    body = _HEAD.pack(kind, session, seq) + payload
    stuffed: bytes = cobs.encode(body + crc32(body).to_bytes(_CRC, "big"))
    return stuffed + b"\0"


class Decoder:
    """Finds frames in bytes as they come; keeps no more than the longest legal frame."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[Frame]:
        """Frames that end in ``data``; what is damaged or too long is dropped without a word."""
        *ended, rest = data.split(b"\0")
        frames = []
        for piece in ended:
            if self._rest or self._skipping:
                whole, skipped = self._rest + piece[:LONGEST], self._skipping
                self._rest, self._skipping = b"", False
                if skipped:
                    continue
            else:
                whole = piece
            frame = _decode(whole) if len(piece) <= LONGEST else None
            if frame is not None:
                frames.append(frame)
        if len(self._rest) + len(rest) > LONGEST:
            self._rest, self._skipping = b"", True
        elif not self._skipping:
            self._rest += rest
        return frames


def _decode(stuffed: bytes) -> Frame | None:
    if not _HEAD.size + _CRC < len(stuffed) <= LONGEST:
        return None
    try:
        body: bytes = cobs.decode(stuffed)
    except cobs.DecodeError:
        return None
    if len(body) < _HEAD.size + _CRC:
        return None
    if crc32(body[:-_CRC]) != int.from_bytes(body[-_CRC:], "big"):
        return None
    number, session, seq = _HEAD.unpack_from(body)
    kind = _KINDS.get(number)
    if kind is None:
        return None
    return Frame(kind, session, seq, body[_HEAD.size : -_CRC])


def pack_ack(first: int, behind: int) -> bytes:
    """Payload of an ACK.

    Parameters
    ----------
    first
        Number of the first DATA that has not come.
    behind
        Bit ``i`` is set if DATA ``first + 1 + i`` has come.
    """
    behind &= (1 << REACH) - 1
    return _NEXT.pack(first) + behind.to_bytes((behind.bit_length() + 7) // 8, "little")


def unpack_ack(payload: bytes) -> tuple[int, int] | None:
    """Give ``first`` and ``behind`` of ``pack_ack``; ``None`` if ``payload`` is no such thing."""
    if not _NEXT.size <= len(payload) <= _NEXT.size + REACH // 8:
        return None
    return _NEXT.unpack_from(payload)[0], int.from_bytes(payload[_NEXT.size :], "little")


@dataclass(frozen=True)
class Terms:
    """What one end says of itself in SYN or SYN-ACK.

    Attributes
    ----------
    window
        Bytes of messages in flight to it that it has room for.
    frame
        The most bytes of a message that it takes in one frame.
    bauds
        Rates that its port may be set to; none where the line has no rate.
    """

    window: int = 65536
    frame: int = LARGEST
    bauds: tuple[int, ...] = ()


def pack_terms(terms: Terms) -> bytes:
    """Payload of a SYN or SYN-ACK."""
    bauds = list(terms.bauds)
    return dump_cbor({"v": VERSION, "window": terms.window, "frame": terms.frame, "bauds": bauds})


def unpack_terms(payload: bytes) -> Terms | None:
    """Give what ``pack_terms`` packed; ``None`` if it is of another version or out of bounds."""
    try:
        said = load_cbor(payload)
    except BundleError:
        return None
    if not isinstance(said, dict) or said.get("v") != VERSION:
        return None
    window, frame, bauds = said.get("window"), said.get("frame"), said.get("bauds")
    if not _whole(window, LARGEST, _MAX_WINDOW) or not _whole(frame, SMALLEST, LARGEST):
        return None
    if not isinstance(bauds, list) or len(bauds) > _MAX_BAUDS:
        return None
    if not all(_whole(baud, 1, 1 << 32) for baud in bauds):
        return None
    return Terms(window, frame, tuple(bauds))


def _whole(value: object, least: int, most: int) -> TypeGuard[int]:
    return type(value) is int and least <= value <= most
