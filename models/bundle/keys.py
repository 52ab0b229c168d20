"""Ed25519 keys: whose signature a bundle bears, and whose is trusted.

Private keys are PEM files (PKCS #8) that only their owner may read; public ones are PEM files
``KEYID.pub``, and a folder of them is whom somebody trusts.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from models.atomic import write_atomic
from models.errors import BundleError, StorageError

__all__ = [
    "PrivateKey",
    "PublicKey",
    "load_private",
    "load_public",
    "load_trusted",
    "new_key",
    "trust",
    "trusted_folder",
]

MAX_BYTES = 16 * 1024
"""Of a PEM file; an Ed25519 key takes 120 bytes."""

MAX_TRUSTED = 256
"""Files of a trust folder that are looked at."""


@dataclass(frozen=True)
class PublicKey:
    """What a signature is checked with.

    Attributes
    ----------
    raw
        The 32 bytes of the key (RFC 8032).
    """

    raw: bytes

    @property
    def id(self) -> str:
        """sha256 of the key, hex."""
        return hashlib.sha256(self.raw).hexdigest()

    def pem(self) -> bytes:
        """The key as a PEM file."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class PrivateKey:
    """What signs bundles. Never printed."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The other half, for everybody."""
        return PublicKey(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def new_key(path: Path) -> PrivateKey:
    """Make a key pair: ``path`` for its owner alone, and beside it ``path`` with ``.pub`` for all.

    Raises
    ------
    StorageError
        One of the two files exists already, or cannot be written: then neither is.
    """
    private = PrivateKey(Ed25519PrivateKey.generate())
    pem = private.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = path.with_suffix(".pub")
    if public == path:
        raise StorageError(f"{path}: is the name of a public key: name it {path.stem}.key")
    _write_new(path, pem, 0o600)
    try:
        _write_new(public, private.public.pem(), 0o644)
    except StorageError:
        path.unlink()
        raise
    return private


def load_private(path: Path) -> PrivateKey:
    """Read a private key; ``BundleError`` if it is missing or is none."""
    data = _read(path)
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BundleError(
            f"{path}: is no private key without a passphrase: make one with `lineguard keys new`"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(f"{path}: is no Ed25519 key: make one with `lineguard keys new`")
    return PrivateKey(key)


def load_public(path: Path) -> PublicKey:
    """Read a public key; ``BundleError`` if it is missing or is none."""
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise BundleError(f"{path}: is a private key, which nobody else may have: name its .pub")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(f"{path}: is no public key: name the .pub of a key pair") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path}: is no Ed25519 key: name the .pub that `keys new` has written")
    return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def load_trusted(folder: Path) -> tuple[PublicKey, ...]:
    """The keys of a trust folder, by id; none if there is no such folder.

    A file that is no public key, or has another key's name, is nobody's key: a copy that was cut
    off must not keep a box from verifying what the other keys have signed.
    """
    found = []
    for path in sorted(folder.glob("*.pub"))[:MAX_TRUSTED]:
        try:
            key = load_public(path)
        except BundleError:
            continue
        if key.id == path.stem:
            found.append(key)
    return tuple(found)


def trust(key: PublicKey, folder: Path) -> Path:
    """Add a key to a trust folder; gives its file. ``StorageError`` if that fails."""
    path = folder / f"{key.id}.pub"
    write_atomic(path, key.pem())
    return path


def trusted_folder() -> Path:
    """Whom this user trusts: ``lineguard/trusted`` in the folder of configurations."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "lineguard" / "trusted"


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe would make us wait for ever
            raise BundleError(f"{path}: no such key file: make one with `lineguard keys new`")
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise BundleError(
            f"{path}: cannot be read ({error.strerror}): check who may read it"
        ) from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet; nobody else can read it at any moment."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise StorageError(
            f"{path}: exists already, and a key is never overwritten: choose another name"
        ) from error
    except OSError as error:
        raise _failed(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # whatever the umask has taken
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _failed(path, error) from error


def _failed(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: cannot be written ({error.strerror}): free some space or choose another folder"
    )
