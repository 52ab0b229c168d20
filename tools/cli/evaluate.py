"""``lineguard eval``: how good a model is on labelled pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from rich.table import Table

from tools.cli.output import JSON, THREADS, console, print_json, track
from tools.cli.read import DET, DICTIONARY, REC, reader_for

if TYPE_CHECKING:
    from models.ppyoloe.score import Rate
    from tools.evaluate_detect import DetectScores

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


@app.command()
def detect(
    data: Path = typer.Option(
        help="COCO annotation file, or the folder of a data set with a validation set."
    ),
    images: Path | None = typer.Option(
        None, help="Folder of the images of a COCO file; left out, beside the file."
    ),
    model: str = typer.Option("zoo:pcb-defects-xs", help="Detector: a path or zoo:NAME."),
    threshold: float | None = typer.Option(
        None, min=0.001, max=1, help="Score from which a part is rejected; else the model's own."
    ),
    escape: float = typer.Option(
        0.001, min=0, max=1, help="Escape rate for which a threshold is looked for."
    ),
    out: Path = typer.Option(
        Path("lineguard-out"), "--out", help="Folder for escapes.png and mistakes.png."
    ),
    threads: int = THREADS,
    as_json: bool = JSON,
) -> None:
    """Score a detector: COCO's average precision, and what an inspector asks.

    A part is one picture: defective if a defect is labelled on it, rejected if anything is found
    on it. The escape rate is the share of the defective parts that pass, the false-reject rate
    that of the sound parts that do not.

    Example: lineguard eval detect --data test.json --images images --model pcb.onnx
    """
    from edge.families.ppyoloe import open_detector
    from models.atomic import write_atomic
    from models.errors import InputError
    from models.images import encode_image
    from tools.mistakes import mistakes_sheet, worst_mistakes

    try:
        from tools.evaluate_detect import (
            FLOOR,
            check_labels,
            find_all,
            labelled,
            score_detections,
        )
        from tools.plots import escape_plot
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed, and a detector is scored with it: "
            "pip install 'lineguard[host]'"
        ) from error

    dataset = labelled(data, images, lambda each: track(each, "checking", len(each)))
    detector = open_detector(model, threads=threads)
    check_labels(detector.config.labels, dataset, model, data)
    count = len(dataset.pictures)
    chosen = detector.config.threshold if threshold is None else threshold
    floor = min(FLOOR, chosen)
    found = find_all(detector, dataset, floor, lambda each: track(each, "finding", count))
    scores = score_detections(dataset, found, chosen, escape)
    plot, sheet = out / "escapes.png", out / "mistakes.png"
    write_atomic(plot, escape_plot(scores.curve, chosen))
    mistakes = worst_mistakes(dataset, found, chosen)
    write_atomic(sheet, encode_image(mistakes_sheet(mistakes), ".png"))
    if as_json:
        print_json(scores.as_json() | {"plot": str(plot), "mistakes": str(sheet)})
        return
    _print_detect(scores)
    console.print(f"plot: {plot}\nmistakes: {sheet}", soft_wrap=True, highlight=False)


def _print_detect(scores: DetectScores) -> None:
    coco = scores.coco
    for name in ("ap", "ap50", "ap75", "ap33"):
        console.print(f"{name:6} {_figure(getattr(coco, name))}")
    table = Table(
        "class", "ap", "ap50", "found", "missed", "false alarms", box=None, pad_edge=False
    )
    for label, aps in coco.per_class.items():
        count = scores.defects[label]
        counts = (str(count.found), str(count.missed), str(count.false_alarms))
        table.add_row(label, _figure(aps["ap"]), _figure(aps["ap50"]), *counts)
    console.print(table)
    at = scores.threshold_at_escape
    # rounded down, since the next higher one lets more pass
    held = "none" if at is None else f"{math.floor(at * 10_000) / 10_000:.4f}"
    for name, value in (
        ("parts", f"{scores.escapes.total + scores.false_rejects.total}"),
        ("defective", f"{scores.escapes.total}"),
        ("threshold", f"{scores.threshold:g}"),
        ("escape rate", _rate(scores.escapes, "defective")),
        ("false-reject rate", _rate(scores.false_rejects, "sound")),
        (f"threshold that holds an escape rate of {scores.escape:g}", held),
    ):
        console.print(f"{name}: {value}", soft_wrap=True, highlight=False)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _rate(rate: Rate, kind: str) -> str:
    if rate.value is None or rate.interval is None:
        return f"not known, there are no {kind} parts in the data"
    low, high = rate.interval
    return f"{rate.value:.4f} ({rate.count} of {rate.total}; 95%: {low:.4f} to {high:.4f})"
