"""Instruction counts of a compression's models, put into its result and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from compress.cache import file_sha256
from compress.report import write_report
from compress.result import Artefact, InstructionCounts, load_result
from models.atomic import write_atomic
from models.errors import InputError

__all__ = ["put_counts"]


def put_counts(path: Path, counts: Mapping[Path, Sequence[InstructionCounts]]) -> None:
    """Put counts into a compression's result, and write its report anew beside it.

    Models are known by their hash, the original among them.

    Raises
    ------
    InputError
        The result cannot be read, or a model is none of its own.
    StorageError
        One of the two files cannot be written.
    """
    result = load_result(path)
    new = {file_sha256(model): tuple(each) for model, each in counts.items()}
    known = {file.sha256 for each in (result.original, *result.artefacts) for file in each.files}
    for model in counts:
        if file_sha256(model) not in known:
            raise InputError(f"{model}: is no model of {path}: count one that it names")

    def put(artefact: Artefact) -> Artefact:
        found = [new[file.sha256] for file in artefact.files if file.sha256 in new]
        return artefact.model_copy(update={"instructions": found[0]}) if found else artefact

    result = result.model_copy(
        update={
            "original": put(result.original),
            "artefacts": tuple(put(each) for each in result.artefacts),
        }
    )
    write_atomic(path, result.as_json())
    write_report(result, path.with_name("report.html"))
