"""What can be measured: a model by itself, or an inspection of pictures with all its stages.

A new kind of subject is one more class and one line in :data:`SUBJECTS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.engines import Engine, open_engine
from edge.engines.base import Array, TensorSpec
from edge.engines.registry import engine_kind, model_files
from models.errors import InputError
from models.images import load_image
from models.stopwatch import Stopwatch
from models.zoo import resolve

__all__ = ["SUBJECTS", "Subject", "files_facts", "model_facts", "open_subject"]

_SEED = 0
"""Of the noise that a model is fed with: zeros would be quicker on some engines."""


class Subject(Protocol):
    """Something that is open and can be run.

    Attributes
    ----------
    facts
        What it is, for the report.
    """

    facts: dict[str, Any]

    def run(self, samples: int) -> Mapping[str, float]:
        """Work on so many samples, as one query; gives seconds by stage, empty if it has none."""


def open_subject(spec: Mapping[str, Any]) -> Subject:
    """Open what ``spec["kind"]`` names; its other keys are those of the class.

    Raises
    ------
    LineguardError
        A file is missing or unusable, or an engine refuses it.
    """
    keys = dict(spec)
    return SUBJECTS[keys.pop("kind")](**keys)


class _Model:
    """One model file, fed with noise."""

    def __init__(
        self,
        model: str,
        threads: int,
        shapes: Mapping[str, list[int]] | None = None,
        batch: int = 1,
    ) -> None:
        path = resolve(model)
        # No trial in a child: this runs in one.
        self._engine = open_engine(path, threads=threads, trial=False)
        self._batch = batch
        rng = np.random.default_rng(_SEED)
        given = dict(shapes or {})
        self._feeds: dict[str, Array] = {}
        for spec in self._engine.inputs:
            shape = _shape(path, spec, given.pop(spec.name, None), batch)
            self._feeds[spec.name] = _noise(rng, shape, spec.dtype)
        if given:
            known = ", ".join(each.name for each in self._engine.inputs)
            raise InputError(f"{path}: no input {', '.join(given)}: it has {known}")
        sizes = {name: list(feed.shape) for name, feed in self._feeds.items()}
        self.facts = {
            "kind": "model",
            "name": path.name,
            "batch": batch,
            "inputs": sizes,
            **_engine_facts(self._engine, path),
        }

    def run(self, samples: int) -> Mapping[str, float]:
        for _ in range(max(1, samples // self._batch)):
            self._engine.run(self._feeds)
        return {}


def _shape(path: Path, spec: TensorSpec, given: list[int] | None, batch: int) -> tuple[int, ...]:
    """What is fed into an input: what was given, or its own shape, the first number ``batch``."""
    if given is None:
        own = [batch if spec.shape and spec.shape[0] is None else None, *spec.shape[1:]]
        sizes = [*([own[0] or spec.shape[0]] if spec.shape else []), *own[1:]]
        if None in sizes:
            wanted = ",".join(str(batch) if i == 0 else str(n or "N") for i, n in enumerate(sizes))
            raise InputError(
                f"{path}: input {spec.name} takes any size: say --shape {spec.name}={wanted}"
            )
        shape = tuple(n for n in sizes if n is not None)
    else:
        shape = tuple(given)
    if shape and shape[0] != batch:
        raise InputError(
            f"{path}: input {spec.name} is ({', '.join(map(str, shape))}), not of batch {batch}: "
            f"say --batch {shape[0]}, or give another --shape"
        )
    return shape


def _noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)


def _engine_facts(engine: Engine, path: Path) -> dict[str, Any]:
    return {
        "engine": engine.name,
        "engine_version": engine.version,
        "precision": engine.precision,
        "threads": engine.threads,
        "files": model_facts(path),
    }


def model_facts(path: Path) -> dict[str, str]:
    """sha256 of a model and of what belongs to it, by file name."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in model_files(path)}


