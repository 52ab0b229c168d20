"""Sparkplug payloads read by Google's protobuf: independent of what wrote them."""

from __future__ import annotations

from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

OPTIONAL, REPEATED = 1, 3
BOOL, BYTES, DOUBLE, FLOAT, MESSAGE, STRING, UINT32, UINT64 = 8, 12, 1, 2, 11, 9, 13, 4

METRIC = [
    ("name", 1, STRING), ("alias", 2, UINT64), ("timestamp", 3, UINT64), ("datatype", 4, UINT32),
    ("is_historical", 5, BOOL), ("is_transient", 6, BOOL), ("is_null", 7, BOOL),
    ("int_value", 10, UINT32), ("long_value", 11, UINT64), ("float_value", 12, FLOAT),
    ("double_value", 13, DOUBLE), ("boolean_value", 14, BOOL), ("string_value", 15, STRING),
    ("bytes_value", 16, BYTES),
]  # fmt: skip


def _payload_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="sparkplug_lab.proto", package="lab", syntax="proto2"
    )
    metric = file.message_type.add(name="Metric")
    for name, number, kind in METRIC:
        metric.field.add(name=name, number=number, type=kind, label=OPTIONAL)
    payload = file.message_type.add(name="Payload")
    payload.field.add(name="timestamp", number=1, type=UINT64, label=OPTIONAL)
    payload.field.add(
        name="metrics", number=2, type=MESSAGE, label=REPEATED, type_name=".lab.Metric"
    )
    payload.field.add(name="seq", number=3, type=UINT64, label=OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("lab.Payload"))


PAYLOAD = _payload_class()


def decode(data: bytes) -> Any:
    """A payload; the fields are those of ``sparkplug_b.proto``. Unknown fields are a fault."""
    payload = PAYLOAD.FromString(data)
    assert payload.SerializeToString(deterministic=True)
    return payload
