"""The board file of a box: what people say of it where the system is silent or wrong."""

from __future__ import annotations

from pathlib import Path

from edge.box.profile import BOARD_FILE, Override
from tools.toml_file import load_toml

__all__ = ["board_file"]


def board_file(path: Path | None = None) -> Override | None:
    """The board file that was given, else the one that the box has, if it has one.

    Raises
    ------
    ConfigError
        It holds what it must not.
    """
    usual = Path("/") / BOARD_FILE
    chosen = path or (usual if usual.is_file() else None)
    lists = {"cores": Override, "flavours": Override}
    return load_toml(chosen, Override, lists, "a board file") if chosen else None
