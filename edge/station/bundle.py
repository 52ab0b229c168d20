"""Models that a bundle brings: what the active slot of the box holds, as tables of a station."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_bridge.slots import Slots
from firmware_bridge.state import Letter
from models.bundle import FILES, Golden, Manifest, manifest_id, model_paths
from models.errors import BundleError

__all__ = ["ActiveBundle", "BundleName", "active_bundle", "bundle_in", "inactive_bundle"]


@dataclass(frozen=True)
class BundleName:
    """Which bundle models come from.

    Attributes
    ----------
    name, version
        As its manifest says.
    manifest
        sha256 of the manifest, 64 hex digits: everything in the bundle hangs on it.
    """

    name: str
    version: str
    manifest: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class ActiveBundle:
    """The bundle in the active slot, its signature checked.

    Attributes
    ----------
    name
        Which one.
    files
        Folder of its payload.
    models
        Tables as in ``station.toml``, their paths made absolute.
    golden
        Pictures of the payload, and what must be found on them.
    """

    name: BundleName
    files: Path
    models: Mapping[str, Mapping[str, Any]]
    golden: tuple[Golden, ...]


def active_bundle(root: Path) -> ActiveBundle:
    """Open the bundle that a box runs.

    The files are not compared with their hashes: the agent does so whenever it starts, and before
    it makes a slot active.

    Parameters
    ----------
    root
        Folder of ``lineguard agent``.

    Raises
    ------
    BundleError
        There is none, or what lies there is not what ``state.json`` names.
    StorageError
        ``state.json`` cannot be read.
    """
    if not root.is_dir():
        raise BundleError("does not exist: start `lineguard agent` there, and flash a bundle")
    slots = Slots(root)
    state = slots.state
    if state.active is None:
        raise BundleError("holds no confirmed bundle yet: flash one with `lineguard flash`")
    return _slot(slots, state.active)


def inactive_bundle(root: Path) -> ActiveBundle:
    """Open the bundle in the other slot: its predecessor, or one that was flashed and waits.

    Raises
    ------
    BundleError, StorageError
        As :func:`active_bundle`.
    """
    slots = Slots(root)
    state = slots.state
    if not state.slots[state.idle].complete:
        raise BundleError(f"{root}: holds no second bundle: flash one with `lineguard flash`")
    return _slot(slots, state.idle)


def _slot(slots: Slots, letter: Letter) -> ActiveBundle:
    return bundle_in(slots.root / letter, slots.manifest(letter))


def bundle_in(folder: Path, manifest: Manifest) -> ActiveBundle:
    """The bundle that lies in ``folder`` as slots hold it; its signature must be checked."""
    files = folder / FILES
    models = {
        name: table | {key: str(files / str(path)) for key, path in model_paths(table).items()}
        for name, table in manifest.models.items()
    }
    held = manifest_id(manifest.to_cbor())
    return ActiveBundle(
        BundleName(manifest.name, manifest.version, held), files, models, manifest.golden
    )
