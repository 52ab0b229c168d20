"""``lineguard compress``: a trained model, smaller and faster, and proof that it still works."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tools.cli.output import JSON, console

if TYPE_CHECKING:  # their import takes seconds, which --help should not
    from compress.result import Artefact, Result
    from compress.work import Show

__all__ = ["compress"]

LINE_S = 60.0
"""Between two lines where nobody watches a bar; a log of a night stays readable."""


def compress(
    recipe: str = typer.Argument(
        help="A recipe (TOML), or the name of one that ships: ppocrv4-det, ppocrv4-rec, "
        "ppocrv4-rec-wire, ppocr-cls, pcb-defects-xs."
    ),
    data: Path | None = typer.Option(
        None, help="Folder that the recipe's pictures are in; else the recipe's own."
    ),
    out: Path = typer.Option(Path("lineguard-compress"), help="Folder of all that comes out."),
    quick: bool = typer.Option(
        False, "--quick", help="Fewer pictures and less time, to see whether all of it works."
    ),
    threads: int = typer.Option(1, min=1, max=64, help="Threads of an engine when it is timed."),
    as_json: bool = JSON,
) -> None:
    """Make a trained model smaller and faster, and prove that it still does its work.

    Simplifies, prunes, tunes and quantises as the recipe says, measures every step on pictures
    that the model has not seen, and ships the best that held the gate. OUT then holds the models,
    what goes with them to a box, result.json and report.html. Stop it whenever you like: the same
    command goes on. Exit code 1 if the gate or a goal was missed; the best that passed lies in OUT
    even so.

    Example: lineguard compress ppocrv4-det --data data/ --out det/ --quick
    """
    from tools.recipe_file import find_recipe, load_recipe

    path = find_recipe(recipe)
    asked = load_recipe(path)
    _import_paddle()
    from compress.pipeline import compress as run
    from compress.work import Job, Stopped

    job = Job(
        asked,
        base=path.parent,
        data=path.parent if data is None else data,
        out=out,
        quick=quick,
        threads=threads,
        text=path.read_text("utf-8-sig"),
        command=shlex.join(["lineguard", *sys.argv[1:]]),
    )
    try:
        with _shown() as show, _asked_to_stop() as stop:
            result = run(job, show=show, stop=stop)
    except Stopped:
        console.print("stopped: the same command goes on from there", soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(result.as_json().decode())
    else:
        _print(result, out)
    if not result.passed:
        raise typer.Exit(1)


def _import_paddle() -> None:
    """Import it without its warnings: none of them is ours to mend."""
    warnings.filterwarnings("ignore", module=r"paddle\.")
    os.environ.setdefault("GLOG_minloglevel", "2")  # of the processes that train, too
    with contextlib.redirect_stderr(io.StringIO()):
        import paddle  # noqa: F401


def _print(result: Result, out: Path) -> None:
    table = Table(
        "model", result.asked.metric, "95%", "drop", "MB", "size", "speed", "ships",
        box=None, pad_edge=False,
    )  # fmt: skip
    for each in (result.original, *result.artefacts):
        table.add_row(*_row(each, result.original))
    console.print(table)
    console.print(result.verdict, soft_wrap=True, highlight=False)
    console.print(f"report: {out / 'report.html'}", soft_wrap=True, highlight=False)


def _row(each: Artefact, original: Artefact) -> tuple[str, ...]:
    found, speed = each.accuracy, each.speed
    return (
        each.name,
        f"{found.value:.4f}" if found else "-",
        f"{found.low:.4f} to {found.high:.4f}" if found else "-",
        f"{found.drop:+.2%}" if found else "-",
        f"{each.bytes / 1e6:.2f}",
        f"{each.bytes / original.bytes:.0%}",
        f"{speed.cpu_ratio:.2f}x" if speed else "-",
        "yes" if each.ships else "" if each is original else "no",
    )


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """SIGINT and SIGTERM let the running step come to where it can be gone on from."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        asked.append(number)
        if len(asked) > 1:  # meant: what is whole is kept in any case
            raise KeyboardInterrupt

    old = {each: signal.signal(each, ask) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _shown() -> Iterator[Show]:
    """One bar for what is being done; or a line a minute where nobody watches."""
    notes = Console(stderr=True)
    watched = sys.stderr.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    last = time.monotonic()
    with Progress(*columns, console=notes, disable=not watched) as bars:

        def show(what: str) -> Callable[[int, int], None]:
            task = bars.add_task(what, total=None)
            for each in bars.tasks[:-1]:  # a finished one stays in sight above the bar
                if each.visible:
                    bars.update(each.id, visible=False)
            # What an earlier run had done says nothing of the pace of this one.
            first: tuple[int, float] | None = None

            def move(done: int, total: int) -> None:
                nonlocal last, first
                bars.update(task, completed=done, total=total)
                now = time.monotonic()
                if first is None:
                    first = (done, now)
                if not watched and now - last > LINE_S:
                    last = now
                    left = (now - first[1]) / max(done - first[0], 1) * max(total - done, 0)
                    notes.print(
                        f"{what}: {done} of {total}, {left / 60:.0f} min left",
                        highlight=False,
                        soft_wrap=True,
                    )

            return move

        yield show
