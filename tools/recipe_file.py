"""Recipes of ``lineguard compress``: a file of one's own, or one that ships."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

import compress
from compress.recipe import (
    Aware,
    Gate,
    Input,
    Prune,
    Quantise,
    Quick,
    Recipe,
    Source,
    Tune,
)
from models.errors import InputError
from models.nearest import nearest
from tools.toml_file import Fault, load_toml

__all__ = ["find_recipe", "load_recipe", "ready_recipes"]

_TABLES: dict[str, type[BaseModel]] = {
    "calibration": Source,
    "tuning": Source,
    "evaluation": Source,
    "input": Input,
    "gate": Gate,
    "prune": Prune,
    "tune": Tune,
    "quantise": Quantise,
    "aware": Aware,
    "quick": Quick,
}


def ready_recipes() -> dict[str, Path]:
    """Those that ship with lineguard, by name."""
    folder = Path(compress.__path__[0]) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find_recipe(given: str) -> Path:
    """The file that is meant: a path, or the name of one that ships.

    Raises
    ------
    InputError
        There is neither; says which is near, or which there are.
    """
    if given.endswith(".toml") or "/" in given:
        return Path(given)
    ready = ready_recipes()
    if given in ready:
        return ready[given]
    near = nearest(given, ready)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(ready)}."
    raise InputError(f"{given}: no such recipe: {hint} Otherwise give a .toml file")


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; ``ConfigError`` with every fault of it, each with its line."""
    return load_toml(path, Recipe, _TABLES, "a recipe", _together)


def _together(raw: Mapping[str, Any]) -> Iterator[Fault]:
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError:  # has been told already
        return
    yield from recipe.faults()
