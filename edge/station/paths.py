"""Paths in a station file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

__all__ = ["FilePath"]


def _path(path: str, info: ValidationInfo) -> str:
    """Make a path stand on its own: relative ones start at the folder of the station file."""
    if path.startswith("zoo:"):
        if not re.fullmatch(r"zoo:[a-z0-9][a-z0-9._-]*", path):
            raise ValueError("must be zoo: and a name in small letters, digits, . _ -")
        return path
    if not path.isprintable():
        raise ValueError("must not hold control characters")
    try:
        return str((info.context or {}).get("folder", Path()) / Path(path).expanduser())
    except RuntimeError as error:  # ~nobody
        raise ValueError("names the home of a user that does not exist") from error


FilePath = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_path)]
"""A path, or zoo:NAME where a model is meant."""
