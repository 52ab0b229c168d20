"""Passwords and keys stand in files of their own: a station file can be shown to anybody."""

from __future__ import annotations

from pathlib import Path

from models.errors import InputError

__all__ = ["read_secret"]

MAX_BYTES = 4096
"""No password or key is longer; somebody has named a wrong file."""


def read_secret(path: str) -> str:
    """What a file holds, without the white space around it.

    Raises
    ------
    InputError
        It cannot be read, is empty, or is no text.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode().strip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}: may this user?") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text: a password or key is wanted") from error
    if not text or len(data) > MAX_BYTES:
        size = "is too large" if text else "is empty"
        raise InputError(f"{path}: {size}: a password or key is wanted")
    return text
