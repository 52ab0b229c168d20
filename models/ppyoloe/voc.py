"""PaddleDetection's VOC style: a list of images and their Pascal VOC annotations.

``label_list.txt`` has one class a line; ``train.txt`` and its siblings ``IMAGE XML`` a line, both
relative to the list's folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from models.errors import InputError
from models.images import MAX_SIDE
from models.ppyoloe.dataset import Box, Dataset, Picture, check_label, clip_box, make_picture, shown

__all__ = ["LABEL_LIST", "read_voc"]

LABEL_LIST = "label_list.txt"
"""Beside the list of images; the order of its lines is the order of the classes."""

CORNERS = ("xmin", "ymin", "xmax", "ymax")

MAX_XML_BYTES = 4 * 2**20
"""Ten thousand boxes; a longer annotation is no picture's."""


def read_voc(listing: Path) -> tuple[Dataset, list[str]]:
    """Read what ``listing`` names; the image files are looked for, not opened.

    Corners are taken as they stand, as PaddleDetection does, and boxes that reach out of their
    picture by up to a pixel are clipped. ``difficult`` objects are defects like all others: a
    model must not pass for better because somebody found one hard to see.

    Returns
    -------
    What is sound of it, and all faults, each naming line or file.
    """
    faults: list[str] = []
    try:
        rows = _lines(_text(listing))
        classes = _classes(listing.parent / LABEL_LIST, faults)
    except InputError as error:
        return Dataset((), ()), [str(error)]
    if not rows:
        faults.append(f"{listing}: is empty: nothing to learn from, nothing to measure with")
    pictures: list[Picture] = []
    first: dict[str, int] = {}
    for number, row in rows.items():
        try:
            image, xml = _pair(row)
            if first.setdefault(os.path.normpath(image), number) != number:
                raise ValueError(f"{shown(image)} is on line {first[image]} already: name once")
        except ValueError as error:
            faults.append(f"{listing}:{number}: {error}")
            continue
        path = listing.parent / image
        there = os.path.isfile(path)  # Path.is_file raises of a name that no file can have
        if not there:
            faults.append(f"{listing}:{number}: {shown(str(path))}: no such image file")
        picture = _read(listing.parent / xml, path, number, classes, faults)
        if there and picture is not None:
            pictures.append(picture)
    return Dataset(tuple(classes), tuple(pictures)), faults


def _classes(path: Path, faults: list[str]) -> dict[str, int]:
    """Index of each class, and more ``faults``."""
    classes: dict[str, int] = {}
    for number, name in _lines(_text(path)).items():
        try:
            check_label(name)
            if name in classes:
                raise ValueError(f"class {name} is named twice: name each once")
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
        classes.setdefault(name, len(classes))
    if not classes:
        faults.append(f"{path}: is empty: name one class a line")
    return classes


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would make us wait for ever
            raise InputError(f"{path}: is no file: PaddleDetection's VOC style has one")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{path}: cannot be read ({reason}): check the file") from error


def _lines(text: str) -> dict[int, str]:
    """Lines that say something, by number."""
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return {number: line for number, line in lines if line}


def _pair(row: str) -> tuple[str, str]:
    fields = row.split()
    if len(fields) != 2 or not row.isprintable():
        raise ValueError(f"{shown(row)}: must be `IMAGE XML`, no white space in their names")
    return fields[0], fields[1]


def _read(
    xml: Path, image: Path, number: int, classes: dict[str, int], faults: list[str]
) -> Picture | None:
    """The picture of one annotation, or ``None`` and more ``faults``."""
    try:
        root = _root(xml)
        width, height = (_number(root, f"size/{side}") for side in ("width", "height"))
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise ValueError(f"size is {width:g}x{height:g}: sides must be 1 to {MAX_SIDE}")
    except (InputError, ValueError) as error:
        faults.append(f"{error}" if isinstance(error, InputError) else f"{xml}: {error}")
        return None
    size = (int(width), int(height))
    boxes: list[Box] = []
    indices: list[int] = []
    before = len(faults)
    for place, thing in enumerate(root.iter("object"), 1):
        try:
            x0, y0, x1, y1 = (_number(thing, f"bndbox/{corner}") for corner in CORNERS)
            boxes.append(clip_box((x0, y0, x1, y1), *size))
        except ValueError as error:
            faults.append(f"{xml}: object {place}: {error}")
        name = (thing.findtext("name") or "").strip()
        if name not in classes:
            faults.append(f"{xml}: object {place}: {shown(name) or 'no name'}: not in {LABEL_LIST}")
        indices.append(classes.get(name, 0))
    if len(faults) > before:
        return None
    return make_picture(number, image, size, boxes, indices, [False] * len(boxes))


def _root(xml: Path) -> ElementTree.Element:
    if os.path.isfile(xml) and os.path.getsize(xml) > MAX_XML_BYTES:
        raise InputError(f"{xml}: larger than {MAX_XML_BYTES // 2**20} MiB: is no annotation")
    text = _text(xml)
    if "<!" in text.replace("<!--", ""):  # a document type: its entities can fill any memory
        raise ValueError("has a document type or CDATA, which Pascal VOC has not: remove it")
    try:
        return ElementTree.fromstring(text)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"is no XML ({error}): export it again") from error


def _number(element: ElementTree.Element, path: str) -> float:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"{path} is missing")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{path} is {shown(text)}: must be a number") from None
    if not abs(value) < float("inf"):
        raise ValueError(f"{path} is {shown(text)}: must be a finite number")
    return value
