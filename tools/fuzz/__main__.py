"""Injects faults by the thousand and says what came of them; ``docs/faults.md`` holds a run."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Sequence
from typing import Any

import typer
from rich.table import Table

from tools.cli.output import JSON, console, print_json, track
from tools.fuzz.transfers import DEADLINE, KINDS, Outcome, Transfers, folder_in_memory

__all__ = ["app", "summary"]

HANGS = 60
"""Real seconds, after which a transfer ends this process, and where it hangs is printed."""

ENDS = ("confirmed", "trial", "line", "unseen")

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _main() -> None:
    """Inject faults by the thousand."""


@app.command()
def transfers(
    count: int = typer.Option(10_000, min=1, help="How many."),
    seed: int = typer.Option(0, help="Of the first; the others follow it."),
    as_json: bool = JSON,
) -> None:
    """Flash small bundles over lines that flip, drop, duplicate, delay, truncate and disconnect.

    Each must be confirmed, or have an error while the old bundle runs; exit code 1 if one does not.
    10,000 take 10 to 20 minutes on one core.

    Example: python -m tools.fuzz transfers --count 1 --seed 4711
    """
    begin = time.monotonic()
    outcomes = []
    with folder_in_memory() as folder:
        made = Transfers(folder)
        for number in track(range(seed, seed + count), "transfers", count):
            faulthandler.dump_traceback_later(HANGS, exit=True)
            outcomes.append(made.run(number))
            faulthandler.cancel_dump_traceback_later()
    result = {
        "command": f"python -m tools.fuzz transfers --count {count} --seed {seed}",
        **summary(outcomes),
        "real_s": round(time.monotonic() - begin, 1),
    }
    if as_json:
        print_json(result)
    else:
        _show(result)
    if result["wrong"]:
        raise typer.Exit(1)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Counts by kind of fault, and everything that is wrong."""
    kinds: dict[str, Any] = {
        kind: _counts([each for each in outcomes if each.struck.get(kind)])
        | {"injected": sum(each.struck.get(kind, 0) for each in outcomes)}
        for kind in KINDS
    }
    times = sorted(each.took_s for each in outcomes)
    ranks = {"median": 50, "p99": 99, "max": 100}
    return {
        "all": _counts(outcomes),
        "kinds": kinds,
        "simulated_s": {
            name: round(times[-(-rank * len(times) // 100) - 1], 1) for name, rank in ranks.items()
        },
        "deadline_s": DEADLINE,
        "wrong": [f"seed {each.seed}: {each.wrong}" for each in outcomes if each.wrong],
    }


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts = {end: sum(each.end == end for each in outcomes) for end in ENDS}
    wrong = sum(bool(each.wrong) for each in outcomes)
    return {"transfers": len(outcomes), **counts, "wrong": wrong}


def _show(result: dict[str, Any]) -> None:
    columns = ("transfers", "injected", *ENDS, "wrong")
    table = Table("fault", *columns, box=None, pad_edge=False)
    for kind, counts in [*result["kinds"].items(), ("all", result["all"])]:
        table.add_row(kind, *(str(counts.get(column, "")) for column in columns))
    console.print(table)
    times = ", ".join(f"{name} {value}" for name, value in result["simulated_s"].items())
    console.print(
        f"simulated seconds: {times}; the deadline is {result['deadline_s']:g}\n"
        "trial: failed it, as it had to; line: it gave out, and the old bundle runs; unseen: "
        "confirmed, but the line gave out before the host heard of it"
    )
    for line in result["wrong"]:
        console.print(line, style="red", markup=False)


if __name__ == "__main__":
    app()
