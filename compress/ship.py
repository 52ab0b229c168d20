"""What ships: for each target the best of the files that passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.outcome import candidates, hashed, machine, versions
from compress.recipe import Target
from compress.report import worst_changes, write_report
from compress.result import (
    Artefact,
    Asked,
    Changes,
    Result,
    SetFacts,
    Simplification,
    Speed,
    StageFacts,
)
from compress.steps.program import cost
from compress.work import Model, Work
from models.atomic import write_atomic

__all__ = ["RESULT", "Made", "engine_of", "ship"]

RESULT = "result.json"
REPORT = "report.html"

Engine = Literal["onnxruntime", "paddle_lite"]

SLOWER = 0.95
"""Of the speed of FP32 an INT8 file may have and still be taken for its size."""


@dataclass(frozen=True)
class Made:
    """A file that may ship.

    Attributes
    ----------
    engine
        What runs it.
    precision
        In which most of it is computed.
    path
        The file.
    model
        What was measured: itself, or what stands for it.
    proxy
        What that is, if it is not the file itself.
    difference, compared_with
        Largest difference of any output from another model's.
    notes
        What a reader must know of it.
    """

    engine: Engine
    precision: Literal["fp32", "int8"]
    path: Path
    model: Model
    proxy: str = ""
    difference: float | None = None
    compared_with: str = ""
    notes: tuple[str, ...] = ()


def engine_of(target: Target) -> Engine:
    """What runs the files of a target."""
    return "onnxruntime" if target.endswith("-onnx") else "paddle_lite"


def ship(
    work: Work,
    started: str,
    made: Sequence[Made],
    simplification: Simplification,
) -> Result:
    """Choose, copy, and write the result and its report.

    Raises
    ------
    StorageError
        The output folder cannot be written.
    """
    speeds = _speeds(work, made)
    chosen = {target: _choices(work, target, made, speeds) for target in work.recipe.targets}
    out = work.job.out
    artefacts = []
    for target, ships in chosen.items():
        artefacts += [
            _artefact(work, target, each, speeds, out, ships=each in ships)
            for each in made
            if each.engine == engine_of(target)
        ]
    _check_goals(work, artefacts)
    _copy_beside(work, out)
    best = _shown(chosen)
    result = Result(
        lineguard=versions()["lineguard"],
        started=started,
        seconds=work.seconds,
        asked=_asked(work),
        passed=not work.failures,
        failed_stage=work.failures[0][0] if work.failures else "",
        why="; ".join(why for _, why in work.failures),
        original=_original(work),
        artefacts=tuple(artefacts),
        tries=tuple(work.tries),
        stages=tuple(
            StageFacts(name=each.name, seconds=each.seconds, cached=each.cached)
            for each in work.stages.done
        ),
        simplification=simplification,
        sensitivities=tuple(work.sensitivities),
        changes=_changes(work, best) if best else None,
        data={
            which: SetFacts(items=len(each.items), sha256=each.sha256, sources=each.sources)
            for which, each in work.sets.items()
        },
        sources=hashed(work.source.files),
        versions=versions(),
        machine=machine(),
        notes=tuple(work.notes),
    )
    write_atomic(out / RESULT, result.as_json())
    write_report(result, out / REPORT)
    return result


def _speeds(work: Work, made: Sequence[Made]) -> dict[Path, Speed]:
    """Of the files that run in the original's engine, beside it, one after the other."""
    timed = [each for each in made if each.engine == "onnxruntime"]
    bar = work.show("timing")
    speeds = {}
    for number, each in enumerate(timed):
        work.check_stop()
        speeds[each.path] = work.measure.speed(work.baseline.path, each.path, work.shape)
        bar(number + 1, len(timed))
    return speeds


def _choices(
    work: Work, target: Target, made: Sequence[Made], speeds: dict[Path, Speed]
) -> list[Made]:
    """The best of those that passed; for ARM all of them, since only the board tells."""
    able = [m for m in made if m.engine == engine_of(target) and m.model.verdict.passed]
    if target != "x86-onnx" or len(able) < 2:
        return able
    eight, full = sorted(able, key=lambda each: each.precision == "fp32")
    size = work.recipe.gate.size
    if size is not None and full.path.stat().st_size > size * work.baseline.path.stat().st_size:
        return [eight]  # nothing else can be as small as was asked for
    pace = [speeds[each.path].cpu_ratio for each in (eight, full)]
    return [eight if pace[0] >= SLOWER * pace[1] else full]


