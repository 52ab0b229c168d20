"""What the subcommands share: JSON for machines, progress for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["JSON", "THREADS", "console", "print_json", "track"]

T = TypeVar("T")

JSON = typer.Option(False, "--json", help="Print one JSON document on stdout, for machines.")
THREADS = typer.Option(2, "--threads", min=1, max=64, help="Threads of the engine.")

console = Console()
_notes = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout; the text as it is, not escaped."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def track(items: Sequence[T] | Iterable[T], what: str, total: int) -> Iterator[T]:
    """Go through ``items`` with a progress bar on stderr, if a person is watching."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_notes, disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(items, total=total)
