"""What the benches share: their options, Ctrl-C, and saying how far they are."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn

__all__ = [
    "BASELINE",
    "BATCH",
    "FAIL_IF",
    "IMAGES",
    "OUT",
    "PERCENTILE",
    "SCENARIO",
    "SECONDS",
    "SHAPE",
    "Load",
    "parse_shapes",
    "stopping",
    "watched",
]

Load = Literal["single", "multi", "offline"]

IMAGES = typer.Argument(metavar="IMAGES...", help="Image files, or folders of them.")
SCENARIO = typer.Option(
    "single",
    "--scenario",
    help="single: one query after the other. multi: queries of 8 samples. offline: throughput.",
)
SECONDS = typer.Option(60.0, "--seconds", min=0.1, max=86_400, help="At least so long.")
PERCENTILE = typer.Option(
    None,
    "--percentile",
    min=50,
    max=99.9,
    help="Go on until this one can be stated; else 90, of multi and line 99.",
)
BATCH = typer.Option(1, "--batch", min=1, max=1024, help="Samples that the engine takes at once.")
SHAPE = typer.Option(None, "--shape", help="Of an input that takes any: x=1,3,48,320. Repeatable.")
OUT = typer.Option(
    Path("lineguard-out"), "--out", help="Folder for bench.json, bench.html and bench.xml (JUnit)."
)
FAIL_IF = typer.Option(
    None, "--fail-if", help="Exit code 1 if so: 'p99 > 40ms', 'ratio.p50 > 1.05'. Repeatable."
)
BASELINE = typer.Option(
    None, "--baseline", help="An earlier bench.json, for ratios of this run to that one."
)


def parse_shapes(given: list[str] | None) -> dict[str, list[int]]:
    """``NAME=1,3,48,320`` of each input; ``InputError`` for anything else."""
    from models.errors import InputError

    shapes = {}
    for text in given or ():
        name, _, sizes = text.rpartition("=")
        numbers = sizes.split(",")
        good = name and all(
            each.isascii() and each.isdigit() and 0 < int(each) <= 65_536 for each in numbers
        )
        if not good or len(numbers) > 8:
            raise InputError(f"--shape {text!r}: is no shape: write NAME=1,3,48,320")
        shapes[name] = [int(each) for each in numbers]
    return shapes


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end the bench with what it knows; says whether one came."""
    came: list[int] = []
    old = {
        each: signal.signal(each, lambda number, frame: came.append(number))
        for each in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield lambda: bool(came)
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)


@contextmanager
def watched() -> Iterator[Callable[[str], None]]:
    """Says how far it is, if a person is watching."""
    with Progress(
        TextColumn("measuring: {task.description}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as progress:
        task = progress.add_task("opening", total=None)
        yield lambda words: progress.update(task, description=words)
