"""Eight bits as ONNX: every way of choosing ranges, then with the worst layers spared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from compress.measure import feeds_of
from compress.metrics import Feeds
from compress.quantise.observe import Observed, observe
from compress.quantise.onnx import quantise_onnx
from compress.quantise.sensitivity import (
    Noises,
    choose_skip,
    layer_noises,
    least_noises,
    suited,
)
from compress.recipe import Method, Quantise
from compress.result import LayerSensitivity
from compress.ship import Made
from compress.steps.aware import aware_model
from compress.steps.program import widened
from compress.work import Model, Work

__all__ = ["layer_noise", "onnx_files"]

QUANTISED = "model.int8.onnx"

VERSION = 3

NOISE_PICTURES = 24
"""That layers are put in order by, from all over the calibration set: eight do not do for lines."""

BITS = 8.0


def onnx_files(work: Work, best: Model, against: Model, asked: Quantise | None) -> list[Made]:
    """All files for ONNX Runtime that can be had of a model.

    Parameters
    ----------
    best
        The FP32 model.
    against
        What the gate compares with.
    asked
        ``None``: FP32 alone.
    """
    made = [Made("onnxruntime", "fp32", best.path, best)]
    if asked is not None:
        eight = _quantised(work, asked, best, against)
        aware = work.recipe.aware
        if eight is None and aware is not None and not work.late:
            trained = aware_model(work, aware, best, "onnx")
            eight = _quantised(work, asked, trained, against)
        if eight is None:
            last = work.tries[-1]
            work.failures.append((last.stage, f"{last.name} {last.why}"))
        else:
            made.append(Made("onnxruntime", "int8", eight.path, eight))
    return made


def layer_noise(work: Work, model: Model, against: Model, method: Method) -> dict[str, float]:
    """How much each layer minds eight bits: the noise of the outputs when it alone has them."""
    return _Eight(work, model, against).noises(method)


def _quantised(work: Work, asked: Quantise, model: Model, against: Model) -> Model | None:
    """The best model of eight bits that passed; ``None`` if none did."""
    eight = _Eight(work, model, against)
    tried: list[tuple[Method, Model]] = []
    for method in asked.methods:
        if tried and work.late:
            work.notes.append(f"No time was left to quantise by {method} and what follows it.")
            break
        tried.append((method, eight.plain(method, asked.skip)))
    passed = [each for each in tried if each[1].verdict.passed]
    if passed:
        method, best = max(passed, key=lambda each: each[1].evaluation.value)
        work.choose(best.name, f"{best.name} reads better")
        eight.record(eight.noises(method), asked.skip)
        return best
    if work.late or not asked.most_skipped:
        return None
    spared = eight.spared(asked)
    if spared is None or not spared.verdict.passed:
        return None
    work.choose(spared.name)
    return spared


class _Eight:
    def __init__(self, work: Work, model: Model, against: Model) -> None:
        self.work, self.model, self.against = work, model, against
        self.path = widened(work, model)
        self.prefix = f"{model.name} int8"

    @cached_property
    def observed(self) -> Observed:
        """What its tensors hold on the calibration set; looked at once, for all methods."""
        work, items = self.work, self.work.items("calibration")
        bar = work.show("calibrating")

        def feeds() -> Iterator[Feeds]:
            for number, item in enumerate(items):
                work.check_stop()
                yield from work.metric.feeds(item)
                bar(number + 1, len(items))

        return observe(self.path, feeds(), threads=work.job.threads)

    def run(self, name: str, make: Any, **parameters: Any) -> Any:
        """A stage of this model and the calibration set."""
        facts = {**self.work.measure.facts, "items": self.work.sets["calibration"].sha256}
        inputs = {"model": self.path, **self.work.measure.inputs}
        return self.work.stages.run(name, VERSION, inputs, {**facts, **parameters}, make)

    def plain(self, method: Method, skip: tuple[str, ...]) -> Model:
        """With these layers spared and no others."""

        def make(folder: Path) -> dict[str, Any]:
            done = quantise_onnx(
                self.path, folder / QUANTISED, self.observed, method=method, skip=skip
            )
            return {"layers": len(done.layers), "skipped": done.skipped}

        stage = self.run("int8", make, method=method, skip=sorted(skip))
        return self._measured(f"{self.prefix} {method}", stage, method)

    def spared(self, asked: Quantise) -> Model | None:
        """With as few of the noisiest layers spared as it takes to pass, and those in any case.

        Those that are not spared have their ranges by the method that suits each.
        """
        noises = {method: self.noises(method) for method in asked.methods}
        least = least_noises(noises)
        work, bar = self.work, self.work.show("sparing layers")

        def measure(path: Path) -> float:
            found = work.judged("a spared one", path, self.model.program, self.against.evaluation)
            return (
                found.verdict.margin if found.verdict.passed else min(-1e-12, found.verdict.margin)
            )

        def make(folder: Path) -> dict[str, Any]:
            found = choose_skip(
                self.observed, folder / QUANTISED, least, measure,
                floor=0.0, method=suited(self.observed, noises),
                always=asked.skip, most=asked.most_skipped, progress=bar,
            )  # fmt: skip
            trials = [{"skip": t.skip, "margin": t.value} for t in found.trials]
            return {"skip": found.best.skip, "trials": trials}

        gate = work.recipe.gate.model_dump()
        stage = self.run(
            "spared", make, noises=noises, most=asked.most_skipped, always=sorted(asked.skip),
            gate=gate, before=self.against.evaluation.value, set=work.sets["evaluation"].sha256,
        )  # fmt: skip
        skip = stage.facts["skip"]
        way = "mixed" if len(asked.methods) > 1 else asked.methods[0]
        found = self._measured(f"{self.prefix} {way}, {len(skip)} spared", stage, way)
        self.record(least, skip)
        return found

    def noises(self, method: Method) -> dict[str, float]:
        """How much noise each layer makes alone: with other ranges, others are the noisiest."""
        bar = self.work.show("noise of each layer")
        items = self.work.items("calibration")
        some = items[:: -(-len(items) // NOISE_PICTURES)]

        def make(folder: Path) -> dict[str, Any]:
            feeds = feeds_of(self.work.metric, some, NOISE_PICTURES)
            noises = layer_noises(self.observed, feeds, method=method, progress=bar)
            (folder / "noises.json").write_text(json.dumps(noises), "utf-8")
            return {}

        stage = self.run("noises", make, pictures=NOISE_PICTURES, method=method)
        noises: dict[str, float] = json.loads((stage.folder / "noises.json").read_text("utf-8"))
        return noises

    def _measured(self, name: str, stage: Any, method: str) -> Model:
        path = stage.folder / QUANTISED
        found = self.work.judged(name, path, self.model.program, self.against.evaluation)
        found = replace(found, name=name)
        self.work.tried(
            found, "quantise", seconds=stage.seconds,
            parameters={"method": method, **stage.facts},
        )  # fmt: skip
        return found

    def record(self, noises: Noises, skip: Sequence[str]) -> None:
        """Put the noises into the report, and which layers were spared."""
        own = [each for each in self.work.sensitivities if each.stage != "quantise"]
        own += [
            LayerSensitivity(
                stage="quantise",
                layer=name,
                points=((BITS, noise),),
                unit="noise",
                taken=float(name not in skip),
            )
            for name, noise in noises.items()
        ]
        self.work.sensitivities = own
