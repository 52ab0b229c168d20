"""``lineguard data``: labelled pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tools.cli.output import JSON, console, print_json, track

if TYPE_CHECKING:
    from models.ppyoloe.dataset import Picture

__all__ = ["app"]

app = typer.Typer(help="Labelled pictures to train and measure with.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """Labelled pictures to train and measure with."""


@app.command()
def render(
    folder: Path = typer.Argument(help="A new or empty folder."),
    kinds: list[str] = typer.Option(
        ["carton"], "--kind", help="carton, cap, marker or board; may be given several times."
    ),
    count: int = typer.Option(100, min=1, help="Parts of each kind."),
    seed: int = typer.Option(0, min=0, help="Same seed, same bytes."),
    ng: float = typer.Option(0.2, min=0, max=1, help="Fraction of parts with a fault."),
    width: int | None = typer.Option(None, min=1, help="Of the pictures; else the kind's own."),
    height: int | None = typer.Option(None, min=1, help="Goes with --width."),
    as_json: bool = JSON,
) -> None:
    """Render parts of the simulated line with their labels.

    Writes PaddleOCR label files (det.txt of pictures, rec.txt of crops, regions.txt of parts of
    one line as a station sees them), COCO annotations of boards, and the true verdict of every
    part. The folder appears when it is complete.

    Example: lineguard data render labels --kind carton --kind cap --count 200
    """
    from models.errors import InputError
    from tools.running import needs_line_extra

    with needs_line_extra():
        from tools.line import render_dataset

    if (width is None) != (height is None):
        raise InputError("--width and --height go together: give both or neither")
    size = (width, height) if width is not None and height is not None else None
    made = render_dataset(folder, kinds, count, seed, ng=ng, size=size)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "parts": made.parts,
                "crops": made.crops,
                "regions": made.regions,
                "defects": made.defects,
            }
        )
        return
    console.print(
        f"{folder}: {made.parts} parts, {made.crops} crops, {made.regions} regions, "
        f"{made.defects} defects",
        soft_wrap=True,
        highlight=False,
    )


@app.command()
def cut(
    folder: Path = typer.Argument(help="A new or empty folder."),
    data: Path = typer.Option(help="A COCO file, or a folder with a validation set."),
    images: Path | None = typer.Option(None, help="Where the pictures of a COCO file lie."),
    size: int = typer.Option(320, min=32, max=4096, help="Side of a part, pixels."),
    as_json: bool = JSON,
) -> None:
    """Cut labelled pictures into square parts, sound and defective ones.

    Where every picture has a defect somewhere, false rejects cannot be measured; on parts of them
    they can. A part that would cut a defect in two is left out. Writes images/ and parts.json.

    Example: lineguard data cut parts --data test.json --images images --size 320
    """
    from tools.cut import cut_dataset
    from tools.evaluate_detect import labelled

    def progress(pictures: Sequence[Picture]) -> Iterable[Picture]:
        return track(pictures, "cutting", len(pictures))

    made = cut_dataset(labelled(data, images), size, folder, progress)
    if as_json:
        print_json({"folder": str(folder), **asdict(made)})
        return
    console.print(
        f"{folder}: {made.parts} parts, {made.defective} of them defective; "
        f"{made.left_out} left out, which cut a defect in two",
        soft_wrap=True,
        highlight=False,
    )
