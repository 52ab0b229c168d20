"""The signature: what is signed, whose counts, and what is no envelope."""

import base64
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from bundle_lab import make_key, make_manifest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Manifest, read_envelope, sign, verify_envelope
from models.errors import BundleError, UntrustedError

KEY, OTHER = make_key(1), make_key(2)
MANIFEST = make_manifest()
ENVELOPE = sign(MANIFEST, KEY)
TYPE = "application/vnd.lineguard.manifest.v1+cbor"


def pae(payload: bytes, kind: str = TYPE) -> bytes:
    """DSSE 1.0, "Signature Definition", as its document has it."""
    return b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload]
    )


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    table = json.loads(ENVELOPE)
    change(table)
    return json.dumps(table).encode()


def test_what_is_signed_is_what_dsse_says() -> None:
    table = json.loads(ENVELOPE)
    assert set(table) == {"payload", "payloadType", "signatures"}
    payload = base64.b64decode(table["payload"])
    assert payload == MANIFEST.to_cbor()
    (signature,) = table["signatures"]
    assert signature["keyid"] == KEY.public.id
    raw = base64.b64decode(signature["sig"])
    KEY.key.public_key().verify(raw, pae(payload))  # cryptography's own
    assert raw == KEY.key.sign(pae(payload))


def test_the_same_each_time() -> None:
    assert sign(make_manifest(), make_key(1)) == ENVELOPE


def test_one_trusted_signature_is_enough() -> None:
    public = [OTHER.public, KEY.public]
    assert verify_envelope(ENVELOPE, public) == MANIFEST
    (theirs,) = json.loads(sign(MANIFEST, OTHER))["signatures"]
    both = changed(lambda table: table["signatures"].insert(0, theirs))
    assert verify_envelope(both, [KEY.public]) == verify_envelope(both, [OTHER.public]) == MANIFEST
    assert read_envelope(both).signers == (OTHER.public.id, KEY.public.id)
    assert read_envelope(both).payload == MANIFEST.to_cbor()


def test_a_wrong_signature_beside_a_right_one_does_not_count() -> None:
    wrong = {"keyid": OTHER.public.id, "sig": base64.b64encode(bytes(64)).decode()}
    both = changed(lambda table: table["signatures"].insert(0, wrong))
    assert verify_envelope(both, [OTHER.public, KEY.public]) == MANIFEST
    with pytest.raises(UntrustedError, match="altered"):
        verify_envelope(both, [OTHER.public])


@pytest.mark.parametrize("trusted", [[], [OTHER.public]])
def test_a_strangers_signature(trusted: list[Any]) -> None:
    with pytest.raises(UntrustedError, match=rf"{KEY.public.id[:12]}….*lineguard keys trust"):
        verify_envelope(ENVELOPE, trusted)


def test_a_strangers_signature_under_a_trusted_name() -> None:
    table = json.loads(sign(MANIFEST, OTHER))
    table["signatures"][0]["keyid"] = KEY.public.id
    with pytest.raises(UntrustedError, match="was altered"):
        verify_envelope(json.dumps(table).encode(), [KEY.public])


def test_another_payload_under_a_good_signature() -> None:
    newer = base64.b64encode(make_manifest(counter=2).to_cbor()).decode()
    with pytest.raises(UntrustedError, match="was altered"):
        verify_envelope(changed(lambda table: table.update(payload=newer)), [KEY.public])


def test_what_is_not_a_manifest_is_no_manifest_however_well_it_is_signed() -> None:
    payload = b"\xa0"
    signature = base64.b64encode(KEY.key.sign(pae(payload))).decode()
    table = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": TYPE,
        "signatures": [{"keyid": KEY.public.id, "sig": signature}],
    }
    with pytest.raises(BundleError, match="manifest: name: Field required"):
        verify_envelope(json.dumps(table).encode(), [KEY.public])


def test_the_signature_is_checked_before_the_manifest_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(data: bytes) -> Manifest:
        raise AssertionError("read before it was verified")

    monkeypatch.setattr(Manifest, "from_cbor", read)
    with pytest.raises(UntrustedError):
        verify_envelope(ENVELOPE, [OTHER.public])


def many(count: int) -> list[dict[str, str]]:
    return [{"keyid": f"{n:064x}", "sig": "AA=="} for n in range(count)]


