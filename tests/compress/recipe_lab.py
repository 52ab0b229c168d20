"""Recipes, data sets and small models to compress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from compress_lab import PICTURES

from compress.recipe import Recipe

SMALLEST: dict[str, Any] = {
    "name": "small",
    "model": "zoo:ppocrv4-det-paddle",
    "family": "ppocr_det",
    "targets": ["x86-onnx"],
    "calibration": [{"path": "det/train.txt"}],
    "evaluation": [{"path": "det/val.txt"}],
}


def recipe(**changed: Any) -> Recipe:
    """A sound recipe with some keys otherwise."""
    return Recipe.model_validate(SMALLEST | changed)


def text_data(folder: Path) -> Path:
    """Real photos and crops of print, each set in three files; gives the folder."""
    for kind in ("det", "rec"):
        (folder / kind).mkdir(parents=True)
        source = PICTURES / kind / "labels.txt"
        rows = source.read_text("utf-8").splitlines()
        third = len(rows) // 3
        for name, part in (
            ("train", rows[:third]),
            ("tune", rows[third : 2 * third]),
            ("val", rows[2 * third :]),
        ):
            for row in part:
                picture = row.partition("\t")[0]
                (folder / kind / picture).write_bytes((source.parent / picture).read_bytes())
            (folder / kind / f"{name}.txt").write_text("\n".join(part) + "\n", "utf-8")
    return folder


def board_data(folder: Path, count: int = 4) -> Path:
    """Noisy pictures of 64x64 with bright squares, in two COCO files; gives the folder."""
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    for name in ("train", "val"):
        images, annotations = [], []
        for number in range(1, count + 1):
            image = rng.integers(0, 90, (64, 64, 3)).astype(np.uint8)
            x, y = (int(n) * 8 for n in rng.integers(1, 6, 2))
            image[y : y + 8, x : x + 8] = (0, 0, 255)
            assert cv2.imwrite(str(folder / f"images/{name}{number}.png"), image)
            images.append(
                {"id": number, "file_name": f"{name}{number}.png", "width": 64, "height": 64}
            )
            box = [x - 4, y - 4, 16, 16]
            annotations.append({"id": number, "image_id": number, "category_id": 1, "bbox": box})
        categories = [{"id": n, "name": c} for n, c in enumerate(("red", "green", "blue"), 1)]
        document = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def folder_data(folder: Path, names: str = "abcdef", side: int = 48) -> Path:
    """Pictures of noise, in ``calibration``, ``tuning`` and ``evaluation``; gives the folder."""
    rng = np.random.default_rng(7)
    for which in ("calibration", "tuning", "evaluation"):
        (folder / which).mkdir(parents=True)
        for name in names:
            image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
            assert cv2.imwrite(str(folder / which / f"{name}.png"), image)
    return folder
