"""Files for Paddle Lite, FP32 and eight bits.

What runs on an ARM board cannot run here. Of FP32 the same program is run by Paddle Lite for x86;
of eight bits it is Paddle's simulation that is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress.export import export_nb
from compress.measure import feeds_of
from compress.pdmodel import load_program
from compress.quantise.lite import LiteMethod, lite_layers, quantise_lite
from compress.quantise.sensitivity import worst_layers
from compress.recipe import Method, Quantise
from compress.ship import Made
from compress.source import PROGRAM
from compress.steps.aware import aware_model
from compress.steps.eight import layer_noise
from compress.steps.program import difference
from compress.work import Model, Work

__all__ = ["lite_files"]

NB = "model.nb"

COMPARED = 1
"""Pictures that Paddle Lite for x86 is run on: a second each."""

METHODS: tuple[LiteMethod, ...] = ("hist", "mse")

ALIKE: dict[LiteMethod, Method] = {"hist": "percentile", "mse": "mse"}
"""By which of ours the noise of layers is measured."""

UNSURE = (
    "Whether it is faster than FP32 depends on the core: time both on the board with "
    "`lineguard bench model`."
)


def lite_files(work: Work, best: Model, against: Model, asked: Quantise | None) -> list[Made]:
    """All ``.nb`` that can be had of a model.

    Parameters
    ----------
    best
        The FP32 model.
    against
        What the gate compares with.
    asked
        ``None``: FP32 alone.
    """
    bar = work.show("exporting for Paddle Lite")
    path = _nb(work, best.program, "arm")
    bar(1, 2)
    twin = _nb(work, best.program, "x86")
    bar(2, 2)
    feeds = feeds_of(work.metric, work.items("calibration"), COMPARED)[:COMPARED]
    far = difference(work, best.path, twin, feeds)
    made = [
        Made(
            "paddle_lite", "fp32", path, best, "the same program in ONNX Runtime", far,
            "the same program in ONNX Runtime, as Paddle Lite for x86 runs it",
        )
    ]  # fmt: skip
    if asked is not None:
        eight = _eight(work, asked, best, against)
        aware = work.recipe.aware
        if eight is None and aware is not None and not work.late:
            trained = aware_model(work, aware, best, "lite")
            eight = _eight(work, asked, trained, against)
        if eight is None:
            last = work.tries[-1]
            work.failures.append((last.stage, f"{last.name} {last.why}"))
        else:
            path = _nb(work, eight.program, "arm")
            proxy = "Paddle's simulation of its rounding"
            made.append(Made("paddle_lite", "int8", path, eight, proxy, notes=(UNSURE,)))
    return made


def _eight(work: Work, asked: Quantise, model: Model, against: Model) -> Model | None:
    """The first program of eight bits that passed; ``None`` if none did."""
    known = lite_layers(load_program(model.program))
    skip = [name for name in asked.skip if name in known]
    tried: list[tuple[LiteMethod, Model]] = []
    for method in METHODS:
        if tried and work.late:
            work.notes.append(f"No time was left to quantise for Paddle Lite by {method}.")
            break
        found = _simulated(work, method, skip, model, against)
        if found.verdict.passed:
            work.choose(found.name)
            return found  # the simulation takes ten times as long as the model: none for sport
        tried.append((method, found))
    method, _ = max(tried, key=lambda each: each[1].verdict.margin)
    noises = layer_noise(work, model, against, ALIKE[method])
    order = [name for name in worst_layers(noises) if name in known and name not in skip]
    count = 1
    while count <= asked.most_skipped and count <= len(order) and not work.late:
        found = _simulated(work, method, [*skip, *order[:count]], model, against)
        if found.verdict.passed:
            work.choose(found.name)
            return found
        count *= 2
    return None


def _simulated(
    work: Work, method: LiteMethod, skip: Sequence[str], model: Model, against: Model
) -> Model:
    name = f"{model.name} int8 for Lite, {method}" + (f", {len(skip)} spared" if skip else "")
    items = work.items("calibration")
    work.check_stop()
    bar = work.show(f"quantising {name}")

    def make(folder: Path) -> dict[str, Any]:
        feeds = (each for item in items for each in work.metric.feeds(item))
        out = folder / PROGRAM
        done = quantise_lite(model.program, out, feeds, method=method, skip=skip, progress=bar)
        return {"layers": len(done.layers), "skipped": done.skipped}

    facts = {**work.measure.facts, "items": work.sets["calibration"].sha256}
    parameters = {**facts, "method": method, "skip": sorted(skip)}
    stage = work.stages.run("int8-lite", 1, {"program": model.program}, parameters, make)
    program = stage.folder / PROGRAM
    found = work.judged(name, program, program, against.evaluation)
    size = sum(each.stat().st_size for each in (program, program.with_suffix(".pdiparams")))
    work.tried(
        found, "quantise", seconds=stage.seconds, size=size,
        parameters={"method": method, **stage.facts},
    )  # fmt: skip
    return found


def _nb(work: Work, program: Path, target: Any) -> Path:
    work.check_stop()

    def make(folder: Path) -> dict[str, Any]:
        export_nb(load_program(program), folder / NB, target)
        return {}

    stage = work.stages.run("nb", 1, {"program": program}, {"target": target}, make)
    return stage.folder / NB
