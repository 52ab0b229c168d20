"""``lineguard detect``: what is wrong with these parts."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from tools.cli.files import free_name, image_files
from tools.cli.output import JSON, THREADS, console, print_json, track

__all__ = ["MODEL", "detect"]

MODEL = typer.Option(
    "zoo:pcb-defects-xs", help="Detector: a path, its .json file beside it, or zoo:NAME."
)


def detect(
    images: list[Path] = typer.Argument(help="Image files, or folders of them."),
    model: str = MODEL,
    threshold: float | None = typer.Option(
        None, min=0, max=1, help="Score from which a defect is reported; the model's own if not."
    ),
    out: Path = typer.Option(
        Path("lineguard-out"), "--out", help="Folder for the images with the defects drawn in."
    ),
    threads: int = THREADS,
    as_json: bool = JSON,
) -> None:
    """Find defects on images with PP-YOLOE: prints them and draws where they are.

    An image that cannot be read is told at the end, and the others are looked at all the same. A
    defect is no failure of this command: it leaves with 0.

    Example: lineguard detect board.jpg --model pcb.onnx
    """
    from edge.draw import draw_defects
    from edge.families.ppyoloe import open_detector
    from models.atomic import write_atomic
    from models.errors import ImageError, InputError
    from models.images import encode_image, load_image
    from models.stopwatch import Stopwatch

    files = image_files(images)
    detector = open_detector(model, threads=threads)
    results = []
    faults: list[str] = []
    names: set[str] = set()
    for path in track(files, "looking", len(files)):
        try:
            image = load_image(path)
        except ImageError as error:
            faults.append(str(error))
            continue
        watch = Stopwatch()
        defects = detector.detect(image, watch=watch, threshold=threshold)
        target = out / free_name(path.stem, ".detect.png", names)
        write_atomic(target, encode_image(draw_defects(image, defects), ".png"))
        height, width = image.shape[:2]
        results.append(
            {
                "image": str(path),
                "width": width,
                "height": height,
                "defects": [
                    {
                        "label": defect.label,
                        "score": round(defect.score, 4),
                        "box": defect.box.astype(float).round(1).tolist(),
                    }
                    for defect in defects
                ],
                "ms": {stage: round(s * 1000, 2) for stage, s in watch.seconds.items()},
                "drawn": str(target),
            }
        )
        if not as_json:
            table = Table("", "class", "score", "box", "size", box=None, pad_edge=False)
            for number, defect in enumerate(defects, 1):
                x0, y0, x1, y1 = defect.box.tolist()
                table.add_row(
                    str(number),
                    Text(defect.label),
                    f"{defect.score:.3f}",
                    f"{x0:.1f} {y0:.1f} {x1:.1f} {y1:.1f}",
                    f"{x1 - x0:.1f} x {y1 - y0:.1f}",
                )
            total = sum(watch.seconds.values()) * 1000
            count = f"{len(defects)} defect{'' if len(defects) == 1 else 's'}"
            console.print(f"{path}: {width}x{height}, {count}, {total:.0f} ms", soft_wrap=True)
            if defects:
                console.print(table)
            console.print(f"drawn: {target}", soft_wrap=True)
    if as_json:
        print_json(results)
    if faults:
        raise InputError("\n".join(faults))
