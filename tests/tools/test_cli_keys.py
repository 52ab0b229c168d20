"""Making keys and trusting them, as a user does."""

import stat
from pathlib import Path

from bundle_lab import make_key
from cli_lab import lineguard, refused


def test_new_and_trust(tmp_path: Path) -> None:
    made = lineguard("keys", "new", "factory.key", cwd=tmp_path)
    assert (made.code, made.err) == (0, "")
    name = made.out.split()[1]
    assert "factory.key (keep it), public: factory.pub (give it away)" in made.out
    assert stat.S_IMODE((tmp_path / "factory.key").stat().st_mode) == 0o600
    done = lineguard("keys", "trust", "factory.pub", "--trusted", "box/trusted", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    kept = tmp_path / "box" / "trusted" / f"{name}.pub"
    assert kept.read_bytes() == (tmp_path / "factory.pub").read_bytes()
    assert "PRIVATE" not in made.out + done.out


def test_a_users_own_folder(tmp_path: Path) -> None:
    made = lineguard("keys", "new", "a.key", "--json", cwd=tmp_path).json
    assert made == {"id": made["id"], "private": "a.key", "public": "a.pub"}
    config = str(tmp_path / "config")
    done = lineguard("keys", "trust", "a.pub", "--json", cwd=tmp_path, XDG_CONFIG_HOME=config)
    kept = tmp_path / "config" / "lineguard" / "trusted" / f"{made['id']}.pub"
    assert done.json == {"id": made["id"], "file": str(kept)}
    assert kept.is_file()


def test_refusals_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.key").write_text("mine")
    (tmp_path / "public.pub").write_bytes(make_key().public.pem())
    (error,) = refused("keys", "new", "mine.key", cwd=tmp_path, code=3)
    assert error == "mine.key: exists already, and a key is never overwritten: choose another name"
    for path, words in {
        "mine.key": "is no public key",
        "none.pub": "no such key file",
        ".": "no such key file",
    }.items():
        (error,) = refused("keys", "trust", path, "--trusted", "t", cwd=tmp_path)
        assert words in error
    lineguard("keys", "new", "other.key", cwd=tmp_path)
    (error,) = refused("keys", "trust", "other.key", "--trusted", "t", cwd=tmp_path)
    assert error.startswith("other.key: is a private key")
