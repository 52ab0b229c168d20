"""Taking the model in, as a program and as ONNX, and simplifying it exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.cache import Stage
from compress.compare import largest_difference
from compress.export import export_onnx
from compress.measure import feeds_of
from compress.metrics import Feeds
from compress.pdmodel import load_program, save_program
from compress.prune.cost import flops
from compress.prune.widen import widen
from compress.result import Simplification
from compress.simplify import simplify
from compress.source import PROGRAM, write_program
from compress.work import Model, Work

__all__ = ["cost", "difference", "exported", "finished", "original", "simplified", "widened"]

EXPORTED = "model.onnx"

COMPARED = 3
"""Pictures on which a file is compared with what it was made from."""


def original(work: Work) -> Model:
    """The program as it came, measured as ONNX: what all else is held against."""

    def take(folder: Path) -> dict[str, Any]:
        write_program(work.source, folder)
        return {}

    bar = work.show("reading the model")
    program = work.stages.run("source", 1, work.source.inputs(), {}, take).folder / PROGRAM
    bar(1, 1)
    path = _as_it_is(work, program)
    work.measure_with(path, load_program(program).feeds[0])
    work.baseline = work.judged("original", path, program, None)
    return work.baseline


def simplified(work: Work, source: Model) -> tuple[Model, Simplification]:
    """The same network with fewer operators; its answers stay as they are."""
    stage = _simplify(work, source.program)
    program = stage.folder / PROGRAM
    path = exported(work, program)
    feeds = feeds_of(work.metric, work.items("calibration"), COMPARED)
    far = difference(work, source.path, path, feeds)
    model = work.judged("simplified", path, program, source.evaluation)
    count, numbers = cost(work, program)
    work.tried(model, "simplify", seconds=stage.seconds, flops=count, weights=numbers)
    return model, Simplification(**stage.facts, difference=far)


def finished(work: Work, name: str, weights_file: Path, against: Model) -> Model:
    """A detector's weights as a simplified program and as ONNX, measured."""

    def make(folder: Path) -> dict[str, Any]:
        write_program(replace(work.source, path=weights_file), folder)
        return {}

    inputs = {**work.source.inputs(), "model": weights_file}
    program = work.stages.run("source", 1, inputs, {}, make).folder / PROGRAM
    program = _simplify(work, program).folder / PROGRAM
    return work.judged(name, exported(work, program), program, against.evaluation)


def _simplify(work: Work, source: Path) -> Stage:
    bar = work.show("simplifying")

    def make(folder: Path) -> dict[str, Any]:
        program = load_program(source)
        done = simplify(program)
        save_program(program, folder / PROGRAM)
        return {
            "before": dict(done.before),
            "after": dict(done.after),
            "weights_before": done.weights_before,
            "weights_after": done.weights_after,
            "times": dict(done.times),
            "removed": dict(done.removed),
        }

    stage = work.stages.run("simplify", 1, {"program": source}, {}, make)
    bar(1, 1)
    return stage


def exported(work: Work, program: Path) -> Path:
    """A program as FP32 ONNX, as ONNX Runtime likes it best."""
    return _exported(work, program, rewrite=True)


def widened(work: Work, model: Model) -> Path:
    """The same network as ONNX, with widths that kernels of eight bits like."""

    def make(folder: Path) -> dict[str, Any]:
        program = load_program(model.program)
        channels = widen(program)
        save_program(program, folder / PROGRAM)
        return {"channels": channels}

    stage = work.stages.run("widen", 1, {"program": model.program}, {}, make)
    return exported(work, stage.folder / PROGRAM) if stage.facts["channels"] else model.path


def _as_it_is(work: Work, program: Path) -> Path:
    """A program as the converter gives it: what all else is held against."""
    return _exported(work, program, rewrite=False)


def _exported(work: Work, program: Path, *, rewrite: bool) -> Path:
    work.check_stop()

    def make(folder: Path) -> dict[str, Any]:
        export_onnx(load_program(program), folder / EXPORTED, rewrite=rewrite)
        return {}

    bar = work.show("exporting")
    parameters = {"rewrite": True} if rewrite else {}
    stage = work.stages.run("onnx", 1, {"program": program}, parameters, make)
    bar(1, 1)
    return stage.folder / EXPORTED


def difference(work: Work, first: Path, second: Path, feeds: Sequence[Feeds]) -> float:
    """The largest difference of any output of two models, on real pictures."""

    def make(folder: Path) -> dict[str, Any]:
        return {"difference": largest_difference(first, second, feeds, threads=work.job.threads)}

    parameters = {"calibration": work.sets["calibration"].sha256, "count": len(feeds)}
    inputs = {"first": first, "second": second}
    stage = work.stages.run("compare", 1, inputs, parameters, make)
    return float(stage.facts["difference"])


def cost(work: Work, program: Path) -> tuple[int, int]:
    """Multiplications and additions of one inference, and how many numbers the parameters hold."""

    def make(folder: Path) -> dict[str, Any]:
        loaded = load_program(program)
        numbers = sum(value.size for value in loaded.parameters.values())
        # Each multiplication of a convolution comes with an addition.
        return {"flops": 2 * flops(loaded, work.shape), "parameters": numbers}

    shape = {name: list(sizes) for name, sizes in work.shape.items()}
    stage = work.stages.run("cost", 1, {"program": program}, {"shape": shape}, make)
    return int(stage.facts["flops"]), int(stage.facts["parameters"])
