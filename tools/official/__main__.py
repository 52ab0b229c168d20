"""Compares our PP-YOLOE with PaddleDetection's own code, and says in how far it is the same."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from models.atomic import write_atomic
from models.errors import LineguardError
from tools.cli.output import JSON, console, print_json, track

__all__ = ["main"]

VARIANTS = ("t", "s", "m", "l", "x")
"""PaddleDetection's."""

TRAINED = ("t", "s")
"""Those whose training is compared: what differs from one variant to the next is in the answers."""

PPDET = typer.Option(
    help="Folder with PaddleDetection: python -m pip install --no-deps --target FOLDER "
    "-r tools/official/requirements.txt"
)
OUT = typer.Option(None, help="Write the result there, as JSON.")

Rows = list[dict[str, Any]]

SHOWN: dict[str, tuple[str, list[str]]] = {
    "answers": (
        "Same weights, same picture: largest differences, with RepVGG blocks and fused",
        ["variant", "plus", "names", "loads", "box_px", "score", "fused_box_px", "fused_score"],
    ),
    "lessons": (
        "Same predictions, same defects: anchors that differ, largest relative differences",
        ["assigner", "positives", "differing", "score", "cls", "iou", "dfl", "gradient"],
    ),
    "steps": (
        "One step of training on boards: largest relative differences",
        ["variant", "loss", "gradient", "statistics"],
    ),
    "throughput": (
        "Training, pictures a second, and the ratio with its 95% interval",
        ["variant", "their_images_per_s", "our_images_per_s", "ratio", "low", "high"],
    ),
}
"""Of each part of the result, a title and the columns that fit a terminal."""


def main(
    ppdet: Path = PPDET,
    throughput: bool = typer.Option(
        False, "--throughput", help="Also time training; let nothing else run meanwhile."
    ),
    rounds: int = typer.Option(20, min=5, help="Steps of each side that are timed."),
    out: Path | None = OUT,
    as_json: bool = JSON,
) -> None:
    """Compare our PP-YOLOE with PaddleDetection's own code: same weights, same pictures.

    Names and shapes of all parameters, boxes and scores of every variant before and after fusion,
    what training learns from the same predictions, and with --throughput how fast. Takes five
    minutes without. Exit code 1 if something differs by more than rounding may.

    Example: python -m tools.official --ppdet official --out docs/ppyoloe-official.json
    """
    import paddle  # takes seconds, which --help should not

    from tools.bench.machine import machine
    from tools.official import answers, lessons, peer
    from tools.official.throughput import measure

    try:
        peer.load(ppdet)
        kinds = [(variant, plus) for variant in VARIANTS for plus in (True, False)]
        result: dict[str, Any] = {
            "command": f"python -m tools.official {shlex.join(_told(throughput, rounds))}",
            "official": f"paddledet {peer.VERSION}",
            "machine": {
                **machine(),
                "paddle": paddle.__version__,
                "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
            },
            "gates": {
                "box_px": answers.BOX_PX,
                "score": answers.SCORE,
                "relative": lessons.LOSS,
            },
            "answers": [
                answers.compare_answers(variant, plus=plus)
                for variant, plus in track(kinds, "answers", len(kinds))
            ],
            "lessons": [lessons.compare_lessons(aligned=aligned) for aligned in (False, True)],
            "steps": [lessons.compare_step(variant) for variant in TRAINED],
        }
        if throughput:
            result["throughput"] = [
                measure(v, rounds) for v in track(TRAINED, "throughput", len(TRAINED))
            ]
        rows: Rows = [*result["answers"], *result["lessons"], *result["steps"]]
        result["fits"] = all(row["fits"] for row in rows)
        if out is not None:
            write_atomic(out, (json.dumps(result, indent=1) + "\n").encode())
    except LineguardError as error:
        console.print(str(error), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(error.exit_code) from error
    if as_json:
        print_json(result)
    else:
        _show(result)
    if not result["fits"]:
        raise typer.Exit(1)


def _told(throughput: bool, rounds: int) -> list[str]:
    timed = ["--throughput", "--rounds", str(rounds)] if throughput else []
    return ["--ppdet", "FOLDER", *timed]


def _show(result: dict[str, Any]) -> None:
    for part, (title, columns) in SHOWN.items():
        table = Table(*columns, title=title, box=None, pad_edge=False, title_justify="left")
        for row in result.get(part, ()):
            style = None if row.get("fits", True) else "red"
            table.add_row(*(_cell(row[name]) for name in columns), style=style)
        if table.rows:
            console.print(table)
    gates = result["gates"]
    console.print(
        f"may differ by {gates['box_px']} px, {gates['score']} in the score, "
        f"{gates['relative']} relative in training: "
        + ("nothing differs by more" if result["fits"] else "something differs by MORE")
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        return f"{value:.1e}"
    return str(value)


if __name__ == "__main__":
    typer.run(main)
