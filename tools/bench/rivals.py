"""What ``lineguard compress`` made, side by side with what others make of the same models.

Rivals get the stock model and the pictures that ours learnt from. All are measured on the recipe's
evaluation set by the recipe's own metric, and timed in turns with the FP32 original. What is slow
is a stage in the output folder of the compression, so that a bench that is stopped goes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from compress.batches import Batches
from compress.cache import file_sha256
from compress.gate import measured
from compress.metrics import Evaluation, Feeds
from compress.recipe import Recipe
from compress.result import Result, load_result
from compress.steps.eight import onnx_files
from compress.steps.program import original, simplified
from compress.work import Job, Model, Show, Work, silent
from models.errors import EngineError, InputError, ModelError
from tools.bench.rival_models import act_int8, plain_int8
from tools.recipe_file import load_recipe, ready_recipes

__all__ = ["against_rivals"]

VERSION = 1
"""Of what rivals are given: another number makes them all again."""

FAITHFUL = 0.005
"""Share of the metric that a converted model may lose before its program is asked as well."""


BATCH = 8
"""What each step shows: norms learn little from one line, and training on one photo diverges."""

WHOLE = ("ppocr_rec", "ppocr_cls")
"""Families whose pictures are shown whole; of others a batch is crops, about a photo's area."""


