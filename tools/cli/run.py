"""``lineguard run``: a station at work."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import typer
from rich.console import Console

from tools.cli.output import console, print_json

__all__ = ["LANGUAGE", "print_summary", "run"]

LANGUAGE = typer.Option("en", "--language", help="Of the reasons: en or zh.")


def run(
    station_file: Path = typer.Argument(metavar="STATION", help="A station.toml."),
    parts: int | None = typer.Option(None, min=1, help="Stop after so many parts."),
    language: Literal["en", "zh"] = LANGUAGE,
    as_json: bool = typer.Option(
        False, "--json", help="Print each verdict as one JSON object a line, the summary last."
    ),
) -> None:
    """Run a station: parts pass its cameras, each is read and judged, OK or NG with the reason.

    Stops on Ctrl-C or SIGTERM within a second, or when a file or folder has been shown to its
    end. Exit code 1 if --parts was given and one of them was NG. With a display a camera that is
    not there at the start is waited for, and what is wrong with the box is shown.

    Example: lineguard run station.toml --parts 100
    """
    from edge.box.heap import few_heaps, give_back
    from edge.io.base import Output
    from edge.io.jsonl import JsonlOutput
    from edge.loop import Line, open_models
    from edge.station import JobFile, load_station
    from tools.checking import station_challenge, station_drift
    from tools.running import (
        Board,
        displayed,
        followed,
        pulse,
        register_line,
        station_changes,
        station_display,
        station_outputs,
        station_shadow,
        stopped_by_signals,
    )
    from tools.terminal import Terminal

    register_line()
    few_heaps()
    board = Board()
    written = load_station(station_file)
    jobs = JobFile(station_file, written)
    station = board.place(jobs.restore())
    board.pin(station, Console(stderr=True) if as_json else console)
    inspectors = open_models(station)
    give_back()
    displays = station_display(station)
    terminal = Terminal(station.station.name, language, console)
    terminals = [] if as_json else [terminal]
    outputs: list[Output] = [*station_outputs(station, displays, terminals), *displays]
    changes = station_changes(station, station_file, displays, board)
    drifts = station_drift(station, station_file, displays, outputs)
    challenges = station_challenge(station, station_file, displays, outputs, drifts)
    outputs += [*changes, *drifts, *challenges]
    outputs += station_shadow(station, station_file, displays)
    outputs.append(JsonlOutput.stdout() if as_json else terminal)
    line = Line(station, inspectors, outputs, limit=parts, keep=jobs.keep, patient=bool(displays))
    with ExitStack() as around:
        around.enter_context(
            displayed(displays, line, Console(stderr=True) if as_json else console)
        )
        if displays:
            around.enter_context(board.watch(station_file, station, displays))
        if not as_json:
            around.enter_context(terminal)
        around.enter_context(stopped_by_signals(line))
        around.enter_context(pulse(line))
        followed([*changes, *challenges], line)
        line.run()
    if as_json:
        print_json({"summary": line.summary()})
    else:
        print_summary(line.summary())
    if parts is not None and line.tally.ng:
        raise typer.Exit(1)


def print_summary(summary: dict[str, object]) -> None:
    """What a run came to, for people."""
    for key, value in summary.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {number}" for name, number in value.items())
        console.print(f"{key:14} {value}", soft_wrap=True, highlight=False)
