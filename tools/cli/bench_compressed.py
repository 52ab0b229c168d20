"""``lineguard bench compressed``: what a compression gains, engine by engine."""

from __future__ import annotations

from pathlib import Path

import typer

from tools.cli.bench_options import stopping, watched
from tools.cli.output import JSON, THREADS, console, print_json

__all__ = ["compressed"]


def compressed(
    outs: list[Path] = typer.Argument(
        metavar="OUT...", help="Folders that lineguard compress --out made."
    ),
    minutes: float = typer.Option(1.0, min=0.01, max=1440, help="Of each report, about."),
    threads: int = THREADS,
    out: Path = typer.Option(
        Path("lineguard-out"), help="Folder for index.html, and an .html and .json a report."
    ),
    as_json: bool = JSON,
) -> None:
    """Measure models as they came in beside what ships of them, in turns, on each engine.

    ONNX Runtime runs the stock FP32 file and the one that ships; Paddle Lite both programs in
    FP32, as files for x86-64 that are made for it here. What cannot be compared is left out, and
    said.

    Example: lineguard bench compressed det/ rec/ pcb/ --out reports
    """
    from tools.measure.compressed import make_reports
    from tools.measure.compressed_page import as_words
    from tools.measure.pairs import Left, Pair, Report

    def say(each: Report | Left) -> None:
        if not as_json:
            console.print(as_words(each), soft_wrap=True, highlight=False, markup=False)

    with stopping() as asked, watched() as show:

        def progress(pair: Pair, rounds: int, of: int) -> None:
            show(f"{pair.name} on {pair.engine}: round {rounds} of {of}")

        made = make_reports(
            outs, out, asked, seconds=minutes * 60, threads=threads, progress=progress, show=say
        )
        stopped = asked()
    if as_json:
        print_json(
            {
                "reports": [each.as_row() for each in made if isinstance(each, Report)],
                "left_out": [vars(each) for each in made if isinstance(each, Left)],
            }
        )
    else:
        console.print(f"report: {out / 'index.html'}", soft_wrap=True, highlight=False)
    faults = [each.fault for each in made if isinstance(each, Report) and each.fault]
    if faults:
        word = "interrupted" if stopped else faults[0]
        typer.echo(f"error: incomplete: {word}", err=True)
        raise typer.Exit(1 if stopped else 3)