@dataclass(frozen=True)
class _Lessons:
    """Every picture about once, as our own tuning takes them: the same each time."""

    batches: Batches

    def __iter__(self) -> Iterator[Feeds]:
        for step in range(len(self)):
            yield self.batches(step).feeds

    def __len__(self) -> int:
        pictures = len(self.batches.items)
        return -(-pictures // BATCH) if self.batches.recipe.family in WHOLE else pictures


@dataclass(frozen=True)
class _Entrant:
    """One line of the table; ``path`` is what is timed and weighed, ``why`` what is missing."""

    name: str
    path: Path | None = None
    evaluation: Evaluation | None = None
    why: str = ""
    notes: tuple[str, ...] = ()


def against_rivals(
    out: Path, data: Path, *, minutes: float, threads: int = 1, show: Show = silent
) -> dict[str, Any]:
    """Compare what one recipe came to.

    Parameters
    ----------
    out
        Output folder of a ``lineguard compress`` that is done; rivals are kept in its stages.
    data
        Folder of the recipe's pictures.
    minutes
        Of an epoch of ACT, at most.

    Raises
    ------
    LineguardError
        The folder does not hold what its result says, or the pictures are others.
    """
    result = load_result(out / "result.json")
    ours = _int8(out, result)
    base = next(iter(ready_recipes().values())).parent
    quick = result.asked.quick
    work = Work(Job(_recipe(result), base, data, out, quick=quick, threads=threads), show)
    with work.stages.locked():
        work.open()
        for which, each in work.sets.items():
            known = result.data.get(which)
            if known is None or known.sha256 != each.sha256:
                raise InputError(
                    f"{data}: its {which} set is not the one of {out}: give the folder that was "
                    "compressed with, or compress again"
                )
        source = original(work)
        entrants = [
            _Entrant("FP32 original", source.path, source.evaluation),
            _Entrant(_ours(work.recipe), ours, _measured(work, ours, "lineguard")),
            *_untuned(work, source),
            _plain(work, source),
            _act(work, source, minutes),
        ]
        rows = [_row(work, source, each) for each in entrants]
    return {
        "recipe": work.recipe.name,
        "metric": work.metric.name,
        "quick": quick,
        "pictures": {which: len(each.items) for which, each in work.sets.items()},
        "shape": {name: list(size) for name, size in work.shape.items()},
        "threads": threads,
        "rows": rows,
    }


def _recipe(result: Result) -> Recipe:
    """As it was, whatever the one that ships says today."""
    with tempfile.TemporaryDirectory(prefix="lineguard-recipe-") as scratch:
        path = Path(scratch) / f"{result.asked.name}.toml"
        path.write_text(result.asked.recipe, "utf-8")
        return load_recipe(path)


def _int8(out: Path, result: Result) -> Path:
    """The INT8 file for ONNX Runtime that ships."""
    for each in result.artefacts:
        if each.engine == "onnxruntime" and each.precision == "int8" and each.ships:
            (file,) = each.files
            path = out / file.path
            if not path.is_file() or file_sha256(path) != file.sha256:
                raise InputError(f"{path}: is not what {out}/result.json says: compress again")
            return path
    raise InputError(f"{out}: ships no INT8 for ONNX Runtime: there is nothing to compare")


def _ours(recipe: Recipe) -> str:
    did = [word for word, step in (("pruned", recipe.prune), ("tuned", recipe.tune)) if step]
    labels = " on texts" if recipe.tune and recipe.tune.labels else ""
    return f"lineguard, {' and '.join(did)}{labels}" if did else "lineguard"


def _untuned(work: Work, source: Model) -> Iterator[_Entrant]:
    """Ours of the stock weights, where those that ship are others."""
    asked = work.recipe.quantise
    if asked is None or not (work.recipe.prune or work.recipe.tune):
        return
    plain, _ = simplified(work, source)
    made = onnx_files(work, plain, source, asked)
    eight = [each.model for each in made if each.precision == "int8"]
    if not eight:
        yield _Entrant("lineguard, stock weights", why=f"would not ship: {work.tries[-1].why}")
    for model in eight:
        yield _Entrant("lineguard, stock weights", model.path, model.evaluation)


def _plain(work: Work, source: Model) -> _Entrant:
    name = f"quantize_static of ONNX Runtime {version('onnxruntime')}"

    def make(folder: Path) -> dict[str, Any]:
        bar, pictures = work.show("quantize_static"), work.items("calibration")

        def feeds() -> Iterator[Feeds]:
            for number, item in enumerate(pictures):
                yield from work.metric.feeds(item)
                bar(number + 1, len(pictures))

        return {"told": plain_int8(source.path, folder / "model.onnx", feeds())}

    said = {"version": version("onnxruntime"), "set": work.sets["calibration"].sha256}
    try:
        stage = work.stages.run("rival-plain", VERSION, {"model": source.path}, said, make)
    except ModelError as error:
        return _Entrant(name, why=f"failed: {error}")
    told = stage.facts["told"]
    found = _run(work, name, stage.folder / "model.onnx")
    return replace(found, notes=(f"fails without {told}",)) if told else found


def _act(work: Work, source: Model, minutes: float) -> _Entrant:
    name = f"ACT of PaddleSlim {version('paddleslim')}"

    # As it came, but for a detector, which comes as weights.
    stock = work.source.path
    program = stock if stock.suffix == ".pdmodel" else source.program

    def make(folder: Path) -> dict[str, Any]:
        items = (*work.items("calibration"), *work.items("tuning"))
        batches = Batches(work.recipe, work.metric, items, BATCH, config=work.source.config)
        lessons = _Lessons(batches)
        return act_int8(program, folder, lessons, minutes, work.show("ACT"))

    sets = {which: each.sha256 for which, each in work.sets.items() if which != "evaluation"}
    said = {"version": version("paddleslim"), "minutes": minutes, "sets": sets}
    try:
        stage = work.stages.run("rival-act", VERSION, {"model": program}, said, make)
    except ModelError as error:
        return _Entrant(name, why=f"failed: {error}")
    notes = _act_notes(stage.facts, len(work.items("calibration")) + len(work.items("tuning")))
    if not stage.facts["finite"]:
        return _Entrant(name, why="diverged: its weights are no numbers any more", notes=notes)
    path = stage.folder / "model.onnx"
    found = _run(work, name, path) if path.is_file() else None
    value = found.evaluation.value if found and found.evaluation else 0.0
    if found and value >= (1 - FAITHFUL) * source.evaluation.value:
        return replace(found, notes=notes)
    # Perhaps it was lost in converting: Paddle computes the rounding as it was trained.
    native = _run(work, f"{name} in Paddle", stage.folder / "model.pdmodel")
    if native.evaluation is None or value >= (1 - FAITHFUL) * native.evaluation.value:
        why = stage.facts["converted"] or native.why
        return replace(found, notes=notes) if found else _Entrant(name, why=why, notes=notes)
    onnx = found.why or f"{value:.4f}, which is timed" if found else stage.facts["converted"]
    notes = (*notes, f"accuracy is Paddle's; as ONNX: {onnx}")
    return _Entrant(name, found.path if found else None, native.evaluation, notes=notes)


def _act_notes(facts: Mapping[str, Any], pictures: int) -> tuple[str, ...]:
    epochs = facts["epochs"][-len(facts["strategies"]) :]
    steps = ", ".join(
        f"{strategy} {steps} steps"
        # It may have gone through the pictures before, to look at them.
        for strategy, steps in zip(facts["strategies"], epochs, strict=True)
    )
    ended = ", ended by the time given" if facts["stopped"] else ""
    notes = f"{steps} on {pictures} pictures{ended}"
    if not facts["refused"]:
        return (notes,)
    return (notes, f"its own choice fails ({facts['refused']}): told to take qat_dis")


def _measured(work: Work, path: Path, what: str) -> Evaluation:
    return work.measure.evaluate(path, work.show(f"measuring {what}"))


def _run(work: Work, name: str, path: Path) -> _Entrant:
    """A rival's model, which may be one that no engine takes."""
    try:
        return _Entrant(name, path, _measured(work, path, name))
    except EngineError as error:
        return _Entrant(name, why=f"fails: {error}")


def _row(work: Work, source: Model, each: _Entrant) -> dict[str, Any]:
    row: dict[str, Any] = {"name": each.name, "why": each.why, "notes": list(each.notes)}
    if each.evaluation is not None:
        found = measured(work.metric, source.evaluation, each.evaluation, work.recipe.seed)
        row |= found.model_dump(exclude={"items", "more"})
    if each.path is not None:
        row["bytes"] = each.path.stat().st_size
        row["cpu_ratio"] = 1.0
        if each.path != source.path:
            work.show(f"timing {each.name}")
            row["cpu_ratio"] = work.measure.speed(source.path, each.path, work.shape).cpu_ratio
    return row
