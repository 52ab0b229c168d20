"""``lineguard demo``: the whole thing on this machine, without a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from tools.cli.output import console, print_json
from tools.cli.run import LANGUAGE, print_summary

__all__ = ["demo"]


def demo(
    parts: int = typer.Option(60, min=4, max=1_000_000, help="Parts that pass, over all cameras."),
    seed: int = typer.Option(7, min=0, max=2**31 - 1, help="Same seed, same parts."),
    rate: float = typer.Option(2.0, min=0.1, max=50, help="Parts a second past each camera."),
    sheet: Path | None = typer.Option(None, help="Draw the newest 24 parts on this PNG or JPEG."),
    language: Literal["en", "zh"] = LANGUAGE,
    as_json: bool = typer.Option(False, "--json", help="Print the summary as one JSON document."),
) -> None:
    """See lineguard work: a simulated line, real models, verdicts compared with the truth.

    Cartons, caps, cable markers and bare boards pass four cameras; about one in five is faulty: a
    wrong lot, an expired date, wiped print, a broken track. Each is read or searched for defects
    and judged, and a browser shows it, if there is one. Exit code 1 if fewer than 99% of the
    verdicts equal the truth.

    Example: lineguard demo --parts 500
    """
    from edge.display.state import DisplayState
    from edge.io.base import Output
    from tools.browsing import browsed
    from tools.running import needs_line_extra
    from tools.sheet import Sheet
    from tools.terminal import Terminal

    with needs_line_extra():
        from tools.demonstration import GOAL, demo_clock, demo_station, run_demo

    station, clock = demo_station(parts, seed, rate), demo_clock()
    outputs: list[Output] = [Sheet(sheet)] if sheet else []
    if as_json:
        summary, agreement = run_demo(station, outputs, clock)
        print_json(summary)
    else:
        display = DisplayState(station, clock)
        around = browsed(display, language, parts, console)
        with Terminal(station.station.name, language, console) as terminal:
            shown = [*outputs, display, terminal]
            summary, agreement = run_demo(station, shown, clock, around)
        wrong = summary.pop("disagreements")
        print_summary(summary)
        for each in wrong:
            console.print(f"disagreement   {each}", soft_wrap=True, highlight=False)
        if sheet:
            console.print(f"drawn          {sheet}", soft_wrap=True, highlight=False)
    if agreement.share < GOAL:
        raise typer.Exit(1)
