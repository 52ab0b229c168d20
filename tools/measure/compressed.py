"""Reports of compressions: the model as it came in beside what ships, engine by engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from models.atomic import write_atomic
from models.errors import InputError, LineguardError
from tools.measure.ab import measure_ab
from tools.measure.compressed_page import as_index
from tools.measure.page import as_page
from tools.measure.pairs import Left, Pair, Report, pairs_of
from tools.measure.session import Interrupted

__all__ = ["make_reports"]

INTERRUPTED = "interrupted before there was anything to report"


def make_reports(
    outs: Sequence[Path],
    folder: Path,
    stopping: Callable[[], bool],
    *,
    seconds: float,
    threads: int,
    progress: Callable[[Pair, int, int], None],
    show: Callable[[Report | Left], None],
) -> list[Report | Left]:
    """Measure every pair of all compressions in turns, and write a report of each.

    A pair that fails is told, and the others go on. Files come as they are made, ``NAME-ENGINE``
    with ``.html`` and ``.json``, and ``index.html`` anew with each.

    Parameters
    ----------
    outs
        What ``lineguard compress --out`` made.
    seconds
        Of each pair, about.
    progress
        Told the rounds that are done of a pair, and how many there are.
    show
        Told each as it comes.

    Raises
    ------
    InputError
        One is no output of a compression, two are of the same recipe, or there is nothing to
        compare.
    StorageError
        The folder cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="lineguard-pairs-") as scratch:
        todo = _all_pairs(outs, Path(scratch))
        done: list[Report | Left] = []
        for each in todo:
            if isinstance(each, Pair):
                made = _report(each, stopping, seconds, threads, progress)
                done.append(made)
                if made.document is not None:
                    write_atomic(folder / f"{made.stem}.json", made.document.as_json())
                    write_atomic(folder / f"{made.stem}.html", as_page(made.document))
            else:
                done.append(each)
            write_atomic(folder / "index.html", as_index(done))
            show(done[-1])
    return done


def _all_pairs(outs: Sequence[Path], scratch: Path) -> list[Pair | Left]:
    todo: list[Pair | Left] = []
    for number, out in enumerate(outs):
        within = scratch / str(number)
        within.mkdir()
        found = pairs_of(out, within)
        if any(each.name == found[0].name for each in todo):
            raise InputError(f"{out}: is of {found[0].name}, as another one is: give one of them")
        todo += found
    if not any(isinstance(each, Pair) for each in todo):
        raise InputError(todo[0].why if isinstance(todo[0], Left) else "nothing to compare")
    return todo


def _report(
    pair: Pair,
    stopping: Callable[[], bool],
    seconds: float,
    threads: int,
    progress: Callable[[Pair, int, int], None],
) -> Report:
    common = {"kind": "model", "threads": threads, "shapes": pair.shapes}
    try:
        document = measure_ab(
            common | {"model": str(pair.dense)},
            common | {"model": str(pair.compressed)},
            stopping,
            seconds=seconds,
            progress=lambda rounds, of: progress(pair, rounds, of),
        )
    except Interrupted:
        return Report(pair, None, INTERRUPTED)
    except LineguardError as error:
        return Report(pair, None, str(error))
    what = {side: dict(facts) for side, facts in document.what.items()}
    accuracy = pair.artefact.accuracy
    if accuracy is not None:
        lost = f"{accuracy.drop:+.2%} ({accuracy.drop_low:+.2%} to {accuracy.drop_high:+.2%})"
        what["b"] |= {pair.metric: f"{accuracy.value:.4f}", f"{pair.metric} lost": lost}
    for side, size in zip("ab", pair.bytes, strict=True):
        what[side]["bytes"] = size
    update = {"what": what, "notes": (*document.notes, *pair.notes)}
    return Report(pair, document.model_copy(update=update), document.fault)
