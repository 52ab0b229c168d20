"""The model that a recipe names, as a program, with what must go along with it to a box."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from compress.cache import file_sha256
from compress.pdmodel import load_program, save_program
from compress.recipe import Recipe
from models.errors import ModelError
from models.ppocr.rec import HEIGHT, load_dictionary
from models.ppyoloe.config import DetectorConfig, read_config, sidecar
from models.ppyoloe.detector import INPUT
from models.zoo import PREFIX, locate, resolve

__all__ = ["PROGRAM", "Source", "find_source", "timed_shape", "write_program"]

PROGRAM = "model.pdmodel"
"""What a program is called in the folder of each stage."""

Shape = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Source:
    """What comes in.

    Attributes
    ----------
    path
        ``.pdmodel``, or ``.pdparams`` of a PP-YOLOE training.
    dictionary
        Of a recogniser: its file, and its characters.
    config
        Of a detector.
    """

    path: Path
    dictionary: Path | None = None
    characters: tuple[str, ...] = ()
    config: DetectorConfig | None = None
    config_path: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Of the model and what goes with it."""
        weights = self.path.with_suffix(".pdiparams")
        files = [self.path, weights if self.path.suffix == ".pdmodel" else None]
        return tuple(f for f in (*files, self.dictionary, self.config_path) if f is not None)

    def inputs(self) -> dict[str, Path]:
        """For a stage that is made of it."""
        named = {"model": self.path}
        return named | ({"config": self.config_path} if self.config_path else {})

    def facts(self) -> dict[str, str]:
        """Hashes of what decides how it is measured."""
        beside = (self.dictionary, self.config_path)
        return {path.name: file_sha256(path) for path in beside if path is not None}


def find_source(recipe: Recipe, base: Path) -> Source:
    """Find the model and what goes with it.

    Parameters
    ----------
    base
        What paths of the model and the dictionary are relative to: the recipe's folder.

    Raises
    ------
    ModelError
        A file is missing, or is no Paddle model.
    InputError
        The dictionary cannot be read.
    """
    named = recipe.model.startswith(PREFIX)
    if named and recipe.family == "ppyoloe":
        path = locate(recipe.model[len(PREFIX) :]).with_suffix(".pdparams")
    elif not named and (base / recipe.model).with_suffix(".json").is_file():
        path = base / recipe.model  # perhaps Paddle 3's: load_program says so
    else:
        path = resolve(recipe.model, base)
    kinds = (".pdmodel", ".json") + ((".pdparams",) if recipe.family == "ppyoloe" else ())
    if path.suffix not in kinds:
        raise ModelError(
            f"{path}: is no Paddle inference model: give a .pdmodel with its .pdiparams beside it"
        )
    dictionary = resolve(recipe.dictionary, base) if recipe.dictionary else None
    config = read_config(sidecar(path)) if recipe.family == "ppyoloe" else None
    return Source(
        path,
        dictionary,
        load_dictionary(dictionary) if dictionary else (),
        config,
        sidecar(path) if config else None,
    )


def write_program(source: Source, folder: Path) -> None:
    """Put the program into a folder, as ``model.pdmodel`` with its weights, nothing changed.

    Raises
    ------
    ModelError
        It is none, or one of Paddle 3, or has control flow.
    """
    if source.path.suffix == ".pdparams":
        _export_detector(source, folder / PROGRAM)
        return
    save_program(load_program(source.path), folder / PROGRAM)


def _export_detector(source: Source, path: Path) -> None:
    from models.ppyoloe.network import PPYOLOE, take_widths, widths_of
    from models.ppyoloe.train.export import export_paddle
    from models.ppyoloe.train.weights import load_pdparams, put

    if source.config is None:
        raise ValueError("a detector has its configuration")
    arrays = load_pdparams(source.path)
    network = PPYOLOE(source.config.variant, len(source.config.labels))
    take_widths(network, widths_of(network, {name: each.shape for name, each in arrays.items()}))
    put(network, arrays, str(source.path))
    with tempfile.TemporaryDirectory(prefix="lineguard-program-") as scratch:
        made = Path(scratch) / PROGRAM
        export_paddle(network, made.with_suffix(""))
        # Written by ourselves, the same network gives the same bytes.
        save_program(load_program(made), path)


def timed_shape(recipe: Recipe, source: Source, name: str) -> Shape:
    """Of the input that models are timed and counted on."""
    if recipe.family == "ppocr_det":
        return {name: (1, 3, 640, 640)}
    if recipe.family == "ppocr_rec":
        return {name: (1, 3, HEIGHT, 320)}
    if recipe.family == "ppocr_cls":
        return {name: (1, 3, HEIGHT, 192)}
    if source.config is not None:
        width, height = source.config.size
        return {INPUT: (1, 3, height, width)}
    if recipe.input is None:
        raise ValueError("a raw model has its input")
    return {name: (1, 3, recipe.input.height, recipe.input.width)}
