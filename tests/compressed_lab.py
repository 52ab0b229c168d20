"""What a compression leaves, without one: two files, the steps they came of, and the result."""

import json
import shutil
from pathlib import Path
from typing import Any

from compress.cache import file_sha256
from compress.result import Accuracy, Artefact, Asked, FileHash, Result, Speed


def stage(out: Path, name: str, files: list[Path], program: Path | None = None) -> Path:
    """A step that made copies of ``files``; gives its folder."""
    folder = out / ".stages" / name
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / file.name)
    said: dict[str, Any] = {
        "inputs": {"program": [file_sha256(program)]} if program else {},
        "files": {file.name: file_sha256(file) for file in files},
    }
    (folder / "stage.json").write_text(json.dumps(said))
    return folder


def artefact(file: Path, **fields: Any) -> Artefact:
    said: dict[str, Any] = {
        "name": "x86-onnx int8",
        "target": "x86-onnx",
        "engine": "onnxruntime",
        "precision": "int8",
        "files": (FileHash(path=file.name, bytes=file.stat().st_size, sha256=file_sha256(file)),),
        "accuracy": Accuracy(value=0.95, low=0.9, high=0.97, drop=0.004, items=40),
        **fields,
    }
    return Artefact.model_validate(said)


def write_result(
    out: Path, model: str, original: Artefact, made: list[Artefact], name: str = "small"
) -> Path:
    """``out`` as a compression of ``model`` leaves it."""
    asked = Asked(name=name, family="raw", model=model, metric="agreement", drop=0.01)
    result = Result(
        lineguard="1",
        started="2026-11-22T10:00:00+00:00",
        seconds=1.0,
        asked=asked,
        passed=True,
        original=original,
        artefacts=tuple(made),
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").write_bytes(result.as_json())
    return out


def speed(**shape: tuple[int, ...]) -> Speed:
    return Speed(ratio=2.0, cpu_ratio=2.0, ms=1.0, cpu_ms=1.0, threads=1, shape=shape)


def small_compression(out: Path, dense: Path, shipped: Path, name: str = "small") -> Path:
    """A compression of a model of one's own: what it was as ONNX, and what ships."""
    out.mkdir()
    stage(out, "onnx-1", [dense], dense)
    first = artefact(dense, precision="fp32", target="source")
    shutil.copy(shipped, out / f"{name}.int8.onnx")
    return write_result(out, "m.pdmodel", first, [artefact(out / f"{name}.int8.onnx")], name)
