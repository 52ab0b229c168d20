"""``lineguard eval``: how good a model is on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer

from tools.cli.output import JSON, THREADS, console, print_json, track
from tools.cli.read import DET, DICTIONARY, REC, reader_for

__all__ = ["app"]

app = typer.Typer(help="Score models on labelled pictures.", no_args_is_help=True)


@app.callback()
def _eval() -> None:
    """Score models on labelled pictures."""


@app.command()
def ocr(
    labels: Path = typer.Option(
        help="PaddleOCR label file: `path TAB text` of crops, or "
        "`path TAB [{transcription, points}]` of photos; paths are relative to it."
    ),
    mode: Literal["page", "fixed", "label"] | None = typer.Option(
        None,
        help="How to read; left out: page for photos, label for crops. "
        "With fixed or label, photos are read at their labelled places, without a detector.",
    ),
    det: str = DET,
    rec: str = REC,
    dictionary: str = DICTIONARY,
    threads: int = THREADS,
    as_json: bool = JSON,
) -> None:
    """Score reading: exact match and normalised edit distance, and detection for photos.

    White space is left out of comparisons. A line that is not found counts as read wrong.

    Example: lineguard eval ocr --labels rec/val.txt --mode label
    """
    from models.ppocr.labels import load_labels
    from tools.evaluate import score_crops, score_photos

    items = load_labels(labels)
    crops = items[0].text is not None
    how = mode or ("label" if crops else "page")
    reader = reader_for(how, det, rec, dictionary, threads)
    tracked = track(items, "reading", len(items))
    result = score_crops(reader, tracked, how) if crops else score_photos(reader, tracked, how)
    if as_json:
        print_json(result)
        return
    for key, value in result.items():
        console.print(f"{key:10} {value:.4f}" if isinstance(value, float) else f"{key:10} {value}")
