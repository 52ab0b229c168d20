"""Recipes: what ships is sound, and every mistake in one's own is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress.recipe import Recipe, quick_recipe
from models.errors import ConfigError, InputError
from tools.recipe_file import find_recipe, load_recipe, ready_recipes

SOUND = """
name = "boards"
model = "model.pdmodel"
family = "ppocr_det"
targets = ["x86-onnx", "arm64-lite"]
[[calibration]]
path = "train.txt"
count = 100
[[tuning]]
path = "train.txt"
skip = 100
[[evaluation]]
path = "val.txt"
[gate]
drop = 0.02
[prune]
flops = 0.6
[tune]
minutes = 30
[quantise]
methods = ["mse"]
[aware]
steps = 500
[quick]
pictures = 5
time = 10
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def faults(folder: Path, text: str) -> list[str]:
    path = write(folder, text)
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    assert all(fault.startswith(f"{path}:") for fault in error.value.faults)
    return [fault.removeprefix(f"{path}:") for fault in error.value.faults]


def test_a_recipe_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SOUND))
    assert recipe.targets == ("x86-onnx", "arm64-lite")
    assert recipe.metric == "hmean"
    assert recipe.gate.drop == 0.02
    assert recipe.tune
    assert recipe.tune.minutes == 30
    assert recipe.sources("tuning")[0].skip == 100


def test_quick_is_shorter_and_still_sound(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, SOUND))
    quick = quick_recipe(recipe)
    assert quick.tune
    assert quick.tune.minutes == 3
    assert quick.aware
    assert quick.aware.steps == 50
    assert quick.budget == recipe.budget / 10
    assert list(quick.faults()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"ppocr_det"', '"ppocr_dett"', "family = \"ppocr_dett\": must be one of 'ppocr_det'"),
        ('"x86-onnx"', '"x87-onnx"', 'targets[0] = "x87-onnx": must be one of'),
        ("drop = 0.02", "dorp = 0.02", 'gate.dorp: unknown key: did you mean "drop"?'),
        ("drop = 0.02", "drop = 2", "gate.drop = 2: "),
        ("drop = 0.02", 'metric = "ap50"', "is measured by hmean"),
        ("drop = 0.02", "drop = nan", "gate.drop = nan: must be a finite number"),
        ("count = 100", 'count = "100"', 'calibration[0].count = "100": must be a whole number'),
        ("count = 100", "count = 0", "calibration[0].count = 0: must be at least 1"),
        ("minutes = 30", "", "tune: say how long: either minutes or steps"),
        ("minutes = 30", "minutes = 30\nsteps = 2", "tune: say how long"),
        ("minutes = 30", "minutes = 30\nlabels = true", "only a recogniser learns from labels"),
        ("flops = 0.6", "flops = 1.5", "prune.flops = 1.5: must be less than 1"),
        ('["mse"]', '["msee"]', 'quantise.methods[0] = "msee": must be one of'),
        ('["mse"]', "[]", "quantise.methods = []: must hold at least 1"),
        ('[[tuning]]\npath = "train.txt"\nskip = 100', "", "tuning: is missing"),
        ("[tune]\nminutes = 30", "", "a pruned model has forgotten much"),
        ('methods = ["mse"]', "skip = 3", "quantise.skip = 3: must be a list"),
        ('"model.pdmodel"', '"model.pdmodel"\ndictionary = "keys.txt"', "dictionary"),
        ('"ppocr_det"', '"raw"', "input: is missing"),
        ('name = "boards"', 'name = "../boards"', 'name = "../boards"'),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in SOUND
    told = faults(tmp_path, SOUND.replace(old, new, 1))
    assert any(said in each for each in told), told


def test_all_mistakes_are_told_at_once_in_their_order(tmp_path: Path) -> None:
    text = SOUND.replace("flops = 0.6", "flops = 7").replace("drop = 0.02", "drop = -1")
    text = text.replace('path = "val.txt"', "")
    places = [each.split(": ")[1].split(" = ")[0] for each in faults(tmp_path, text)]
    assert places == ["evaluation[0].path", "gate.drop", "prune.flops"]


@pytest.mark.parametrize("name", sorted(ready_recipes()))
def test_recipes_that_ship_are_sound(name: str) -> None:
    recipe = load_recipe(find_recipe(name))
    assert isinstance(recipe, Recipe)
    assert recipe.name == name
    assert list(quick_recipe(recipe).faults()) == []


def test_every_family_has_a_ready_recipe() -> None:
    families = {load_recipe(path).family for path in ready_recipes().values()}
    assert families == {"ppocr_det", "ppocr_rec", "ppocr_cls", "ppyoloe"}


def test_an_unknown_recipe_is_told_which_is_near() -> None:
    with pytest.raises(InputError, match=r"ppocrv4-dett: no such recipe: did you mean ppocrv4-det"):
        find_recipe("ppocrv4-dett")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_recipe(tmp_path / "none.toml")
