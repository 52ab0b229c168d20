"""Labelled pictures cut into parts of one size, so that some are sound and others are not.

Boards are photographed whole, and every one of a data set may have a defect somewhere: the rate of
false rejects cannot be measured on it. On pieces of boards it can.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.images import encode_image, load_image
from models.ppyoloe.dataset import Dataset, Picture, Progress
from models.ppyoloe.tiles import tile_starts
from tools.folders import whole_or_absent

__all__ = ["Cut", "Piece", "cut_dataset", "cut_picture"]

SEEN, UNSEEN = 0.9, 0.05
"""Share of a defect's box that a piece shows: from the first on it is labelled, up to the second it
is not there. In between nobody can tell whether the piece is sound, and it is left out."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One part: where it lies, xyxy pixels, and the defects on it, ``(N, 4)`` and ``(N,)``."""

    box: tuple[int, int, int, int]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """What was written: parts, how many of them are defective, and how many were left out."""

    parts: int
    defective: int
    left_out: int


def cut_picture(picture: Picture, size: int) -> Iterator[Piece | None]:
    """The parts of a picture, evenly spread; ``None`` for one that cuts a defect in two."""
    for y in tile_starts(picture.height, size, 0):
        for x in tile_starts(picture.width, size, 0):
            window = np.array(
                [x, y, min(x + size, picture.width), min(y + size, picture.height)], np.float32
            )
            low = np.maximum(picture.boxes[:, :2], window[:2])
            high = np.minimum(picture.boxes[:, 2:], window[2:])
            area = (picture.boxes[:, 2:] - picture.boxes[:, :2]).prod(axis=1)
            seen = np.clip(high - low, 0, None).prod(axis=1) / area
            if ((seen > UNSEEN) & (seen < SEEN)).any() or (picture.crowd & (seen > 0)).any():
                yield None
                continue
            here = seen >= SEEN
            boxes = np.concatenate([low, high], axis=1)[here] - np.tile(window[:2], 2)
            x0, y0, x1, y1 = (int(n) for n in window)
            yield Piece((x0, y0, x1, y1), boxes.astype(np.float32), picture.classes[here])


def cut_dataset(dataset: Dataset, size: int, folder: Path, progress: Progress = iter) -> Cut:
    """Write the parts as ``images/`` and ``parts.json`` (COCO).

    Parameters
    ----------
    size
        Side of a part, pixels.
    folder
        New or empty; it appears when it is complete, or not at all.

    Raises
    ------
    InputError
        The folder is not empty, or a picture cannot be read.
    StorageError
        The disk is full or read-only.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    left_out = 0
    with whole_or_absent(folder) as unfinished:
        (unfinished / "images").mkdir()
        for picture in progress(dataset.pictures):
            pixels = load_image(picture.path)
            for piece in cut_picture(picture, size):
                if piece is None:
                    left_out += 1
                    continue
                x0, y0, x1, y1 = piece.box
                number = len(images) + 1
                name = f"{picture.path.stem}_{picture.id}_{x0}_{y0}.png"
                data = encode_image(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
                (unfinished / "images" / name).write_bytes(data)
                images.append(
                    {"id": number, "file_name": name, "width": x1 - x0, "height": y1 - y0}
                )
                for box, label in zip(piece.boxes.tolist(), piece.classes.tolist(), strict=True):
                    sides = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
                    annotations.append(
                        {
                            "id": len(annotations) + 1,
                            "image_id": number,
                            "category_id": label + 1,
                            "bbox": sides,
                            "area": sides[2] * sides[3],
                            "iscrowd": 0,
                        }
                    )
        categories = [{"id": n, "name": name} for n, name in enumerate(dataset.labels, 1)]
        coco = {"images": images, "annotations": annotations, "categories": categories}
        (unfinished / "parts.json").write_text(json.dumps(coco), encoding="utf-8")
    return Cut(len(images), len({each["image_id"] for each in annotations}), left_out)
