"""From a spec to a bundle: finds out what the models find, gathers the files, signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from edge.families import Inspector, open_inspector
from edge.station.schema import Model, PpocrModel, Region
from models.bundle import (
    MODEL_FILES,
    Bounds,
    ExpectedDefect,
    Facts,
    Manifest,
    PrivateKey,
    create_bundle,
    file_entry,
)
from models.errors import BundleError, ImageError, InputError
from models.images import IMAGE_SUFFIXES, load_image
from models.ppyoloe.config import sidecar
from models.stopwatch import Stopwatch
from models.zoo import resolve
from tools.bundle_spec import Picture, Spec
from tools.cli.files import free_name

__all__ = ["expect", "make_bundle", "pictures_in"]

MAX_FILE = 512 * 2**20
"""Bytes; a larger file is refused unread, for the whole bundle may have no more."""


def pictures_in(folder: Path, models: Mapping[str, Model]) -> list[Picture]:
    """The pictures of a folder; if there are several models, of its folders of their names.

    Raises
    ------
    InputError
        There are none.
    """
    folders = {name: folder / name if len(models) > 1 else folder for name in models}
    found = [
        Picture(image=str(path), model=name, mode=_mode(models[name]))
        for name, inside in folders.items()
        for path in sorted(inside.iterdir() if inside.is_dir() else ())
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not found:
        where = " or ".join(str(inside) for inside in folders.values())
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{where}: no pictures there: put some in, {kinds}")
    return found


def _mode(model: Model) -> Literal["page", "label"]:
    return "label" if isinstance(model, PpocrModel) and model.det is None else "page"


def expect(models: Mapping[str, Model], pictures: Iterable[Picture]) -> list[Picture]:
    """Let the models look at the pictures of which nobody says what is on them.

    Returns
    -------
    The same pictures, all of them with what must be found.

    Raises
    ------
    ModelError
        A model cannot be opened.
    ImageError
        A picture cannot be read, or does not hold its box.
    """
    opened: dict[str, Inspector] = {}
    told = []
    for picture in pictures:
        if picture.texts is None and picture.defects is None:
            name = picture.model
            if name not in opened:
                opened[name] = open_inspector(name, models[name])
            told.append(_found(opened[name], picture))
        else:
            told.append(picture)
    return told


def _found(inspector: Inspector, picture: Picture) -> Picture:
    region = Region(
        name="golden", camera="golden", model=picture.model, mode=picture.mode, box=picture.box
    )
    try:
        findings = inspector.inspect(load_image(Path(picture.image)), region, Stopwatch())
    except ImageError as error:
        where = "" if str(error).startswith(picture.image) else f"{picture.image}: "
        raise ImageError(f"{where}{error}") from error
    defects = tuple(
        ExpectedDefect(
            label=defect.label,
            score=round(float(defect.score), 4),
            box=tuple(defect.box.astype(float).round(1).tolist()),
        )
        for defect in findings.defects
    )
    texts = tuple(line.text for line in findings.lines)
    return picture.model_copy(update={"texts": texts, "defects": defects})


def make_bundle(
    path: Path, spec: Spec, pictures: Sequence[Picture], bounds: Bounds, key: PrivateKey
) -> Manifest:
    """Write the bundle of a spec; gives what was signed.

    Parameters
    ----------
    pictures
        Golden pictures with what must be found on them, as :func:`expect` gives them.

    Raises
    ------
    BundleError
        A file is too large, or there is too much of something.
    StorageError
        It cannot be written.
    """
    payload = _Payload()
    tables = {name: _table(name, model, payload) for name, model in spec.models.items()}
    golden = [
        {
            "image": payload.add(Path(picture.image), f"golden/{_plain(Path(picture.image).stem)}"),
            "model": picture.model,
            "mode": picture.mode,
            "box": picture.box,
            "texts": picture.texts or (),
            "defects": picture.defects or (),
        }
        for picture in pictures
    ]
    contents = dict(sorted(payload.contents.items()))
    files = [file_entry(name, content) for name, content in contents.items()]
    facts = {name: getattr(spec, name) for name in Facts.model_fields}
    manifest = Manifest.build(
        {**facts, "files": files, "models": tables, "golden": golden, "bounds": bounds}
    )
    create_bundle(path, manifest, contents, key)
    return manifest


class _Payload:
    """Files of a bundle under names of its own: what they are, not what somebody called them."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self._names: dict[Path, str] = {}

    def add(self, source: Path, stem: str) -> str:
        """Take a file in, once; gives its path in the bundle."""
        if source not in self._names:
            name = free_name(stem, source.suffix.lower(), set(self.contents))
            try:
                if source.stat().st_size > MAX_FILE:
                    limit = MAX_FILE // 2**20
                    raise BundleError(f"{source}: is larger than {limit} MiB: no box takes it")
                self.contents[name] = source.read_bytes()
            except OSError as error:
                raise BundleError(
                    f"{source}: cannot be read ({error.strerror}): check the path"
                ) from error
            self._names[source] = name
        return self._names[source]


def _table(name: str, model: Model, payload: _Payload) -> dict[str, Any]:
    """A model's table as it is written in the spec, its paths those of the payload."""
    table = model.model_dump(mode="json", exclude_unset=True)
    for key in MODEL_FILES[model.family]:
        if table.get(key) is None:
            continue
        source = resolve(table[key])
        stem = f"{_plain(name)}/{key}"
        table[key] = payload.add(source, stem)
        beside = sidecar(source)
        if model.family == "ppyoloe" and beside.is_file():
            payload.add(beside, str(Path(table[key]).with_suffix("")))
    return table


def _plain(text: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:40] or "x"
