"""The secret that whatever changes something needs."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

from models.errors import ConfigError, StorageError

__all__ = ["matches", "new_token", "read_token"]

BYTES = 32
"""Of randomness: nobody guesses one in the age of the universe, so guesses need no counting."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]{32,128}")


def new_token() -> str:
    """A secret that nobody has."""
    return secrets.token_urlsafe(BYTES)


def read_token(path: Path) -> str:
    """The token in a file, which is made if it is missing, readable by its owner alone.

    Raises
    ------
    ConfigError
        Others may read the file, or it holds no token.
    StorageError
        It cannot be made.
    """
    if path.exists():
        return _existing(path)
    token = new_token()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w") as file:  # 0600: mkstemp sees to that
                file.write(token + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # whole or absent, and never in place of another's
        finally:
            os.unlink(temporary)
    except FileExistsError:
        return _existing(path)
    except OSError as error:
        raise StorageError(
            f"{path}: the token cannot be written ({error.strerror}): "
            "choose another token_file in [display]"
        ) from error
    return token


def matches(given: str, token: str) -> bool:
    """Whether it is the token; takes as long whatever of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _existing(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would make us wait for ever
            raise ConfigError([f"{path}: is no file: choose another token_file in [display]"])
        with path.open("rb") as file:
            text = file.read(1024).decode("ascii", "replace").strip()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}): delete it"]) from error
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError([f"{path}: others may read the token: chmod 600 {path}"])
    if not _SHAPE.fullmatch(text):
        raise ConfigError([f"{path}: holds no token: delete it, and a new one is made"])
    return text
