"""COCO's annotation files: https://cocodataset.org/#format-data, object detection."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import InputError
from models.images import MAX_SIDE
from models.ppyoloe.dataset import (
    Box,
    Dataset,
    Picture,
    Progress,
    check_label,
    check_pictures,
    clip_box,
    make_picture,
    refuse,
    shown,
)

__all__ = ["load_coco", "read_coco"]

WORDS = {"images": "image", "annotations": "annotation", "categories": "category"}
"""The lists of a file, and what one entry is called."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    id: int


class _Image(_Entry):
    file_name: str = Field(min_length=1)
    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)


class _Category(_Entry):
    name: str


class _Annotation(_Entry):
    image_id: int
    category_id: int
    bbox: list[Finite] = Field(min_length=4, max_length=4)
    iscrowd: Literal[0, 1] = 0


E = TypeVar("E", bound=_Entry)


def load_coco(annotations: Path, images: Path, progress: Progress | None = None) -> Dataset:
    """Read a COCO annotation file.

    The labels stand in the order of their category ids. Boxes that reach out of their picture by
    up to a pixel are clipped.

    Parameters
    ----------
    annotations
        The JSON file.
    images
        What its ``file_name`` entries are relative to. Where the files are not there, its parent
        and the folder of ``annotations`` are tried, which is where other tools start them.
    progress
        As of :func:`check_pictures`; left out, the image files are looked for, not opened.

    Raises
    ------
    InputError
        The file cannot be read, or has faults; up to two hundred, each naming image or annotation.
    """
    dataset, faults = read_coco(annotations, images)
    if progress is not None:
        faults += check_pictures(dataset, progress)
    refuse(faults)
    return dataset


def read_coco(annotations: Path, images: Path) -> tuple[Dataset, list[str]]:
    """What is sound of a COCO annotation file, and all its faults; otherwise as `load_coco`."""
    file = _File(annotations)
    try:
        pictures = file.pictures(file.read(), images)
    except InputError as error:
        return Dataset((), ()), str(error).split("\n")
    return Dataset(tuple(file.labels.values()), pictures), file.faults


class _File:
    """Reads one annotation file and gathers its faults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []
        self.labels: dict[int, str] = {}

    def fault(self, where: str, what: str) -> None:
        self.faults.append(f"{self.path}: {where}: {what}")

    def read(self) -> dict[str, list[Any]]:
        """The three lists of the file."""
        try:
            if self.path.exists() and not self.path.is_file():  # a pipe would make us wait for ever
                raise InputError(f"{self.path}: is no file: name a COCO annotation file")
            raw = json.loads(self.path.read_bytes())
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read ({error.strerror}): check the path"
            ) from error
        except RecursionError as error:
            raise InputError(f"{self.path}: is nested too deeply: is no COCO file") from error
        except ValueError as error:  # no JSON, no UTF-8, or a number with thousands of digits
            raise InputError(f"{self.path}: not JSON ({error}): export it again") from error
        if not isinstance(raw, dict):
            raise InputError(f"{self.path}: holds no object: is no COCO file")
        for key in WORDS:
            if not isinstance(raw.get(key), list):
                self.fault(key, "must be a list" if key in raw else "is missing: COCO has it")
            elif not raw[key] and key != "annotations":
                self.fault(key, "is empty: nothing to learn from, nothing to measure with")
        refuse(self.faults)
        return raw

    def entries(self, kind: type[E], raw: Mapping[str, list[Any]], key: str) -> dict[int, E]:
        """The sound entries of a list by id; the others become faults."""
        found: dict[int, E] = {}
        for index, item in enumerate(raw[key]):
            name = f"{WORDS[key]} {item['id']}" if _has_id(item) else f"{key}[{index}]"
            try:
                entry = kind.model_validate(item)
            except ValidationError as error:
                for each in error.errors():
                    field = ".".join(map(str, each["loc"]))
                    reason = each["msg"].replace("Input should", "must")
                    self.fault(name, f"{field}: {reason}" if field else "must be an object")
                continue
            if entry.id in found:
                self.fault(name, "this id is given twice: ids must be unique")
            found.setdefault(entry.id, entry)
        return found

    def pictures(self, raw: Mapping[str, list[Any]], folder: Path) -> tuple[Picture, ...]:
        """Pictures with their boxes; what is faulty or not there is left out."""
        categories = self.entries(_Category, raw, "categories")
        images = self.entries(_Image, raw, "images")
        annotations = self.entries(_Annotation, raw, "annotations")
        self.labels = {number: categories[number].name for number in sorted(categories)}
        for number, name in self.labels.items():
            try:
                check_label(name)
            except ValueError as error:
                self.fault(f"category {number}", str(error))
        self.repeated("category", ((i, name) for i, name in self.labels.items()))
        self.repeated("image", ((i, os.path.normpath(e.file_name)) for i, e in images.items()))
        paths = self.paths(images, folder)
        # an image with a fault of its own is known all the same
        known = {item["id"] for item in raw["images"] if _has_id(item)}
        class_of = {number: index for index, number in enumerate(self.labels)}
        boxes: defaultdict[int, list[tuple[Box, int, bool]]] = defaultdict(list)
        for each in annotations.values():
            name = f"annotation {each.id}"
            if each.category_id not in class_of:
                self.fault(name, f"category {each.category_id} is not in categories")
            if each.image_id not in known:
                self.fault(name, f"image {each.image_id} is not in images")
            image = images.get(each.image_id)
            if image is None:
                continue
            x, y, width, height = each.bbox
            try:
                box = clip_box((x, y, x + width, y + height), image.width, image.height)
            except ValueError as error:
                self.fault(name, f"{error} (image {image.id}, {shown(image.file_name)})")
                continue
            boxes[image.id].append((box, class_of.get(each.category_id, 0), bool(each.iscrowd)))
        return tuple(
            make_picture(
                image.id,
                paths[image.id],
                (image.width, image.height),
                [box for box, _, _ in boxes[image.id]],
                [index for _, index, _ in boxes[image.id]],
                [crowd for _, _, crowd in boxes[image.id]],
            )
            for image in images.values()
            if image.id in paths
        )

    def repeated(self, word: str, names: Iterable[tuple[int, str]]) -> None:
        """A fault for each name that an entry before it has."""
        first: dict[str, int] = {}
        for number, name in names:
            if first.setdefault(name, number) != number:
                self.fault(
                    f"{word} {number}", f"{shown(name)} is {word} {first[name]} already: name once"
                )

    def paths(self, images: Mapping[int, _Image], folder: Path) -> dict[int, Path]:
        """The image files that are there: of the folder that has most of them."""
        folders = dict.fromkeys((folder, folder.parent, self.path.parent))
        ways = ({i: each / image.file_name for i, image in images.items()} for each in folders)
        best: dict[int, Path] = {}
        most = -1
        for way in ways:
            # os.path's, since Path's raises of names that no file can have
            there = sum(map(os.path.isfile, way.values()))
            if there > most:
                best, most = way, there
            if there == len(way):
                break
        for number, path in list(best.items()):
            if not os.path.isfile(path):
                self.fault(f"image {number}", f"{shown(str(path))}: no such image file")
                del best[number]
        return best


def _has_id(item: Any) -> bool:
    return isinstance(item, dict) and type(item.get("id")) is int
