"""What is compared of a compression: the model as it came in, and what ships, engine by engine.

On ONNX Runtime those are two files that are there: the stock FP32 file of the zoo (of a model of
one's own, its plain conversion), and the file that ships. Paddle Lite's files are made for ARM and
do not run on a host, so both are made here, for x86-64, of the two programs that the compression
kept: the one that came in, and the one that its FP32 files were made of. INT8 of Paddle Lite for
x86-64 gives wrong results, and is never run: what INT8 gains there is measured on the box.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress.cache import FACTS, file_sha256
from compress.result import Artefact, Result, load_result
from models.errors import InputError, LineguardError
from models.zoo import PREFIX, list_models, resolve
from tools.measure.document import Document

__all__ = ["Left", "Pair", "Report", "pairs_of"]

RESULT, STAGES = "result.json", ".stages"
"""What a compression leaves: what came of it, and every step."""

LITE_NOTE = (
    "Paddle Lite for x86-64 checks a conversion and is not made to be fast; both are FP32, since "
    "its INT8 kernels give wrong results here: measure the .nb that ship on the box"
)

QUICK_NOTE = "the compression was a quick one: what it says of accuracy says little"

ENGINES = ("onnxruntime", "paddle_lite")


@dataclass(frozen=True)
class Pair:
    """Two files that are to be measured in turn.

    Attributes
    ----------
    name
        Of the recipe.
    engine
        What runs both.
    dense, compressed
        The files; those of Paddle Lite are there only while they are measured.
    bytes
        Of both.
    artefact
        What the compression says of the second, accuracy among it.
    metric
        What that accuracy is.
    shapes
        Of the inputs.
    notes
        What a reader must know.
    """

    name: str
    engine: str
    dense: Path
    compressed: Path
    bytes: tuple[int, int]
    artefact: Artefact
    metric: str
    shapes: dict[str, list[int]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """A report that is not made, and why in one line."""

    name: str
    engine: str
    why: str


@dataclass(frozen=True)
class Report:
    """One pair, and what was measured of it.

    Attributes
    ----------
    document
        ``None`` if there is nothing to say.
    fault
        Why there is nothing, or not all of it; empty if there is.
    """

    pair: Pair
    document: Document | None
    fault: str = ""

    @property
    def stem(self) -> str:
        """Of its files' names."""
        return f"{self.pair.name}-{self.pair.engine.replace('_', '-')}"

    def as_row(self) -> dict[str, Any]:
        """For machines: all but the samples, which are in the report's own file."""
        row: dict[str, Any] = {
            "model": self.pair.name,
            "engine": self.pair.engine,
            "dense": {"file": self.pair.dense.name, "bytes": self.pair.bytes[0]},
            "compressed": {
                "file": self.pair.compressed.name,
                "bytes": self.pair.bytes[1],
                "precision": self.pair.artefact.precision,
            },
            "fault": self.fault or None,
        }
        accuracy = self.pair.artefact.accuracy
        if accuracy is not None:
            row["accuracy"] = {
                "metric": self.pair.metric, "value": accuracy.value, "drop": accuracy.drop,
            }  # fmt: skip
        if self.document is not None:
            row |= {
                "answer": self.document.answer,
                "report": f"{self.stem}.html",
                "figures": {k: v.model_dump() for k, v in self.document.figures.items()},
            }
        return row


def pairs_of(out: Path, scratch: Path) -> list[Pair | Left]:
    """What is to be compared of one compression, one an engine.

    Parameters
    ----------
    out
        What ``lineguard compress --out`` made.
    scratch
        Where files for Paddle Lite are made.

    Raises
    ------
    InputError
        It is no output of a compression.
    """
    result = load_result(out / RESULT)
    found: list[Pair | Left] = []
    for engine, make in zip(ENGINES, (_onnx, _lite), strict=True):
        try:
            found.append(make(result, out, scratch))
        except LineguardError as error:
            found.append(Left(result.asked.name, engine, str(error)))
    return found


def _onnx(result: Result, out: Path, scratch: Path) -> Pair:
    shipped = [a for a in result.artefacts if a.engine == "onnxruntime" and a.ships]
    if not shipped:
        raise InputError(
            f"{out}: nothing ships for ONNX Runtime: add x86-onnx to the recipe's targets"
        )
    one = min(shipped, key=lambda a: (a.target != "x86-onnx", a.precision == "fp32"))
    file = out / one.files[0].path
    if not file.is_file() or file_sha256(file) != one.files[0].sha256:
        raise InputError(f"{file}: is not the file that {RESULT} names: compress again")
    return _pair(result, one, _dense_onnx(result, out), file)


def _dense_onnx(result: Result, out: Path) -> Path:
    """The zoo's own ONNX file of the model; of a model that is not there, its plain conversion."""
    if result.asked.model.startswith(PREFIX):
        named = result.asked.model[len(PREFIX) :]
        known = {model.name for model in list_models()}
        for name in (f"{named.removesuffix('-paddle')}-onnx", named):
            if name in known and (path := resolve(PREFIX + name)).suffix == ".onnx":
                return path
    original = result.original.files[0]
    folder, _ = _stage(out, original.sha256)
    return folder / original.path


def _lite(result: Result, out: Path, scratch: Path) -> Pair:
    """Both programs as files for Paddle Lite on x86-64."""
    full = [a for a in result.artefacts if a.precision == "fp32" and a.passed]
    if not full:
        raise InputError(f"{out}: no FP32 file passed, and Paddle Lite runs no other on x86-64")
    # One of Paddle Lite itself, if there is one: it is made of the same program.
    one = min(full, key=lambda a: (a.engine != "paddle_lite", not a.ships))
    programs = [_program(out, a.files[0].sha256) for a in (result.original, one)]
    dense, compressed = (
        _nb(program, scratch / f"{result.asked.name}.{word}.nb")
        for program, word in zip(programs, ("dense", "compressed"), strict=True)
    )
    pair = _pair(result, one, dense, compressed)
    return replace(pair, engine="paddle_lite", notes=(*pair.notes, LITE_NOTE))


def _program(out: Path, sha256: str) -> Path:
    """Of which program a file was made."""
    _, program = _stage(out, sha256)
    folder, _ = _stage(out, program)
    return folder / "model.pdmodel"


def _stage(out: Path, sha256: str) -> tuple[Path, str]:
    """The step that made a file, and the hash of the program that it was made of."""
    for facts in sorted((out / STAGES).glob(f"*/{FACTS}")):
        try:
            said = json.loads(facts.read_bytes())
            if sha256 in said["files"].values():
                return facts.parent, said["inputs"].get("program", [""])[0]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    raise InputError(
        f"{out / STAGES}: does not hold the program any more: give the same command of "
        "`lineguard compress` again"
    )


def _nb(program: Path, path: Path) -> Path:
    from compress.export import export_nb
    from compress.pdmodel import load_program

    export_nb(load_program(program), path, "x86")
    return path


def _pair(result: Result, one: Artefact, dense: Path, compressed: Path) -> Pair:
    return Pair(
        result.asked.name,
        one.engine,
        dense,
        compressed,
        (dense.stat().st_size, compressed.stat().st_size),
        one,
        result.asked.metric,
        _shapes(result.artefacts),
        (QUICK_NOTE,) if result.asked.quick else (),
    )


def _shapes(artefacts: Sequence[Artefact]) -> dict[str, list[int]]:
    """What the compression itself timed its models on."""
    for each in artefacts:
        if each.speed is not None and each.speed.shape:
            return {name: list(shape) for name, shape in each.speed.shape.items()}
    return {}
