"""Which files of a folder are the pictures to learn from, and which to measure with."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.errors import InputError
from models.ppyoloe.coco import read_coco
from models.ppyoloe.dataset import Dataset, Progress, check_pictures, refuse
from models.ppyoloe.voc import LABEL_LIST, read_voc

__all__ = ["Splits", "image_folder", "open_dataset"]


@dataclass(frozen=True)
class Splits:
    """What to learn from, and what to measure with; ``None`` where the folder has one set alone."""

    train: Dataset
    val: Dataset | None


@dataclass(frozen=True)
class _Layout:
    """Glob patterns; of ``train`` and of ``val`` the first that fits is taken."""

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    read: Callable[[Path, Path], tuple[Dataset, list[str]]]
    needs: str = "."


def image_folder(folder: Path, annotations: Path) -> Path:
    """Where a COCO file's images ought to be: ``train2017/`` of ``instances_train2017.json``."""
    split = annotations.stem.removeprefix("instances_")
    named = [each for each in sorted(folder.glob(f"{split}*")) if each.is_dir()]
    return named[0] if named else folder / "images"


def _coco(folder: Path, annotations: Path) -> tuple[Dataset, list[str]]:
    return read_coco(annotations, image_folder(folder, annotations))


def _voc(folder: Path, listing: Path) -> tuple[Dataset, list[str]]:
    return read_voc(listing)


_LAYOUTS = (
    _Layout(
        "COCO",
        ("annotations/instances_train*.json",),
        ("annotations/instances_val*.json",),
        _coco,
    ),
    _Layout(
        "PaddleDetection's COCO style",
        ("annotations/train.json", "annotations/instance_train.json"),
        ("annotations/valid.json", "annotations/val.json", "annotations/instance_val.json"),
        _coco,
    ),
    _Layout(
        "COCO files beside images",
        ("train.json", "trainval.json"),
        ("valid.json", "val.json", "test.json"),
        _coco,
    ),
    _Layout("what `lineguard data render` writes", ("boards.json",), (), _coco),
    _Layout(
        "PaddleDetection's VOC style",
        ("train.txt", "trainval.txt"),
        ("valid.txt", "val.txt", "test.txt"),
        _voc,
        LABEL_LIST,
    ),
)


def open_dataset(folder: Path, progress: Progress | None = None) -> Splits:
    """Read the training and the validation set of a folder, whichever of the known styles it is.

    Parameters
    ----------
    progress
        As of :func:`check_pictures`; left out, the image files are looked for, not opened.

    Raises
    ------
    InputError
        The folder is none of them (says what was looked for), a set has faults (all faults of both
        sets), nothing is labelled to learn from, the sets have different classes, or share images.
    """
    if not os.path.isdir(folder):  # Path.is_dir raises of a name that is too long
        raise InputError(f"{folder}: no such folder: name the folder of a data set")
    for layout in _LAYOUTS:
        train = _first(folder, layout.train)
        if train is not None and (folder / layout.needs).exists():
            return _open(folder, layout, train, progress)
    looked = "; ".join(f"{each.name} ({' or '.join(each.train)})" for each in _LAYOUTS)
    raise InputError(f"{folder}: no data set in this folder: looked for {looked}")


def _open(folder: Path, layout: _Layout, train_file: Path, progress: Progress | None) -> Splits:
    train, faults = layout.read(folder, train_file)
    if not faults and not any(picture.defective for picture in train.pictures):
        faults.append(f"{train_file}: not one defect is labelled: there is nothing to learn from")
    val = None
    val_file = _first(folder, layout.val)
    if val_file is not None:
        val, more = layout.read(folder, val_file)
        faults += more
        if train.labels and val.labels and val.labels != train.labels:
            faults.append(
                f"{val_file}: classes {', '.join(val.labels)}, but {train_file} has "
                f"{', '.join(train.labels)}: both must have the same, in the same order"
            )
        both = {each.path for each in train.pictures} & {each.path for each in val.pictures}
        if both:
            faults.append(
                f"{val_file}: {len(both)} images are in {train_file} as well ({min(both)}): "
                "a model must be measured on what it has not learnt from"
            )
    if progress is not None:
        # in one go, so that there is one count of how far it is
        every = train.pictures + (val.pictures if val is not None else ())
        faults += check_pictures(Dataset(train.labels, every), progress)
    refuse(faults)
    return Splits(train, val)


def _first(folder: Path, patterns: tuple[str, ...]) -> Path | None:
    """The file of the first pattern that fits any; ``InputError`` if it fits several."""
    for pattern in patterns:
        files = sorted(folder.glob(pattern))
        if len(files) > 1:
            names = ", ".join(each.name for each in files)
            raise InputError(f"{folder}: {names}: which of them is meant? Keep one in {pattern}")
        if files:
            return files[0]
    return None
