"""The signature around a manifest: a DSSE envelope (secure-systems-lab, DSSE 1.0) in JSON.

A signature is checked before anything that it covers is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import (  # type: ignore[attr-defined]  # they are not in its __all__
    CryptoSigner,
    Key,
    SSlibKey,
)

from models.bundle.keys import PrivateKey, PublicKey
from models.bundle.manifest import Manifest
from models.errors import BundleError, UntrustedError

__all__ = ["MAX_ENVELOPE", "PAYLOAD_TYPE", "Signed", "read_envelope", "sign", "verify_envelope"]

PAYLOAD_TYPE = "application/vnd.lineguard.manifest.v1+cbor"

MAX_ENVELOPE = 4 * 2**20
"""Bytes."""

MAX_SIGNATURES = 16
"""On one envelope: a line has fewer people who may sign."""

_KEYS = {"payload", "payloadType", "signatures"}


@dataclass(frozen=True)
class Signed:
    """What an envelope holds, before anybody has checked a signature.

    Attributes
    ----------
    payload
        CBOR of the manifest.
    signers
        Ids of the keys that are said to have signed.
    """

    payload: bytes
    signers: tuple[str, ...]


def sign(manifest: Manifest, key: PrivateKey) -> bytes:
    """The envelope of a manifest: the same each time, for Ed25519 signs without chance."""
    signed = Dsse(manifest.to_cbor(), PAYLOAD_TYPE, {})
    signed.sign(CryptoSigner(key.key, _sslib(key.public)))
    return json.dumps(signed.to_dict(), separators=(",", ":"), sort_keys=True).encode()


def verify_envelope(envelope: bytes, trusted: Sequence[PublicKey]) -> Manifest:
    """Check the signature, then read what it covers.

    Raises
    ------
    UntrustedError
        None of the trusted keys has signed it.
    BundleError
        It is malformed.
    """
    dsse = _parse(envelope)
    keys: list[Key] = [_sslib(key) for key in trusted if key.id in dsse.signatures]
    try:
        dsse.verify(keys, 1)
    except (ValueError, VerificationError) as error:  # ValueError: there is no key at all
        signers = ", ".join(f"{each[:12]}…" for each in dsse.signatures) or "nobody"
        if keys:
            reason = f"the signature of {signers} is wrong: it was altered; get it again"
        else:
            reason = f"signed by {signers}, whom nobody here trusts: see `lineguard keys trust`"
        raise UntrustedError(f"manifest.dsse: {reason}") from error
    return Manifest.from_cbor(dsse.payload)


def read_envelope(envelope: bytes) -> Signed:
    """Open an envelope without asking who signed it: to look at, never to install.

    Raises
    ------
    BundleError
        It is malformed.
    """
    dsse = _parse(envelope)
    return Signed(dsse.payload, tuple(dsse.signatures))


def _parse(envelope: bytes) -> Dsse:
    if len(envelope) > MAX_ENVELOPE:
        raise _malformed(f"is larger than {MAX_ENVELOPE // 2**20} MiB")
    # None of these stands inside base64 or a key id: so many values there are, and no more.
    if sum(envelope.count(mark) for mark in (b"{", b"[", b",")) > 4 + 3 * MAX_SIGNATURES:
        raise _malformed(f"holds more than {MAX_SIGNATURES} signatures, or something else")
    try:
        table = json.loads(
            envelope.decode("ascii"),
            object_pairs_hook=_once,
            parse_int=_no_number,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:
        raise _malformed("is not JSON, or cut off") from error
    if not _is_dsse(table):
        raise _malformed("is no DSSE envelope")
    if table["payloadType"] != PAYLOAD_TYPE:
        raise _malformed(f"holds no manifest that this version of lineguard knows ({PAYLOAD_TYPE})")
    try:
        return Dsse.from_dict(table)
    except ValueError as error:  # not base64, or one key twice
        raise _malformed("has a payload or a signature that cannot be decoded") from error


def _is_dsse(table: Any) -> bool:
    """Whether it has the fields that it must have, all of them texts, and no others."""
    if not isinstance(table, dict) or set(table) != _KEYS:
        return False
    signatures = table["signatures"]
    return (
        isinstance(table["payload"], str)
        and isinstance(signatures, list)
        and 0 < len(signatures) <= MAX_SIGNATURES
        and all(
            isinstance(each, dict)
            and set(each) == {"keyid", "sig"}
            and all(isinstance(value, str) and 0 < len(value) <= 128 for value in each.values())
            for each in signatures
        )
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key stands there twice")
    return table


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"there is no number in an envelope: {text[:20]}")


def _sslib(key: PublicKey) -> SSlibKey:
    return SSlibKey(key.id, "ed25519", "ed25519", {"public": key.raw.hex()})


def _malformed(reason: str) -> BundleError:
    return BundleError(f"manifest.dsse: {reason}: get the bundle again from where it was made")
