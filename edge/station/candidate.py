"""The station as it would be with another bundle: what a shadow judges by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.station.bundle import ActiveBundle, bundle_in, inactive_bundle
from edge.station.load import load_station
from edge.station.schema import Station
from firmware_bridge import disk
from models.bundle import ENVELOPE, FILES, PublicKey, load_trusted, open_bundle, trusted_folder
from models.errors import BundleError, ConfigError, StorageError

__all__ = ["candidate_station"]


def candidate_station(path: Path, folder: Path) -> Station:
    """The station file with the models of its shadow in place of those of the same name.

    Each has one thread, on any core: what a shadow takes is what is left.

    Parameters
    ----------
    path
        The station file; it must have a ``[shadow]``.
    folder
        Where a ``.lgb`` file is unpacked to; what lies there goes.

    Raises
    ------
    ConfigError
        The file is faulty, or its regions and rules do not fit the other bundle.
    BundleError, StorageError
        There is no other bundle, or it cannot be used.
    """
    station = load_station(path)
    table = station.shadow
    if table is None:
        raise ConfigError([f"{path}: has no [shadow]: add it"])
    root = None if station.bundle is None else Path(station.bundle.root)
    if table.bundle is not None:
        trusted = load_trusted(trusted_folder() if root is None else root / "trusted")
        other = _unpacked(Path(table.bundle), trusted, folder)
    elif root is not None:
        other = inactive_bundle(root)
    else:
        raise ConfigError([f"{path}: shadow: needs bundle, or [bundle] with its two slots"])
    shared = set(other.models) & set(station.models)
    if not shared:
        raise ConfigError(
            [f"{path}: shadow: {other.name} has none of the models {', '.join(station.models)}"]
        )
    station = load_station(path, {name: other.models[name] for name in shared})
    models = {
        name: model.model_copy(update={"threads": 1, "cores": ()})
        for name, model in station.models.items()
    }
    return station.model_copy(update={"models": models}).with_active(other)


def _unpacked(path: Path, trusted: Sequence[PublicKey], folder: Path) -> ActiveBundle:
    """Lay out a bundle as in a slot, every byte checked."""
    with open_bundle(path, trusted) as bundle:
        try:
            disk.remove(folder)
            folder.mkdir(parents=True)
            (folder / ENVELOPE).write_bytes(bundle.envelope)
            for index, entry in enumerate(bundle.manifest.files):
                target = folder / FILES / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    file.writelines(bundle.read(index))
        except BundleError:
            disk.remove(folder)
            raise
        except OSError as error:
            raise StorageError(
                f"{folder}: {path.name} cannot be unpacked ({error.strerror}): make room"
            ) from error
        return bundle_in(folder, bundle.manifest)
