"""How accurate a model file is on the evaluation set of a recipe, for a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compress.datasets import load_items
from compress.metrics import make_metric
from compress.recipe import Recipe
from edge.engines import open_engine
from models.errors import ConfigError
from models.ppocr.rec import load_dictionary
from models.ppyoloe.config import read_config, sidecar
from models.zoo import resolve

__all__ = ["accuracy_of"]


def accuracy_of(recipe: Recipe, data: Path) -> tuple[Callable[[Path, int], float], str]:
    """What measures a model file with so many threads, and what the figure is called.

    Raises
    ------
    ConfigError
        The recipe is one of raw models, which are measured against their original.
    InputError
        The evaluation set cannot be read.
    """
    if recipe.family == "raw":
        raise ConfigError(
            "--recipe: a raw model is measured against its original, which no sweep has: "
            "give a recipe of another family"
        )
    items, labels = load_items(recipe, "evaluation", data)
    dictionary = load_dictionary(resolve(recipe.dictionary)) if recipe.dictionary else ()

    def accuracy(path: Path, threads: int) -> float:
        config = read_config(sidecar(path)) if recipe.family == "ppyoloe" else None
        metric = make_metric(recipe, dictionary=dictionary, config=config, labels=labels)
        engine = open_engine(path, threads=threads)
        try:
            return metric.evaluate(engine, items).value
        finally:
            engine.close()

    return accuracy, recipe.metric
