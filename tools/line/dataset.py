"""Labelled sets from the simulated line, in the formats that PaddleOCR and COCO tools read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from models.errors import InputError
from models.images import encode_image
from models.ppocr.geometry import crop_line, quad_size
from models.results import Defect, TextLine
from tools.folders import whole_or_absent
from tools.line.board import CLASSES
from tools.line.effects import Image
from tools.line.render import check, kind_named, render
from tools.line.world import DEMO_JOB, random_job

__all__ = ["Summary", "render_dataset"]

ILLEGIBLE = "###"
"""PaddleOCR's transcription of text that must be neither found nor missed."""

PATIENCE_S = 2.0
"""A progress bar for less would only flicker."""

MAX_PARTS = 1_000_000
"""Of one kind; at 50 KB each that is a disk already."""


@dataclass(frozen=True)
class Summary:
    """What was written: pictures of ``parts``, ``crops``, ``regions``, boxes of ``defects``."""

    parts: int
    crops: int
    regions: int
    defects: int


@dataclass
class _Set:
    """A folder that is being filled."""

    folder: Path
    suffix: str
    det: IO[str]
    rec: IO[str]
    regions_file: IO[str]
    verdicts: IO[str]
    crops: int = 0
    regions: int = 0
    images: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)

    def save(self, name: str, image: Image) -> str:
        """Write a picture; returns its path in the set."""
        path = name + self.suffix
        (self.folder / path).write_bytes(encode_image(image, self.suffix))
        return path

    def add_lines(self, path: str, image: Image, lines: Sequence[TextLine]) -> None:
        """The labels of a picture with print on it, and a crop of every legible line."""
        labels = [
            {
                "transcription": line.text or ILLEGIBLE,
                "points": np.rint(line.quad).astype(int).tolist(),
            }
            for line in lines
        ]
        self.det.write(f"{path}\t{json.dumps(labels, ensure_ascii=False)}\n")
        for number, line in enumerate(lines):
            if line.text:
                crop, _ = crop_line(image, line.quad, max(2, round(quad_size(line.quad)[1])))
                name = self.save(f"crops/{Path(path).stem}_{number}", crop)
                self.rec.write(f"{name}\t{line.text}\n")
                self.crops += 1

    def add_region(self, path: str, image: Image, kind: str, lines: Sequence[TextLine]) -> None:
        """The one line of a part as a station's region holds it: with all that is around it."""
        if len(lines) == 1 and lines[0].text:
            height, width = image.shape[:2]
            x0, y0, x1, y1 = kind_named(kind).zone((width, height))
            name = self.save(f"regions/{Path(path).stem}", image[y0:y1, x0:x1])
            self.regions_file.write(f"{name}\t{lines[0].text}\n")
            self.regions += 1

    def add_defects(self, path: str, image: Image, defects: Sequence[Defect]) -> None:
        """The annotations of a board."""
        height, width = image.shape[:2]
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": path, "width": width, "height": height})
        for defect in defects:
            x0, y0, x1, y1 = (round(float(v), 1) for v in defect.box)
            box = [x0, y0, x1 - x0, y1 - y0]
            self.boxes.append(
                {
                    "id": len(self.boxes) + 1,
                    "image_id": number,
                    "category_id": CLASSES.index(defect.label) + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, once it has taken longer than ``PATIENCE_S``."""
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("rendering", total=total)
    start = time.monotonic()

    def step() -> None:
        bar.advance(task)
        if not bar.live.is_started and time.monotonic() - start > PATIENCE_S:
            bar.start()

    try:
        yield step
    finally:
        if bar.live.is_started:
            bar.stop()


def render_dataset(
    folder: Path,
    kinds: Sequence[str],
    count: int,
    seed: int = 0,
    *,
    ng: float = 0.2,
    size: tuple[int, int] | None = None,
    image_format: Literal["png", "jpg"] = "jpg",
    one_job: bool = False,
) -> Summary:
    """Draw ``count`` parts of each kind and write them down with their truth.

    ::

        images/carton_000000.jpg     the pictures
        crops/carton_000000_0.jpg    every legible line, straightened by its quad
        regions/cap_000000.jpg       of parts of one legible line: what a station's region shows
        det.txt, rec.txt             PaddleOCR labels of pictures and of crops; ``###`` is illegible
        regions.txt                  PaddleOCR labels of regions
        boards.json                  COCO annotations, if there are boards
        verdicts.txt                 picture TAB OK or NG TAB fault

    The same arguments give the same bytes. The folder appears when it is complete, or not at all.

    Parameters
    ----------
    folder
        New or empty.
    kinds
        Names of ``KINDS``.
    ng
        Fraction of parts with a fault.
    size
        Width and height of the pictures; each kind's own unless given.
    one_job
        Every part says what the demonstration's job says; else lots, dates and codes vary.

    Raises
    ------
    InputError
        The folder is not empty, a kind is unknown, or a number is out of bounds.
    StorageError
        The disk is full or read-only.
    """
    if not kinds or len(set(kinds)) != len(kinds):
        raise InputError(f"kinds = {', '.join(kinds) or 'none'}: name one or more, each once")
    if not 1 <= count <= MAX_PARTS:
        raise InputError(f"count = {count}: must be 1 to {MAX_PARTS}")
    for kind in kinds:
        check(kind, seed, size or kind_named(kind).size, ng)
    with whole_or_absent(folder) as unfinished, _progress(count * len(kinds)) as step:
        for name in ("images", "crops", "regions"):
            (unfinished / name).mkdir()
        with (
            (unfinished / "det.txt").open("w", encoding="utf-8") as det,
            (unfinished / "rec.txt").open("w", encoding="utf-8") as rec,
            (unfinished / "regions.txt").open("w", encoding="utf-8") as regions,
            (unfinished / "verdicts.txt").open("w", encoding="utf-8") as verdicts,
        ):
            made = _Set(unfinished, f".{image_format}", det, rec, regions, verdicts)
            for kind in kinds:
                for index in range(count):
                    _add_part(made, kind, seed, index, ng, size, one_job)
                    step()
        if made.images:
            categories = [{"id": i, "name": name} for i, name in enumerate(CLASSES, 1)]
            coco = {"images": made.images, "annotations": made.boxes, "categories": categories}
            (unfinished / "boards.json").write_text(json.dumps(coco), encoding="utf-8")
    return Summary(count * len(kinds), made.crops, made.regions, len(made.boxes))


def _add_part(
    made: _Set,
    kind: str,
    seed: int,
    index: int,
    ng: float,
    size: tuple[int, int] | None,
    one_job: bool,
) -> None:
    job = DEMO_JOB if one_job else random_job(np.random.default_rng([seed, index]))
    image, truth = render(kind, seed, index, job, size, ng)
    path = made.save(f"images/{kind}_{index:06}", image)
    made.verdicts.write(f"{path}\t{'OK' if truth.ok else 'NG'}\t{truth.fault or ''}\n")
    if kind == "board":
        made.add_defects(path, image, truth.defects)
    else:
        made.add_lines(path, image, truth.lines)
        made.add_region(path, image, kind, truth.lines)
