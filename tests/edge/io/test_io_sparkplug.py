"""Sparkplug payloads: what protobuf reads is what was written, and garbage does no harm."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from sparkplug_lab import PAYLOAD, decode

from edge.io.sparkplug import Metric, encode_payload, metric_names

UINT64 = st.integers(0, 2**64 - 1)
METRICS = st.builds(
    Metric,
    st.text(max_size=20),
    st.one_of(st.booleans(), UINT64, st.floats(allow_nan=False), st.text(max_size=300)),
    UINT64,
    st.booleans(),
)
FIELD = {bool: "boolean_value", int: "long_value", float: "double_value", str: "string_value"}
KIND = {bool: 11, int: 8, float: 10, str: 12}


@given(UINT64, st.lists(METRICS, max_size=5), st.none() | st.integers(0, 255))
@settings(deadline=None)
def test_protobuf_reads_what_was_written(
    timestamp: int, metrics: list[Metric], sequence: int | None
) -> None:
    payload = decode(encode_payload(timestamp, metrics, sequence))
    assert payload.timestamp == timestamp
    assert (payload.seq if payload.HasField("seq") else None) == sequence
    assert len(payload.metrics) == len(metrics)
    for found, metric in zip(payload.metrics, metrics, strict=True):
        assert (found.name, found.timestamp) == (metric.name, metric.timestamp)
        assert found.is_historical == metric.historical
        assert found.datatype == KIND[type(metric.value)]
        assert getattr(found, FIELD[type(metric.value)]) == metric.value


@given(st.lists(METRICS, max_size=5))
@settings(deadline=None)
def test_names_are_read_from_what_protobuf_has_written(metrics: list[Metric]) -> None:
    payload = PAYLOAD.FromString(encode_payload(1, metrics, 2))
    expected = {metric.name: metric.value is True for metric in metrics}
    assert metric_names(payload.SerializeToString()) == expected


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_garbage_gives_no_error(data: bytes) -> None:
    assert isinstance(metric_names(data), dict)
    assert isinstance(metric_names(encode_payload(1, [Metric("a", data.hex(), 1)], 0)[:-3]), dict)
