"""``lineguard bench instructions``: what an inference takes on ARM cores, in emulation."""

from __future__ import annotations

from pathlib import Path

import typer

from tools.cli.bench_options import parse_shapes
from tools.cli.output import JSON, console, print_json, track

__all__ = ["instructions"]

CORES = ("cortex-a53", "cortex-a76")
"""Without dot products, and with."""


def instructions(
    models: list[str] = typer.Argument(help=".onnx or .nb, or zoo:NAME; ratios are to the first."),
    shape: list[str] = typer.Option(help="Of an input: x=1,3,320,320. Repeatable."),
    core: list[str] = typer.Option(list(CORES), help="To emulate. Repeatable."),
    root: Path | None = typer.Option(
        None, help="An ARM64 Linux with Python, numpy and the engine; else $LINEGUARD_ARM64."
    ),
    into: Path | None = typer.Option(
        None, help="A compression's result.json: its models get the counts, and a new report.html."
    ),
    as_json: bool = JSON,
) -> None:
    """Count the instructions of one inference, by kind. They are not time.

    Needs Debian's qemu-user and gcc, and an ARM64 system: docs/compress.md says how to get one.

    Example: lineguard bench instructions det.onnx det.int8.onnx --shape x=1,3,320,320
    """
    from compress.counting import count_instructions, find_arm64
    from compress.measure import random_input
    from models.zoo import resolve

    arm64 = find_arm64(root)
    feeds = random_input(parse_shapes(shape))
    paths = [resolve(model) for model in models]
    pairs = [(path, each) for path in paths for each in core]
    counted = {
        (path, each): count_instructions(path, feeds, arm64, each)
        for path, each in track(pairs, "counting", len(pairs))
    }
    if into is not None:
        from tools.arm_counts import put_counts

        put_counts(into, {path: [counted[path, each] for each in core] for path in paths})
    if as_json:
        print_json(
            [{"model": str(path)} | count.model_dump() for (path, _), count in counted.items()]
        )
        return
    for (path, each), count in counted.items():
        ratio = count.total / counted[paths[0], each].total
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in count.kinds.items())
        console.print(
            f"{path.name} on {each}: {count.total:,} instructions, ratio {ratio:.3f} ({kinds}; "
            f"{count.engine})",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
