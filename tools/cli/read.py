"""``lineguard read``: what stands on these images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from rich.table import Table

from tools.cli.files import free_name, image_files
from tools.cli.output import JSON, THREADS, console, print_json, track

if TYPE_CHECKING:  # their import takes half a second, which --help should not
    from models.ppocr.reader import Mode, Reader

__all__ = ["DET", "DICTIONARY", "REC", "read", "reader_for"]

DET = typer.Option("zoo:ppocrv4-det-onnx", help="Detector: a path or zoo:NAME.")
REC = typer.Option("zoo:ppocrv4-rec-onnx", help="Recogniser: a path or zoo:NAME.")
DICTIONARY = typer.Option("zoo:ppocr-keys", help="The recogniser's characters.")


def read(
    images: list[Path] = typer.Argument(help="Image files, or folders of them."),
    mode: Literal["page", "fixed", "label"] = typer.Option(
        "page",
        help="page: find all lines. fixed: the image is one line. "
        "label: the image is one small label, either way up.",
    ),
    out: Path = typer.Option(
        Path("lineguard-out"), "--out", help="Folder for the images with what was read drawn in."
    ),
    det: str = DET,
    rec: str = REC,
    dictionary: str = DICTIONARY,
    threads: int = THREADS,
    as_json: bool = JSON,
) -> None:
    """Read print on images with PP-OCRv4: prints the lines and draws where they stand.

    An image that cannot be read is told at the end, and the others are read all the same.

    Example: lineguard read pack.jpg --mode page
    """
    from edge.draw import draw_lines
    from models.atomic import write_atomic
    from models.errors import ImageError, InputError
    from models.images import encode_image, load_image
    from models.stopwatch import Stopwatch

    files = image_files(images)
    reader = reader_for(mode, det, rec, dictionary, threads)
    results = []
    faults: list[str] = []
    names: set[str] = set()
    for path in track(files, "reading", len(files)):
        try:
            image = load_image(path)
        except ImageError as error:
            faults.append(str(error))
            continue
        watch = Stopwatch()
        lines = reader.read(image, mode, watch=watch)
        target = out / free_name(path.stem, ".read.png", names)
        write_atomic(target, encode_image(draw_lines(image, lines), ".png"))
        results.append(
            {
                "image": str(path),
                "lines": [
                    {
                        "text": line.text,
                        "score": round(line.score, 4),
                        "char_scores": [round(score, 4) for score in line.char_scores],
                        "quad": line.quad.astype(float).round(1).tolist(),
                    }
                    for line in lines
                ],
                "ms": {stage: round(s * 1000, 2) for stage, s in watch.seconds.items()},
                "drawn": str(target),
            }
        )
        if not as_json:
            table = Table("", "text", "score", box=None, pad_edge=False, title_justify="left")
            for number, line in enumerate(lines, 1):
                table.add_row(str(number), line.text or "(nothing)", f"{line.score:.3f}")
            total = sum(watch.seconds.values()) * 1000
            console.print(f"{path}: {len(lines)} lines, {total:.0f} ms", soft_wrap=True)
            console.print(table)
            console.print(f"drawn: {target}", soft_wrap=True)
    if as_json:
        print_json(results)
    if faults:
        raise InputError("\n".join(faults))


def reader_for(mode: Mode, det: str, rec: str, dictionary: str, threads: int) -> Reader:
    """Open what ``mode`` needs: *page* a detector and the zoo's angle classifier as well."""
    from edge.families.ppocr import ZOO_READER, open_reader

    if mode != "page":
        return open_reader(rec, dictionary, threads=threads)
    return open_reader(rec, dictionary, det, ZOO_READER["cls"], threads=threads)
