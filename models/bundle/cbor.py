"""Deterministic CBOR (RFC 8949, 4.2.1), both ways, and nothing of CBOR that data does not need.

Reading is for bytes from anywhere: the heads are walked before ``cbor2`` builds anything, so that
no length is believed, and no tag makes it compile a pattern or raise a number to a power.
"""

from __future__ import annotations

from typing import Any

import cbor2

from models.errors import BundleError

__all__ = ["dump_cbor", "load_cbor"]

MAX_DEPTH = 16
"""Of arrays and maps; a manifest has five, and its free-form tables are for people."""

MAX_ITEMS = 30_000
"""The chunks of 512 MiB are 8192; a fault in each value would still be told in 40 MiB of memory."""

_BREAK = 31
_ARRAY, _MAP, _TAG, _SIMPLE = 4, 5, 6, 7
_CONSTANTS_AND_FLOATS = frozenset({20, 21, 22, 25, 26, 27})
"""false, true, null, and floats of 16, 32 and 64 bits."""


def dump_cbor(value: Any) -> bytes:
    """Encode: shortest forms, keys sorted, no indefinite lengths.

    All keys must be texts: then cbor2's older order of keys, shorter first, is the one of RFC 8949.
    """
    return cbor2.dumps(value, canonical=True)


def load_cbor(data: bytes) -> Any:
    """Decode one value: maps, arrays, texts, bytes, numbers, true, false and null.

    Raises
    ------
    BundleError
        It is cut off, nested too deeply, not deterministic, or holds what data does not need.
    """
    _walk(data)
    try:
        value = cbor2.loads(data)
        again = dump_cbor(value)
    except (cbor2.CBORError, ValueError, TypeError) as error:
        raise BundleError(f"is not CBOR ({error}): get it again from where it was made") from error
    if again != data:
        raise BundleError("is not deterministic CBOR: lineguard writes no other")
    return value


def _walk(data: bytes) -> None:
    """Go through the heads; ends where the first value ends, which must be the end of ``data``."""
    position = items = 0
    open_ = [1]  # how many values each array or map around this place still waits for
    while open_:
        if not open_[-1]:
            open_.pop()
            continue
        open_[-1] -= 1
        items += 1
        if items > MAX_ITEMS or len(open_) > MAX_DEPTH + 1:
            raise BundleError(
                f"holds more than {MAX_ITEMS} values or {MAX_DEPTH} levels: lineguard never does"
            )
        kind, short, argument, position = _head(data, position)
        if kind == _TAG or short == _BREAK:
            raise BundleError("holds CBOR tags or indefinite lengths: lineguard writes none")
        if kind == _SIMPLE and short not in _CONSTANTS_AND_FLOATS:
            raise BundleError("holds CBOR's simple values: lineguard writes none")
        if kind in {2, 3}:
            position += argument
        elif kind in {_ARRAY, _MAP}:
            open_.append(argument * (2 if kind == _MAP else 1))
        if position > len(data):
            raise BundleError("ends too early: it was cut off; copy it again")
    if position != len(data):
        raise BundleError("goes on behind its end: copy it again")


def _head(data: bytes, position: int) -> tuple[int, int, int, int]:
    """Major type, short count, argument, and where the head ends."""
    if position >= len(data):
        raise BundleError("ends too early: it was cut off; copy it again")
    kind, short = data[position] >> 5, data[position] & 31
    position += 1
    if short < 24 or short == _BREAK:
        return kind, short, short, position
    if short > 27:
        raise BundleError("is not CBOR (a reserved length): get it again from where it was made")
    size = 1 << (short - 24)
    argument = int.from_bytes(data[position : position + size], "big")
    return kind, short, argument, position + size
