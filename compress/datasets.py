"""The pictures of a recipe: to calibrate with, to learn from, and to measure with.

No picture may be in two of the three, whatever its name: what a model has seen says nothing of
what it can do.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.recipe import Recipe, Source, Which
from models.errors import InputError
from models.images import IMAGE_SUFFIXES, load_image
from models.ppocr.labels import Label, load_labels
from models.ppyoloe.coco import load_coco
from models.ppyoloe.dataset import Picture
from models.ppyoloe.layout import image_folder

__all__ = [
    "Follow",
    "Item",
    "ItemSet",
    "Truth",
    "check_characters",
    "check_readable",
    "load_items",
    "load_sets",
]

SHOWN = 10
"""Faults that an error lists; more of one set are mostly the same fault."""

BLANK = 8
"""Grey levels between the darkest and the brightest pixel up to which nothing is to be seen."""

Truth = str | tuple[Label, ...] | Picture | None
"""Text of a crop, lines of a photo, defects of a part, or nothing known."""

Follow = Callable[[Sequence["Item"]], Iterable["Item"]]
"""Goes through items and may show how far it is; ``iter`` shows nothing."""


@dataclass(frozen=True, eq=False)
class Item:
    """One picture.

    Attributes
    ----------
    key
        For people: its path within the data folder.
    path
        The image file.
    truth
        What is on it.
    group
        Under which name it is counted.
    """

    key: str
    path: Path
    truth: Truth
    group: str


@dataclass(frozen=True)
class ItemSet:
    """One of the three sets.

    Attributes
    ----------
    items
        The pictures.
    sha256
        Of all pictures and of what is said of them.
    labels
        Class names of a detector's, in the order of the numbers in its truths.
    sources
        As the recipe names them.
    """

    items: tuple[Item, ...]
    sha256: str
    labels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def load_sets(
    recipe: Recipe, data: Path, *, quick: bool = False, follow: Follow = iter
) -> dict[Which, ItemSet]:
    """Read all three sets of a recipe, and refuse what would make its figures worthless.

    Parameters
    ----------
    data
        What paths of the recipe are relative to.
    quick
        Take fewer pictures, as ``[quick]`` says.

    Raises
    ------
    InputError
        A file is missing or has faults, a picture is in two sets, nothing is to be seen in the
        calibration set, or the evaluation set says nothing of what is right.
    """
    divide = recipe.quick.pictures if quick else 1
    seen: dict[str, tuple[Which, Item]] = {}
    shared: list[str] = []
    sets: dict[Which, ItemSet] = {}
    for which in ("evaluation", "tuning", "calibration"):
        items, labels = load_items(recipe, which, data, divide)
        whole = hashlib.sha256(repr(labels).encode())
        kept = []
        for item in follow(items):
            content = _sha256(item.path)
            first, other = seen.setdefault(content, (which, item))
            if first != which:
                shared.append(f"{item.path}: of {which}, is {other.path} of {first} as well")
                continue
            kept.append(item)
            whole.update(f"{content} {item.group} {_told(item.truth)}\n".encode())
        names = tuple(source.path for source in recipe.sources(which))
        sets[which] = ItemSet(tuple(kept), whole.hexdigest(), labels, names)
    if shared and recipe.overlap == "refuse":
        mend = 'give sources of one file a skip and a count, or write overlap = "leave out"'
        raise InputError(
            "\n".join([*(f"{each}: {mend}" for each in shared[:SHOWN]), *_more(shared)])
        )
    if not sets["calibration"].items or (recipe.tuning and not sets["tuning"].items):
        raise InputError(f"{shared[0]}: nothing is left to learn from: give other pictures")
    _check_seen(sets["calibration"].items)
    return sets


def load_items(
    recipe: Recipe, which: Which, data: Path, divide: int = 1
) -> tuple[list[Item], tuple[str, ...]]:
    """The pictures of one set, and the class names of a detector's.

    Parameters
    ----------
    divide
        Take one of so many only.

    Raises
    ------
    InputError
        As :func:`load_sets`, but for pictures in two sets.
    """
    items: list[Item] = []
    labels: tuple[str, ...] = ()
    for source in recipe.sources(which):
        path = data / source.path
        found, names = _read(recipe, source, path, data)
        if labels and names != labels:
            raise InputError(
                f"{path}: classes {', '.join(names)}, but the sources before it have "
                f"{', '.join(labels)}: all must have the same, in the same order"
            )
        labels = names
        taken = _taken(found, source, divide)
        if not taken:
            raise InputError(
                f"{path}: has {len(found)} pictures, and the recipe skips {source.skip} of them "
                f"in [[{which}]]: nothing is left: skip fewer"
            )
        items += taken
    if which == "evaluation" and recipe.family != "raw":
        silent = [f"{item.path}" for item in items if item.truth is None]
        if silent and recipe.family != "ppocr_cls":
            raise InputError(
                f"{silent[0]}: nothing says what is right on it: [[evaluation]] needs a label file"
            )
    return items, labels


def check_characters(items: Sequence[Item], dictionary: Sequence[str], path: Path) -> None:
    """Refuse texts that the recogniser can neither learn nor read.

    Raises
    ------
    InputError
        Names up to ten pictures with the characters that are not in the dictionary.
    """
    known = set(dictionary)
    faults = []
    for item in items:
        text = item.truth if isinstance(item.truth, str) else ""
        strange = sorted({c for c in text if c not in known and not c.isspace()})
        if strange:
            faults.append(
                f"{item.path}: {text!r} has {', '.join(map(repr, strange))}, which {path} has not: "
                "mend the label, leave the picture out, or take a model that knows it"
            )
    if faults:
        raise InputError("\n".join([*faults[:SHOWN], *_more(faults)]))


def check_readable(items: Sequence[Item], follow: Follow = iter) -> None:
    """Decode every picture: what cannot be read must be known before hours of training.

    Raises
    ------
    InputError
        Names up to ten that cannot.
    """
    faults = []
    for item in follow(items):
        try:
            load_image(item.path)
        except InputError as error:
            faults.append(str(error))
    if faults:
        raise InputError("\n".join([*faults[:SHOWN], *_more(faults)]))


def _read(
    recipe: Recipe, source: Source, path: Path, data: Path
) -> tuple[list[Item], tuple[str, ...]]:
    if recipe.family == "ppyoloe" and not os.path.isdir(path):
        images = data / source.images if source.images else image_folder(path.parent, path)
        dataset = load_coco(path, images)
        group = source.group or path.stem
        return (
            [Item(_key(each.path, data), each.path, each, group) for each in dataset.pictures],
            dataset.labels,
        )
    if source.images is not None:
        raise InputError(f"{path}: images = goes with the COCO file of a detector: leave it out")
    if os.path.isdir(path):
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            kinds = ", ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"{path}: no pictures in this folder: it should hold {kinds}")
        return [Item(_key(p, data), p, None, source.group or path.name) for p in files], ()
    lines = load_labels(path)
    wanted = recipe.family == "ppocr_det"
    if recipe.family != "raw" and (lines[0].text is None) != wanted:
        raise InputError(
            f"{path}: labels {'photos' if lines[0].text is None else 'crops'}, but "
            f"{recipe.family} takes {'photos, with points' if wanted else 'crops, with their text'}"
        )
    group = source.group or path.stem
    return [
        Item(_key(each.path, data), each.path, each.lines if wanted else each.text, group)
        for each in lines
    ], ()


def _taken(items: list[Item], source: Source, divide: int) -> list[Item]:
    mixed = list(items)
    random.Random(0).shuffle(mixed)  # noqa: S311 - always the same order is what is wanted
    mixed = mixed[source.skip :]
    count = len(mixed) if source.count is None else min(source.count, len(mixed))
    return mixed[: -(-count // divide)]


def _check_seen(items: Sequence[Item]) -> None:
    for item in items:
        image = load_image(item.path)
        if int(image.max()) - int(image.min()) > BLANK:
            return
    raise InputError(
        f"{items[0].path}: nothing is to be seen on it, nor on any of the {len(items)} pictures of "
        "[[calibration]]: take some dozens of real ones, such as the line will show"
    )


def _told(truth: Truth) -> str:
    if isinstance(truth, Picture):
        return repr((truth.boxes.tolist(), truth.classes.tolist(), truth.crowd.tolist()))
    if isinstance(truth, tuple):
        return repr([(each.text, each.quad.tolist(), each.ignored) for each in truth])
    return repr(truth)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error


def _key(path: Path, data: Path) -> str:
    return os.path.relpath(path, data)


def _more(faults: Sequence[object]) -> list[str]:
    more = len(faults) - SHOWN
    return [f"and {more} more"] if more > 0 else []
