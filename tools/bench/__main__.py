"""Measures and writes docs/benchmarks.md; a section at a time if asked, the others as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from models.atomic import write_atomic
from tools.cli.output import track

__all__ = ["main"]

DOCS = Path(__file__).parents[2] / "docs"

SECTIONS = ("peers", "loop", "memory", "detector")


def main(
    only: list[str] = typer.Option(list(SECTIONS), help="Sections: peers, loop, memory, detector."),
    wire_markers: Path | None = typer.Option(
        None, help="A PaddleOCR label file of photos, to compare on real ones too."
    ),
    model: str = typer.Option(
        "zoo:pcb-defects-xs", help="Of the detector bench: a path, or zoo:NAME."
    ),
    threads: int = typer.Option(2, min=1, help="Of both sides."),
    images: int = typer.Option(100, min=10, help="Images of each set."),
    parts: int = typer.Option(10_000, min=1500, help="Parts of the memory bench."),
    out: Path = typer.Option(DOCS, help="Folder for benchmarks.json and benchmarks.md."),
) -> None:
    """Measure again what docs/benchmarks.md holds. Let nothing else run meanwhile.

    Figures are ratios within one run on one machine. All of it takes about 25 minutes.
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
        else:
            raise typer.BadParameter(f"{section}: no such section: {', '.join(SECTIONS)}")
        results[section] = {"command": command, "machine": machine(), "figures": figures}
        write_atomic(store, (json.dumps(results, indent=1) + "\n").encode())
        write_atomic(out / "benchmarks.md", markdown(results).encode())


def _peers(images: int, threads: int, wire_markers: Path | None) -> dict[str, Any]:
    from tools.bench.peers import SIZES, SMALL, cartons, compare, photos

    figures = {
        name: compare(track(cartons(images, size), name, images), threads)
        for name, size in SIZES.items()
    }
    small = track(cartons(images, SIZES[SMALL]), "same size", images)
    figures[f"{SMALL}, its detector at our size"] = compare(small, threads, unscaled=True)
    if wire_markers:
        chosen = track(photos(wire_markers, images), "photos", images)
        figures["wire-marker photos"] = compare(chosen, threads)
    return figures


if __name__ == "__main__":
    typer.run(main)
