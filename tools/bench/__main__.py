"""Measures and writes docs/benchmarks.md; a section at a time if asked, the others as they were."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from models.atomic import write_atomic
from models.errors import LineguardError
from tools.cli.output import console, track

__all__ = ["main"]

DOCS = Path(__file__).parents[2] / "docs"

SECTIONS = (
    "peers",
    "boards",
    "repeat",
    "loop",
    "memory",
    "detector",
    "line",
    "zmodem",
    "delta",
    "station",
    "box",
    "rivals",
)

ASKED_FOR = ("rivals",)
"""Sections that need folders: they are left out unless they are named."""

USUAL = [name for name in SECTIONS if name not in ASKED_FOR]


def main(
    only: list[str] = typer.Option(USUAL, help=f"Sections: {', '.join(SECTIONS)}."),
    wire_markers: Path | None = typer.Option(
        None, help="A PaddleOCR label file of photos, to compare on real ones too."
    ),
    model: str = typer.Option(
        "zoo:pcb-defects-xs",
        help="A detector for boards, detector, zmodem and delta: a path, or zoo:NAME. delta wants "
        "its .pdparams beside it.",
    ),
    threads: int = typer.Option(2, min=1, help="Of both sides."),
    images: int = typer.Option(100, min=10, help="Images of each set."),
    parts: int = typer.Option(10_000, min=1500, help="Parts of the memory bench."),
    minutes: float = typer.Option(10.0, min=1.1, help="Of the fast line in station."),
    compressed: list[Path] = typer.Option(
        [], help="Folder that `lineguard compress` has filled, for rivals; several if repeated."
    ),
    data: Path | None = typer.Option(None, help="Folder of the recipes' pictures, for rivals."),
    act_minutes: float = typer.Option(60.0, min=0.1, help="Of an epoch of ACT in rivals, at most."),
    out: Path = typer.Option(DOCS, help="Folder for benchmarks.json and benchmarks.md."),
) -> None:
    """Measure again what docs/benchmarks.md holds. Let nothing else run meanwhile.

    Figures are ratios within one run on one machine. All of it takes about 85 minutes.
    """
    from tools.bench.machine import machine
    from tools.bench.report import markdown

    store = out / "benchmarks.json"
    results: dict[str, Any] = json.loads(store.read_text("utf-8")) if store.is_file() else {}
    for section in only:
        command = f"python -m tools.bench --only {section}"
        if section == "peers":
            figures: dict[str, Any] = _peers(images, threads, wire_markers)
            command += f" --images {images}" + (" --wire-markers LABELS" if wire_markers else "")
        elif section == "boards":
            from tools.bench.boards import against_official

            figures = against_official(
                model, threads, images, lambda names: _track(names, "boards")
            )
            command += f" --model {Path(model).name} --images {images} --threads {threads}"
        elif section == "repeat":
            from tools.bench.repeat import RUNS, repeatability

            figures = repeatability(threads, lambda runs: track(runs, "repeat", RUNS))
            command += f" --threads {threads}"
        elif section == "loop":
            from tools.bench.loop import RATES, overhead

            figures = {kind: overhead(kind, images) for kind in track(RATES, "loop", len(RATES))}
            command += f" --images {images}"
        elif section == "memory":
            from tools.bench.memory import growth

            figures = growth(parts, lambda samples: track(samples, "memory", parts))
        elif section == "detector":
            from tools.bench.detector import beyond_network

            figures = beyond_network(model, threads, images)
            command += f" --model {Path(model).name} --images {images} --threads {threads}"
        elif section == "line":
            from tools.bench.line import line_use

            figures = line_use(lambda names: _track(names, "line"))
        elif section == "zmodem":
            from tools.bench.line_zmodem import against_zmodem

            figures = against_zmodem(model, lambda names: _track(names, "zmodem"))
            command += f" --model {Path(model).name}"
        elif section == "delta":
            from tools.bench.line_delta import head_deltas

            figures = head_deltas(model, lambda names: _track(names, "delta"))
            command += f" --model {Path(model).name}"
        elif section == "station":
            from tools.bench.station import station_figures

            figures = station_figures(lambda each, what: _track(each, what), minutes)
            command += f" --minutes {minutes:g}"
        elif section == "box":
            from tools.bench.box import box_figures

            figures = box_figures(lambda each, what: _track(each, what))
        elif section == "rivals":
            if data is None or not compressed:
                raise typer.BadParameter("rivals: wants --compressed OUT and --data DIR")
            figures = _rivals(compressed, data, act_minutes, threads)
            command += "".join(f" --compressed {each.name}" for each in compressed)
            command += f" --data DIR --act-minutes {act_minutes:g} --threads {threads}"
        else:
            raise typer.BadParameter(f"{section}: no such section: {', '.join(SECTIONS)}")
        results[section] = {"command": command, "machine": machine(), "figures": figures}
        write_atomic(store, (json.dumps(results, indent=1) + "\n").encode())
        write_atomic(out / "benchmarks.md", markdown(results).encode())


def _track(names: Iterable[str], what: str) -> Iterable[str]:
    listed = list(names)
    return track(listed, what, len(listed))


def _rivals(compressed: list[Path], data: Path, minutes: float, threads: int) -> dict[str, Any]:
    from rich.progress import Progress

    from tools.bench.rivals import against_rivals

    with Progress(console=console) as bars:

        def show(what: str) -> Callable[[int, int], None]:
            task = bars.add_task(what, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        recipes = [
            against_rivals(each, data, minutes=minutes, threads=threads, show=show)
            for each in compressed
        ]
    return {"minutes": minutes, "recipes": recipes}


def _peers(images: int, threads: int, wire_markers: Path | None) -> dict[str, Any]:
    from tools.bench.peers import SIZES, SMALL, cartons, compare, opened, photos

    with opened(threads) as (ours, peers, unscaled):
        sets = {
            name: compare(track(cartons(images, size), name, images), ours, peers)
            for name, size in SIZES.items()
        }
        small = track(cartons(images, SIZES[SMALL]), "same size", images)
        sets[f"{SMALL}, its detector at our size"] = compare(small, ours, unscaled)
        if wire_markers:
            chosen = track(photos(wire_markers, images), "photos", images)
            sets["wire-marker photos"] = compare(chosen, ours, peers)
    return {"threads": threads, "sets": sets}


if __name__ == "__main__":
    try:
        typer.run(main)
    except LineguardError as error:
        console.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
        sys.exit(error.exit_code)