SIGNATURE = json.loads(ENVELOPE)["signatures"][0]

MALFORMED = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "a list": b"[]",
    "null": b"null",
    "not ASCII": changed(lambda table: table.update(payload="é")).replace(b"\\u00e9", b"\xc3\xa9"),
    "another type": changed(lambda table: table.update(payloadType="application/json")),
    "no type": changed(lambda table: table.pop("payloadType")),
    "a type that is a list": changed(lambda table: table.update(payloadType=[])),
    "no payload": changed(lambda table: table.pop("payload")),
    "a payload that is null": changed(lambda table: table.update(payload=None)),
    "a payload that is no base64": changed(lambda table: table.update(payload="*")),
    "a field more": changed(lambda table: table.update(extra="x")),
    "no signatures": changed(lambda table: table.update(signatures=[])),
    "signatures in a table": changed(lambda table: table.update(signatures={})),
    "a signature that is a text": changed(lambda table: table.update(signatures=["x"])),
    "a signature without a key id": changed(lambda table: table["signatures"][0].pop("keyid")),
    "a signature with more": changed(lambda table: table["signatures"][0].update(cert="x")),
    "a signature that is no base64": changed(lambda table: table["signatures"][0].update(sig="*")),
    "an endless key id": changed(lambda table: table["signatures"][0].update(keyid="a" * 10**6)),
    "one key twice": changed(lambda table: table["signatures"].append(SIGNATURE)),
    "17 signatures": changed(lambda table: table.update(signatures=many(17))),
    "10,000 signatures": changed(lambda table: table.update(signatures=many(10_000))),
    "payload twice": ENVELOPE.replace(b'{"payload"', b'{"payload":"AA==","payload"'),
    "a number": ENVELOPE.replace(b'{"payload"', b'{"x":1,"payload"'),
    "a number of a million digits": b"1" * 1_000_000,
    "a power": b"1e999999999",
    "not a number": b"NaN",
    "deep lists": b"[" * 4_000_000,
    "deep tables": b'{"a":' * 800_000,
    "a million lists": b"[" + b"[]," * 1_000_000 + b"[]]",
    "a million texts": b"[" + b'"",' * 1_000_000 + b'""]',
    "too large": b" " * (4 * 2**20) + ENVELOPE,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(case: str) -> None:
    tracemalloc.start()
    begin = time.process_time()
    try:
        for read in (read_envelope, lambda data: verify_envelope(data, [KEY.public])):
            with pytest.raises(BundleError, match=r"^manifest\.dsse: .*get the bundle again") as no:
                read(MALFORMED[case])
            assert not isinstance(no.value, UntrustedError)
            assert "\n" not in str(no.value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - begin < 1
    assert peak < 20 * 2**20


def test_sixteen_signatures_are_not_too_many() -> None:
    table = changed(lambda table: table["signatures"].extend(many(15)))
    assert verify_envelope(table, [KEY.public]) == MANIFEST


def test_cut_off_anywhere() -> None:
    for end in range(len(ENVELOPE)):
        with pytest.raises(BundleError):
            verify_envelope(ENVELOPE[:end], [KEY.public])


def test_one_bit_anywhere() -> None:
    refused = 0
    for place in range(len(ENVELOPE)):
        for bit in (1, 32):  # another letter; the same in the other case
            data = bytearray(ENVELOPE)
            data[place] ^= bit
            try:
                # The last letter of base64 has bits that say nothing.
                assert verify_envelope(bytes(data), [KEY.public]) == MANIFEST
            except BundleError:
                refused += 1
    assert refused >= 2 * len(ENVELOPE) - 4


@settings(max_examples=300)
@given(st.data())
def test_no_change_of_any_bytes_makes_another_manifest(data: st.DataObject) -> None:
    altered = bytearray(ENVELOPE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(altered)))
        end = data.draw(st.integers(start, min(len(altered), start + 40)))
        altered[start:end] = data.draw(st.binary(max_size=20) | st.sampled_from([b"{", b",", b'"']))
    try:
        assert verify_envelope(bytes(altered), [KEY.public]) == MANIFEST
    except BundleError as error:
        told = str(error)
    else:
        told = "one line"
    assert "\n" not in told
