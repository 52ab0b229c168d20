"""``lineguard bench sweep``: engines, precisions, threads, sizes and batches, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import typer
from rich.table import Table

from tools.cli.bench_options import parse_shapes, stopping, watched
from tools.cli.output import JSON, console

__all__ = ["sweep"]

PERCENTILE = 0.9
"""That so many queries are run as it takes to state it."""


def sweep(
    models: list[str] = typer.Argument(metavar="MODEL...", help="Files, or zoo:NAME."),
    threads: list[int] = typer.Option([1, 2], "--threads", min=1, max=64, help="Repeatable."),
    shape: list[str] | None = typer.Option(
        None,
        "--shape",
        help="Of an input that takes any size, x=1,3,48,320. Repeated: sizes in turn.",
    ),
    batch: list[int] = typer.Option([1], "--batch", min=1, max=1024, help="Repeatable."),
    seconds: float = typer.Option(10.0, min=0.1, max=86_400, help="Each, at least."),
    recipe: str | None = typer.Option(
        None, help="A recipe of lineguard compress: its evaluation set says how accurate each is."
    ),
    data: Path | None = typer.Option(None, help="Folder of the recipe's data."),
    out: Path = typer.Option(
        Path("lineguard-out"), help="Folder for sweep.json, sweep.html and what is measured so far."
    ),
    as_json: bool = JSON,
) -> None:
    """Measure models with every number of threads, size and batch.

    The engine and the precision are the file's own: give .onnx, .nb and .pdmodel, FP32 and INT8.
    A sweep that was interrupted goes on where it was: give it the same --out.

    Example: lineguard bench sweep dense.onnx int8.onnx --threads 1 --threads 2 --batch 1 --batch 8
    """
    from models.atomic import write_atomic
    from tools.measure.document import Scenario
    from tools.measure.session import Interrupted
    from tools.measure.stats import queries_needed
    from tools.measure.sweep import Cell, cells_of
    from tools.measure.sweep import sweep as measure_all
    from tools.measure.sweep_page import SHORT, as_sweep_lines, as_sweep_page

    shapes = [parse_shapes([each]) for each in shape or ()]
    cells = cells_of(models, threads, shapes, batch)
    queries = math.ceil(queries_needed(PERCENTILE) * 4 / 3) + 1
    accuracy, metric = _accuracy(recipe, data)

    def scenario(cell: Cell) -> Scenario:
        name = "SingleStream" if cell.batch == 1 else "Offline"
        return Scenario(name=name, samples=cell.batch, seconds=seconds, queries=queries)

    with stopping() as asked, watched() as show:
        place = {id(cell): number for number, cell in enumerate(cells, 1)}

        def progress(cell: Cell, at: float) -> None:
            show(f"{place[id(cell)]} of {len(cells)}: {cell.text}: {at:.0f} s")

        try:
            swept = measure_all(cells, scenario, out, asked, accuracy, metric, progress)
        except Interrupted:
            typer.echo(
                "error: interrupted: the same command with the same --out goes on from here",
                err=True,
            )
            raise typer.Exit(1) from None
    data_json = swept.as_json()
    write_atomic(out / "sweep.json", data_json)
    write_atomic(out / "sweep.html", as_sweep_page(swept))
    if as_json:
        typer.echo(data_json.decode(), nl=False)
    else:
        table = Table(*SHORT, *([metric] if metric else []), box=None, pad_edge=False)
        for row in as_sweep_lines(swept):
            table.add_row(*row)
        console.print(table)
        for each in swept.outcomes:
            if each.fault:
                text = f"failed: {each.cell.text}: {each.fault}"
                console.print(text, soft_wrap=True, highlight=False, markup=False)
        console.print(f"report: {out / 'sweep.html'}", soft_wrap=True, highlight=False)
    if any(each.fault for each in swept.outcomes):
        raise typer.Exit(3)


def _accuracy(
    recipe: str | None, data: Path | None
) -> tuple[Callable[[Path, int], float] | None, str]:
    """What says how accurate a model file is, and what that is called."""
    if recipe is None:
        return None, ""
    from tools.recipe_file import find_recipe, load_recipe
    from tools.sweep_accuracy import accuracy_of

    path = find_recipe(recipe)
    return accuracy_of(load_recipe(path), data or path.parent)
