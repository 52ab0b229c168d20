"""Deterministic CBOR: what is written, and that nothing else is read."""

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle import dump_cbor, load_cbor
from models.errors import BundleError

# RFC 8949, appendix A; those of its examples that are deterministic and data.
APPENDIX = [
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1000, "3903e7"),
    (0.0, "f90000"),
    (-0.0, "f98000"),
    (1.1, "fb3ff199999999999a"),
    (65504.0, "f97bff"),
    (100000.0, "fa47c35000"),
    (1.0e300, "fb7e37e43c8800759c"),
    (5.960464477539063e-8, "f90001"),
    (float("inf"), "f97c00"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("IETF", "6449455446"),
    ("水", "63e6b0b4"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
]

HOSTILE = {
    "empty": "",
    "cut off in a head": "1b0000",
    "cut off in a text": "6461",
    "cut off in an array": "8201",
    "goes on": "0000",
    "longer than needed": "1817",
    "a float too wide": "fb3ff0000000000000",
    "keys not sorted": "a2616201616101",
    "a key twice": "a2616101616102",
    "indefinite array": "9f01ff",
    "indefinite text": "7f6161ff",
    "break alone": "ff",
    "reserved length": "1c",
    "tag: time": "c100",
    "tag: big number": "c249010000000000000000",
    "tag: pattern": "d823" + "6b" + b"(a+)+$aaaaa".hex(),
    "tag: a number to a power": "c5821b7fffffffffffffff03",
    "tag: shared": "d81c81d81d00",
    "undefined": "f7",
    "simple value": "f8ff",
    "not UTF-8": "62c328",
    "a NaN of many": "f97e01",
    "huge bytes": "5bffffffffffffffff",
    "huge text": "7b7fffffffffffffff",
    "huge array": "9bffffffffffffffff",
    "huge map": "bbffffffffffffffff",
    "huge array, begun": "9b00000000ffffffff" + "00" * 100,
    "deep arrays": "81" * 100_000,
    "deep maps": "a100" * 100_000,
    "seventeen levels": "81" * 17 + "00",
    "too many values": "9a000f4240" + "00" * 1_000_000,
}


@pytest.mark.parametrize(("value", "written"), APPENDIX)
def test_writes_and_reads_the_examples_of_the_rfc(value: Any, written: str) -> None:
    assert dump_cbor(value).hex() == written
    assert repr(load_cbor(bytes.fromhex(written))) == repr(value)


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses(case: str) -> None:
    data = bytes.fromhex(HOSTILE[case])
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(BundleError) as caught:
            load_cbor(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 1
    assert peak < 8 * 2**20
    assert "\n" not in str(caught.value)


def test_keys_are_sorted_by_their_bytes() -> None:
    value = {"z": 0, "aa": 1, "b": 2, "a" * 24: 3, "a" * 300: 4, "": 5}
    written = dump_cbor(value)
    keys = [dump_cbor(key) for key in load_cbor(written)]
    assert keys == sorted(keys)
    assert len(keys) == 6


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@given(DATA)
def test_all_data_comes_back_in_one_form(value: Any) -> None:
    written = dump_cbor(value)
    again = load_cbor(written)
    assert dump_cbor(again) == written
    if value == value and "nan" not in repr(value):
        assert again == value


@given(DATA)
def test_cut_off_anywhere_is_refused(value: Any) -> None:
    written = dump_cbor(value)
    for end in range(len(written)):
        with pytest.raises(BundleError):
            load_cbor(written[:end])


@given(st.binary(max_size=64))
def test_any_bytes_are_read_as_they_would_be_written_or_refused(data: bytes) -> None:
    try:
        value = load_cbor(data)
    except BundleError:
        return
    assert dump_cbor(value) == data
