"""Image files that a command is given, and those that it writes."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path

__all__ = ["free_name", "image_files"]


def free_name(stem: str, ending: str, taken: set[str]) -> str:
    """A name for a drawn image that no other of this run has; images of two folders may share."""
    ways = (f"{stem}{way}{ending}" for way in chain([""], (f"-{n}" for n in count(2))))
    name = next(way for way in ways if way not in taken)
    taken.add(name)
    return name


def image_files(given: list[Path]) -> list[Path]:
    """The files that were named, folders opened up; ``InputError`` for an empty folder."""
    from models.errors import InputError
    from models.images import IMAGE_SUFFIXES

    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not inside:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"{path}: no images in this folder: it should hold {kinds}")
        files += inside
    return files