def _artefact(
    work: Work, target: Target, each: Made, speeds: dict[Path, Speed], out: Path, *, ships: bool
) -> Artefact:
    file = each.path
    if ships:
        file = out / f"{work.recipe.name}.{each.precision}{each.path.suffix}"
        _copy(each.path, file)
    return Artefact(
        name=f"{target} {each.precision}",
        target=target,
        engine=each.engine,
        precision=each.precision,
        files=hashed([file], out if ships else None),
        accuracy=work.accuracy(each.model),
        proxy=each.proxy,
        flops=cost(work, each.model.program)[0],
        parameters=cost(work, each.model.program)[1],
        speed=speeds.get(each.path) if target == "x86-onnx" else None,
        difference=each.difference,
        compared_with=each.compared_with,
        passed=each.model.verdict.passed,
        ships=ships,
        try_name=each.model.name,
        notes=each.notes,
    )


def _check_goals(work: Work, artefacts: Sequence[Artefact]) -> None:
    """Write down what is missing: a target without a file, and goals that were not reached."""
    gate = work.recipe.gate
    original = work.baseline.path.stat().st_size
    for target in work.recipe.targets:
        found = [each for each in artefacts if each.target == target and each.ships]
        if not found:
            work.failures.append(("gate", f"nothing passed for {target}"))
            continue
        one = min(found, key=lambda each: each.bytes)
        if gate.size is not None and one.bytes > gate.size * original:
            share = one.bytes / original
            work.failures.append(("size", f"{one.name} has {share:.0%} of the original's bytes"))
        if gate.speed is not None and one.speed and one.speed.cpu_ratio < gate.speed:
            work.failures.append(
                (
                    "speed",
                    f"{one.name} is {one.speed.cpu_ratio:.2f} times as fast, not {gate.speed}",
                )
            )


def _copy_beside(work: Work, out: Path) -> None:
    """What goes along with a model to a box."""
    source = work.source
    if source.dictionary is not None:
        _copy(source.dictionary, out / source.dictionary.name)
    if source.config_path is not None:
        for model in out.glob(f"{work.recipe.name}.*"):
            if model.suffix in (".onnx", ".nb"):
                _copy(source.config_path, model.with_suffix(".json"))


def _copy(source: Path, target: Path) -> None:
    write_atomic(target, source.read_bytes())


def _shown(chosen: dict[Target, list[Made]]) -> tuple[str, Model] | None:
    """Whose changes the report shows: the first target's, of eight bits if it has them."""
    for target, ships in chosen.items():
        for each in sorted(ships, key=lambda made: made.precision == "fp32"):
            return f"{target} {each.precision}", each.model
    return None


def _changes(work: Work, best: tuple[str, Model]) -> Changes:
    name, model = best
    before = work.baseline.evaluation
    evaluation = work.sets["evaluation"]
    return worst_changes(
        name,
        candidates(
            work.recipe.family, evaluation.labels, evaluation.items, before, model.evaluation
        ),
    )


def _asked(work: Work) -> Asked:
    recipe, job = work.recipe, work.job
    return Asked(
        name=recipe.name,
        family=recipe.family,
        model=recipe.model,
        metric=work.metric.name,
        drop=recipe.gate.drop,
        speed=recipe.gate.speed,
        size=recipe.gate.size,
        targets=recipe.targets,
        recipe=job.text,
        command=job.command,
        quick=job.quick,
    )


def _original(work: Work) -> Artefact:
    model = work.baseline
    return Artefact(
        name="original",
        target="source",
        engine="onnxruntime",
        precision="fp32",
        files=hashed([model.path]),
        accuracy=work.accuracy(model),
        flops=cost(work, model.program)[0],
        parameters=cost(work, model.program)[1],
        ships=False,
    )
