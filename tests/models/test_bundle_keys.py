"""Key pairs: who may read them, what is no key, whom a folder of them trusts."""

import base64
import hashlib
import os
import stat
from pathlib import Path

import pytest
from bundle_lab import make_key
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from models.bundle import load_private, load_public, load_trusted, new_key, trust, trusted_folder
from models.errors import BundleError, StorageError

EC = generate_private_key(SECP256R1())
PEM, PKCS8 = Encoding.PEM, PrivateFormat.PKCS8
ENCRYPTED = Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, BestAvailableEncryption(b"x"))

NO_PRIVATE_KEY = {
    "empty": b"",
    "noise": bytes(range(256)),
    "public": make_key().public.pem(),
    "another kind": EC.private_bytes(PEM, PKCS8, NoEncryption()),
    "encrypted": ENCRYPTED,
    "cut off": make_key().key.private_bytes(PEM, PKCS8, NoEncryption())[:60],
}

NO_PUBLIC_KEY = {
    "empty": b"",
    "noise": bytes(range(256)),
    "private": make_key().key.private_bytes(PEM, PKCS8, NoEncryption()),
    "another kind": EC.public_key().public_bytes(PEM, PublicFormat.SubjectPublicKeyInfo),
    "cut off": make_key().public.pem()[:60],
}


@pytest.fixture
def wide_umask() -> object:
    old = os.umask(0)
    yield None
    os.umask(old)


@pytest.mark.usefixtures("wide_umask")
def test_a_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = new_key(tmp_path / "keys" / "factory.key")
    private, public = tmp_path / "keys" / "factory.key", tmp_path / "keys" / "factory.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert load_private(private).public == load_public(public) == made.public
    assert new_key(tmp_path / "other.key").public != made.public
    assert "key=" not in repr(made)


def test_the_id_is_the_hash_of_the_32_bytes() -> None:
    # RFC 8032, 7.1, test 1: the public key that belongs to this seed.
    seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    public = make_key(int(seed, 16)).public
    assert public.raw == raw
    assert public.id == hashlib.sha256(raw).hexdigest()
    body = b"".join(public.pem().splitlines()[1:-1])
    assert base64.b64decode(body)[-32:] == raw


@pytest.mark.parametrize("name", ["factory.key", "factory.pub"])
def test_no_key_is_ever_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(StorageError, match=rf"{name}: exists already.*choose another name"):
        new_key(tmp_path / "factory.key")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_private_key_is_not_named_like_a_public_one(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"name it factory.key"):
        new_key(tmp_path / "factory.pub")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_way_to_write_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "factory.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError):
        new_key(tmp_path / "factory.key")
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_leaves_no_half_key() -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        new_key(Path("/proc/nowhere/factory.key"))


@pytest.mark.parametrize("case", NO_PRIVATE_KEY)
def test_what_is_no_private_key(case: str, tmp_path: Path) -> None:
    (tmp_path / "x.key").write_bytes(NO_PRIVATE_KEY[case])
    with pytest.raises(BundleError, match=r"x\.key: .*lineguard keys new"):
        load_private(tmp_path / "x.key")


@pytest.mark.parametrize("case", NO_PUBLIC_KEY)
def test_what_is_no_public_key(case: str, tmp_path: Path) -> None:
    (tmp_path / "x.pub").write_bytes(NO_PUBLIC_KEY[case])
    with pytest.raises(BundleError, match=r"x\.pub: .*name (its|the) \.pub"):
        load_public(tmp_path / "x.pub")


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "pipe"):
        with pytest.raises(BundleError, match="no such key file"):
            load_private(path)
        with pytest.raises(BundleError, match="no such key file"):
            load_public(path)


def test_a_folder_of_keys_is_whom_somebody_trusts(tmp_path: Path) -> None:
    keys = sorted((make_key(seed).public for seed in range(1, 4)), key=lambda key: key.id)
    for key in reversed(keys):
        assert trust(key, tmp_path / "trusted") == tmp_path / "trusted" / f"{key.id}.pub"
    trust(keys[0], tmp_path / "trusted")
    assert list(load_trusted(tmp_path / "trusted")) == keys
    assert load_trusted(tmp_path / "none") == ()


def test_what_is_no_key_of_its_name_is_nobodys(tmp_path: Path) -> None:
    good, other = make_key(1).public, make_key(2).public
    trust(good, tmp_path)
    (tmp_path / f"{other.id}.pub").write_bytes(good.pem())
    (tmp_path / "friend.pub").write_bytes(other.pem())
    (tmp_path / f"{'0' * 64}.pub").write_bytes(other.pem()[:50])
    (tmp_path / f"{other.id}.txt").write_bytes(other.pem())
    (tmp_path / "folder.pub").mkdir()
    os.mkfifo(tmp_path / "pipe.pub")
    assert load_trusted(tmp_path) == (good,)


def test_where_a_user_keeps_whom_he_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert trusted_folder() == tmp_path / "lineguard" / "trusted"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert trusted_folder() == tmp_path / ".config" / "lineguard" / "trusted"
