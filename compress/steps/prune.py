"""A program loses the channels that matter least: how few, each group of them says itself."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from compress.cache import CHECKPOINT
from compress.datasets import Item
from compress.export import export_onnx
from compress.measure import feeds_of, open_network
from compress.pdmodel import load_program
from compress.prune.cost import cost_of
from compress.prune.programs import prune_program
from compress.prune.sensitivity import Sensitivities, choose_ratios, sensitivity
from compress.recipe import Prune
from compress.result import LayerSensitivity
from compress.source import PROGRAM
from compress.work import Work

__all__ = ["pruned"]

REFITTED = 32
"""Pictures that what is left of each convolution is fitted to."""


def pruned(work: Work, prune: Prune, program: Path) -> tuple[Path, dict[str, Any]]:
    """The program with so much of its FLOPs as is to be kept, and what is to be said of it."""
    measured = _sensitivities(work, prune, program)
    loaded = load_program(program)
    ratios = choose_ratios(loaded, measured, cost_of(loaded, work.shape), prune.flops)
    feeds = feeds_of(work.metric, work.items("calibration"), REFITTED)
    calibration = work.sets["calibration"].sha256

    def make(folder: Path) -> dict[str, Any]:
        done = prune_program(program, folder / PROGRAM, ratios, work.shape, feeds)
        widths = {name: list(each) for name, each in done.widths.items()}
        return {
            "flops": done.flops_after / done.flops_before,
            "parameters": done.parameters_after / done.parameters_before,
            "widths": widths,
        }

    bar = work.show("pruning")
    parameters = {"ratios": ratios, "calibration": calibration}
    stage = work.stages.run("prune", 2, {"program": program}, parameters, make)
    bar(1, 1)
    widths = stage.facts["widths"]
    work.sensitivities += [
        LayerSensitivity(
            stage="prune",
            layer=name,
            points=tuple(sorted(points.items())),
            taken=1 - widths[name][1] / widths[name][0],
        )
        for name, points in measured.items()
    ]
    left = float(stage.facts["flops"])
    if left > prune.flops * 1.05:
        work.notes.append(
            f"Pruning was to leave {prune.flops:.0%} of the FLOPs and left {left:.0%}: no group "
            f"goes beyond {max(prune.ratios):g} of its channels, the largest of [prune] ratios."
        )
    return stage.folder / PROGRAM, {"FLOPs": left, "parameters": stage.facts["parameters"]}


def _sensitivities(work: Work, prune: Prune, program: Path) -> Sensitivities:
    items = _items(work, prune.count)
    feeds = feeds_of(work.metric, work.items("calibration"), REFITTED)
    bar = work.show("what each group is worth")

    def evaluate(path: Path) -> float:
        with tempfile.TemporaryDirectory(prefix="lineguard-prune-") as scratch:
            file = Path(scratch) / "model.onnx"
            export_onnx(load_program(path), file)
            return work.metric.evaluate(open_network(file, work.job.threads), items).value

    def make(folder: Path) -> dict[str, Any]:
        (folder / CHECKPOINT).mkdir(exist_ok=True)
        found = sensitivity(
            program, evaluate, prune.ratios, store=folder / CHECKPOINT / "measured.json",
            feeds=feeds, skip=prune.skip, progress=bar, stop=work.check_stop,
        )  # fmt: skip
        # JSON has no numbers for keys.
        return {"losses": {name: list(each.items()) for name, each in found.items()}}

    parameters = {
        "ratios": list(prune.ratios), "count": len(items), "skip": sorted(prune.skip),
        "calibration": work.sets["calibration"].sha256,
        "measure": {**work.measure.facts},
    }  # fmt: skip
    inputs = {"program": program, **work.measure.inputs}
    stage = work.stages.run("sensitivity", 2, inputs, parameters, make)
    return {
        name: {float(ratio): float(loss) for ratio, loss in each}
        for name, each in stage.facts["losses"].items()
    }


def _items(work: Work, count: int) -> tuple[Item, ...]:
    """Pictures to measure on that are not those of the verdict, if anything is known of them."""
    known = work.items("calibration")
    told = work.recipe.family in ("raw", "ppocr_cls") or all(
        each.truth is not None for each in known
    )
    return (known if told else work.items("evaluation"))[:count]
