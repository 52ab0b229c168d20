"""``lineguard shadow``: what a bundle that looked on would have said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from models.errors import InputError
from tools.cli.output import JSON, console, print_json

if TYPE_CHECKING:
    from edge.loop.comparisons import Comparisons

__all__ = ["app"]

app = typer.Typer(
    help="A second bundle that looks at the same parts, and where it differs.",
    no_args_is_help=True,
)

STATION = typer.Argument(metavar="STATION", help="A station.toml.")


@app.command()
def report(
    station: Path = STATION,
    html: Path | None = typer.Option(
        None, "--html", help="Also write a page with the pictures of the parts that differ."
    ),
    limit: int = typer.Option(100, min=1, max=900, help="Of the pictures of one pair of bundles."),
    language: Literal["en", "zh"] = typer.Option("en", "--language", help="en or zh."),
    as_json: bool = JSON,
) -> None:
    """Say on how many parts two bundles agree, and where they differ. The station may run.

    Example: lineguard shadow report station.toml --html shadow.html
    """
    from edge.loop.comparisons import summary_of
    from models.atomic import write_atomic
    from tools.shadow_report import judgement, report_page, rows

    if html is not None and (html.is_dir() or not html.parent.is_dir()):
        raise InputError(f"{html}: is no place for a file: name one in a folder that exists")
    store = _comparisons(station)
    try:
        pairs = store.pairs()
        summaries = [summary_of(each, store.latencies(each["id"])) for each in pairs]
        if html is not None:
            differences = (store.differences(each["id"], limit) for each in pairs)
            page = report_page(zip(summaries, differences, strict=True), language)
            write_atomic(html, page)
    finally:
        store.close()
    if as_json:
        print_json({"pairs": summaries, "html": None if html is None else str(html)})
        return
    for summary in summaries:
        width = max(len(name) for name, _ in rows(summary, "en"))
        for name, value in rows(summary, language):
            console.print(f"{name:{width}}  {value}", soft_wrap=True, highlight=False, markup=False)
        console.print(judgement(summary, language), soft_wrap=True, highlight=False, markup=False)
    if not summaries:
        console.print("nothing compared yet")
    if html is not None:
        console.print(f"written: {html}", soft_wrap=True, highlight=False)


@app.command()
def clear(station: Path = STATION, as_json: bool = JSON) -> None:
    """Forget what was compared; a shadow that runs begins to count anew.

    Example: lineguard shadow clear station.toml
    """
    store = _comparisons(station)
    try:
        count = store.clear()
    finally:
        store.close()
    if as_json:
        print_json({"cleared": count})
    else:
        console.print(f"{count} comparisons forgotten")


def _comparisons(path: Path) -> Comparisons:
    from edge.loop.comparisons import Comparisons, shadow_path
    from edge.station import load_station
    from tools.running import register_line

    register_line()
    return Comparisons(shadow_path(path, load_station(path)))
