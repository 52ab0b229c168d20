"""Bundles with real, small models, as they lie in a slot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from conftest import SpotsMaker
from numpy.typing import NDArray

from models.bundle import FILES, Manifest, file_entry
from models.zoo import locate

SPOT = {"label": "green", "score": 0.9, "box": [60.0, 60.0, 76.0, 76.0]}
"""What the network of spots finds on :func:`board`, all but the score rounded."""


def board(value: int = 230) -> NDArray[np.uint8]:
    """One green spot: a defect of 16x16 pixels at (60, 60)."""
    image = np.zeros((96, 128, 3), np.uint8)
    image[64:72, 64:72, 1] = value
    return image


def label(text: str = "LOT L2611A") -> NDArray[np.uint8]:
    """One line of print."""
    image = np.full((96, 480, 3), 255, np.uint8)
    cv2.putText(image, text, (30, 68), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 3, cv2.LINE_AA)
    return image


def lay_out(slot: Path, payload: dict[str, bytes], **fields: Any) -> Manifest:
    """Put a payload where a slot has it; gives its manifest."""
    for path, content in payload.items():
        target = slot / FILES / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    said: dict[str, Any] = {
        "name": "boards",
        "version": "1.0.0",
        "counter": 1,
        "hardware": ("arm64", "x86-64"),
        "engine": {"name": "onnxruntime", "min": "1.20", "max": "99"},
        "files": tuple(file_entry(path, content) for path, content in payload.items()),
        "bounds": {"p99_ms": 5000.0},
        **fields,
    }
    return Manifest.model_validate(said)


def png(image: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", image)
    assert done
    return bytes(data)


def spots_bundle(slot: Path, spots: SpotsMaker, **fields: Any) -> Manifest:
    """A detector, and a picture of a board with one defect."""
    made = slot.parent / "made"
    made.mkdir(parents=True, exist_ok=True)
    path = spots(made)
    payload = {
        "board.png": png(board()),
        "det/spots.json": path.with_suffix(".json").read_bytes(),
        "det/spots.onnx": path.read_bytes(),
    }
    model = {"family": "ppyoloe", "det": "det/spots.onnx", "labels": ["red", "green", "blue"]}
    golden = {"image": "board.png", "model": "surface", "defects": [SPOT]}
    return lay_out(slot, payload, **{"models": {"surface": model}, "golden": [golden], **fields})


def print_bundle(slot: Path, **fields: Any) -> Manifest:
    """A reader without a detector, and a picture of a line of print."""
    payload = {
        "keys.txt": locate("ppocr-keys").read_bytes(),
        "label.png": png(label()),
        "rec.onnx": locate("ppocrv4-rec-onnx").read_bytes(),
    }
    model = {"family": "ppocr", "rec": "rec.onnx", "dictionary": "keys.txt"}
    golden = {"image": "label.png", "model": "print", "mode": "fixed", "texts": ["LOT L2611A"]}
    return lay_out(slot, payload, **{"models": {"print": model}, "golden": [golden], **fields})