Look = Callable[[NDArray[np.uint8], Stopwatch], object]


class _Inspection:
    """Looks at one picture after the other."""

    def __init__(
        self, pictures: list[tuple[NDArray[np.uint8], Look]], facts: dict[str, Any]
    ) -> None:
        self._pictures, self._next = pictures, 0
        self.facts = facts

    def run(self, samples: int) -> Mapping[str, float]:
        watch = Stopwatch()
        for _ in range(samples):
            image, look = self._pictures[self._next]
            self._next = (self._next + 1) % len(self._pictures)
            look(image, watch)
        return watch.seconds


def _reader(
    images: list[str],
    mode: Any,
    rec: str,
    dictionary: str,
    det: str | None,
    cls: str | None,
    threads: int,
) -> Subject:
    from edge.families.ppocr import open_reader

    reader = open_reader(rec, dictionary, det, cls, threads=threads)

    def look(image: NDArray[np.uint8], watch: Stopwatch) -> object:
        return reader.read(image, mode, watch=watch)

    used = [resolve(each) for each in (rec, det, cls) if each]
    facts = {"kind": "read", "name": f"{mode} of {len(images)} pictures", "mode": mode}
    return _Inspection(
        [(load_image(Path(each)), look) for each in images], facts | files_facts(used, threads)
    )


def _detector(images: list[str], model: str, threads: int) -> Subject:
    from edge.families.ppyoloe import open_detector

    detector = open_detector(model, threads=threads)

    def look(image: NDArray[np.uint8], watch: Stopwatch) -> object:
        return detector.detect(image, watch=watch)

    path = resolve(model)
    facts = {"kind": "detect", "name": f"{path.name} on {len(images)} pictures"}
    return _Inspection(
        [(load_image(Path(each)), look) for each in images], facts | files_facts([path], threads)
    )


def _bundle(root: str) -> Subject:
    """The golden pictures of the active slot, as its own models look at them."""
    from pydantic import TypeAdapter

    from edge.agent.golden import least_score
    from edge.families import open_inspector
    from edge.station import Region
    from edge.station.bundle import active_bundle
    from edge.station.schema import Model

    active = active_bundle(Path(root).absolute())  # its tables hold whole paths
    tables: dict[str, Any] = {
        name: TypeAdapter(Model).validate_python(dict(table), context={"folder": active.files})
        for name, table in active.models.items()
    }
    inspectors = {
        name: open_inspector(name, table, least_score(active.golden, name))
        for name, table in tables.items()
    }

    def looking(golden: Any) -> Look:
        region = Region(
            name="golden", camera="golden", model=golden.model, mode=golden.mode, box=golden.box
        )
        return lambda image, watch: inspectors[golden.model].inspect(image, region, watch)

    used = [
        Path(getattr(table, key))
        for table in tables.values()
        for key in ("det", "rec", "cls")
        if getattr(table, key, None)
    ]
    facts = {
        "kind": "bundle",
        "name": str(active.name),
        "bundle": {
            "name": active.name.name,
            "version": active.name.version,
            "manifest": active.name.manifest,
        },
    }
    threads = max(table.threads for table in tables.values())
    pictures = [(load_image(active.files / each.image), looking(each)) for each in active.golden]
    return _Inspection(pictures, facts | files_facts(used, threads))


def files_facts(paths: list[Path], threads: int) -> dict[str, Any]:
    """Engines, threads and hashes of several models, from the packages that are installed."""
    from importlib import metadata

    packages = sorted({engine_kind(path).distribution for path in paths})
    return {
        "engine": ", ".join(packages),
        "engine_version": ", ".join(metadata.version(package) for package in packages),
        "threads": threads,
        "files": {name: sha for path in paths for name, sha in model_facts(path).items()},
    }


SUBJECTS: Mapping[str, Callable[..., Subject]] = {
    "model": _Model,
    "read": _reader,
    "detect": _detector,
    "bundle": _bundle,
}
