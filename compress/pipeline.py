"""From a recipe to the files that a box needs, with the proof that they are good enough.

::

    result = compress(Job(recipe, base, data, out))
    print(result.verdict)

The order: check the pictures, simplify exactly, prune and tune, quantise, and at each step measure
on the evaluation set what came out. What misses the gate is dropped, and the work goes on from
the last model that passed. ``OUT`` then holds a file for each engine, what goes along with it,
``result.json`` (see :mod:`compress.result`) and ``report.html``; ``OUT/.stages`` holds every step,
so that a run that was stopped or killed goes on where it was.
"""

from __future__ import annotations

from datetime import datetime, timezone

from compress.result import Result
from compress.ship import Made, engine_of, ship
from compress.steps.detector import smaller_detector
from compress.steps.eight import onnx_files
from compress.steps.lite import lite_files
from compress.steps.program import original, simplified
from compress.steps.smaller import smaller_program
from compress.work import Job, Model, Show, Stop, Work, never, silent

__all__ = ["compress"]


def compress(job: Job, *, show: Show = silent, stop: Stop = never) -> Result:
    """Do all of it; a second run gives what is there.

    Parameters
    ----------
    show
        Is told what is being done, and how far it is.
    stop
        Is asked now and then.

    Returns
    -------
    What is in ``result.json``; ``passed`` says whether everything that was asked for was reached.

    Raises
    ------
    Stopped
        It was asked to stop.
    LineguardError
        Names what is wrong with the model, the pictures or the disk.
    """
    work = Work(job, show, stop)
    with work.stages.locked():
        started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        work.open()
        source = original(work)
        best, simplification = simplified(work, source)
        if best.verdict.passed:
            work.choose(best.name)
        else:
            work.failures.append(("simplify", best.verdict.why))
            best = source
        best = _trained(work, best)
        # What was tuned may be better than what came in: then that is what must not be lost.
        against = max(source, best, key=lambda model: model.evaluation.value)
        engines = {engine_of(target) for target in work.recipe.targets}
        asked = work.recipe.quantise
        made: list[Made] = []
        if "onnxruntime" in engines:
            made += onnx_files(work, best, against, asked)
        if "paddle_lite" in engines:
            made += lite_files(work, best, against, asked)
        return ship(work, started, made, simplification)


def _trained(work: Work, best: Model) -> Model:
    """The pruned and tuned model, if that was asked for and if it passed; else the same."""
    prune, tune = work.recipe.prune, work.recipe.tune
    if prune is None and tune is None:
        return best
    if work.recipe.family == "ppyoloe":
        model = smaller_detector(work, prune, tune, work.baseline)
    else:
        model = smaller_program(work, prune, tune, best)
    if not model.verdict.passed:
        last = work.tries[-1]
        work.failures.append((last.stage, f"{last.name} {last.why}"))
        return best
    work.choose(model.name)
    return model
