"""Sparkplug B payloads: the few fields of its protocol buffers that a station needs.

Written by Eclipse Sparkplug specification 3.0, chapter 6 (payloads); field numbers are those of its
``sparkplug_b.proto``. The packages that exist want an MQTT client before paho-mqtt 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Metric", "encode_payload", "metric_names"]

UINT64, DOUBLE, BOOLEAN, STRING = 8, 10, 11, 12
"""Data types of metrics, by their numbers in the specification."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Metric:
    """One value.

    Attributes
    ----------
    name
        As the host application lists it, ``/`` between levels.
    value
        Its Python type decides the data type: UInt64, Double, Boolean, String.
    timestamp
        Milliseconds since 1970, UTC.
    historical
        Whether it is not the present value.
    """

    name: str
    value: int | float | bool | str
    timestamp: int
    historical: bool = False


def encode_payload(timestamp: int, metrics: Sequence[Metric], sequence: int | None) -> bytes:
    """A payload; ``sequence`` 0 to 255, ``None`` in a death certificate."""
    body = _number(1, timestamp) + b"".join(_bytes(2, _metric(metric)) for metric in metrics)
    return body if sequence is None else body + _number(3, sequence)


def metric_names(payload: bytes) -> dict[str, bool]:
    """Names of the metrics in a payload, and whether each is a Boolean that is true.

    Enough to obey the one command that every node must know, ``Node Control/Rebirth``. Garbage
    gives fewer names, and no error.
    """
    found: dict[str, bool] = {}
    for field, value in _fields(payload):
        if field == 2 and isinstance(value, bytes):
            inner = dict(_fields(value))
            name = inner.get(1)
            if isinstance(name, bytes):
                found[name.decode("utf-8", "replace")] = inner.get(14) == 1
    return found


def _metric(metric: Metric) -> bytes:
    value = metric.value
    encoded = _bytes(1, metric.name.encode()) + _number(3, metric.timestamp)
    if isinstance(value, bool):
        kind, data = BOOLEAN, _number(14, value)
    elif isinstance(value, int):
        kind, data = UINT64, _number(11, value)
    elif isinstance(value, float):
        kind, data = DOUBLE, _key(13, _FIXED64) + struct.pack("<d", value)
    else:
        kind, data = STRING, _bytes(15, value.encode())
    encoded += _number(4, kind)
    if metric.historical:
        encoded += _number(5, True)
    return encoded + data


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(int(value))


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(value)) + value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a message, until the end or the first garbage."""
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        wire = key & 7
        if wire == _VARINT:
            number, place = _read_varint(data, place)
            yield key >> 3, number
            continue
        if wire == _BYTES:
            size, place = _read_varint(data, place)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, len(data))
        if place + size > len(data):
            return
        yield key >> 3, data[place : place + size]
        place += size


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        value |= (data[place] & 0x7F) << shift
        place += 1
        if data[place - 1] < 0x80:
            return value, place
    return 0, len(data)  # garbage: nothing after it is read
