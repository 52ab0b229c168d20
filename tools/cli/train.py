"""``lineguard train``: a detector from labelled pictures."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars

from tools.cli.output import JSON, console, print_json, track

if TYPE_CHECKING:  # their import takes seconds, which --help should not
    from models.ppyoloe.config import DetectorConfig
    from models.ppyoloe.train.batches import BatchPlan
    from tools.training import Run

__all__ = ["app"]

app = typer.Typer(help="Train a detector on pictures of your own defects.", no_args_is_help=True)

UNITS = {"s": 1, "m": 60, "h": 3600}

LINE_S = 60.0
"""Between two lines where nobody watches a bar; a log of a night stays readable."""


@app.callback()
def _train() -> None:
    """Train a detector on pictures of your own defects."""


def _duration(text: str | None) -> float | None:
    """``90m``, ``2h``, ``1.5h``, ``30s`` in seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not found or float(found[1]) <= 0:
        raise typer.BadParameter(f"{text}: write a time such as 30s, 90m or 2h")
    return float(found[1]) * UNITS[found[2]]


def _size(text: str) -> tuple[int, int]:
    """``640x480`` as width and height."""
    found = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text.strip())
    size = (int(found[1]), int(found[2])) if found else (0, 0)
    if not found or any(n % 32 or not 32 <= n <= 4096 for n in size):
        raise typer.BadParameter(f"{text}: write WIDTHxHEIGHT, multiples of 32 up to 4096")
    return size


@app.command()
def ppyoloe(
    data: Path = typer.Option(
        help="A folder in COCO or PaddleDetection style (COCO or VOC), or one COCO file."
    ),
    images: Path | None = typer.Option(None, help="Where the pictures of a COCO file lie."),
    variant: str = typer.Option("xs", help="Size: n, xs, t, s, m, l or x."),
    out: Path = typer.Option(Path("lineguard-train"), help="Folder of everything that comes out."),
    epochs: int = typer.Option(60, min=1, help="Rounds through all pictures."),
    time_budget: str | None = typer.Option(
        None, help="Instead of --epochs: 30m, 2h. The learning rate comes down in that time."
    ),
    fit: Literal["tile", "letterbox", "resize"] = typer.Option(
        "tile",
        help="How pictures come to the network. tile: at full scale, cut up where larger than "
        "--input, for small defects. letterbox: scaled to --input. resize: stretched to it.",
    ),
    whole: str = typer.Option("640x640", "--input", help="Largest input, WIDTHxHEIGHT."),
    crop: int | None = typer.Option(
        None, help="Largest training crop, pixels; 320 for tile, else the input's smaller side."
    ),
    pose: Literal["fixed", "mirrored", "any"] = typer.Option(
        "mirrored",
        help="How parts lie. fixed: all the same way under a fixed camera; learns fastest. "
        "mirrored: also mirrored, a little nearer or further. any: any way up.",
    ),
    start: str | None = typer.Option(
        None,
        "--from",
        help="Weights to start from: .pdparams (PaddleDetection's as well) or zoo:NAME.",
    ),
    plus: bool = typer.Option(True, "--plus/--no-plus", help="PP-YOLOE+, or PP-YOLOE."),
    batch: int = typer.Option(8, min=2, max=256, help="Pictures a step."),
    rate: float = typer.Option(1e-3, min=1e-6, max=0.1, help="Peak of the learning rate."),
    seed: int = typer.Option(0, min=0, help="Same seed, same training."),
    threads: int = typer.Option(
        os.cpu_count() or 1,
        min=1,
        max=64,
        help="Of evaluation; training starts as many processes, which share every batch.",
    ),
    as_json: bool = JSON,
) -> None:
    """Train PP-YOLOE on your own pictures; stop it whenever you like, the same command goes on.

    All pictures and labels are checked first, and every fault is named at once. In OUT you find
    model.onnx with model.json for the box, model.pdparams to go on from, training.png with the
    curves and mistakes.png with what it still gets wrong.

    Example: lineguard train ppyoloe --data boards/ --variant xs --time-budget 2h
    """
    seconds, size = _duration(time_budget), _size(whole)
    _import_paddle()
    run = _prepared(
        data,
        images,
        out,
        variant,
        epochs,
        seconds,
        fit,
        size,
        crop,
        pose,
        start,
        plus,
        batch,
        rate,
        seed,
        threads,
    )
    from tools.training import Stopped

    try:
        with _live(run):
            summary = run.run()
    except Stopped:
        trainer = run.trainer
        console.print(
            f"stopped at step {trainer.step}, {trainer.progress:.0%} done: "
            "the same command goes on from there",
            soft_wrap=True,
        )
        raise typer.Exit(1) from None
    if as_json:
        print_json(summary)
        return
    for key in ("steps", "seconds", "images_per_second", "parameters", "ap", "ap50", "ap75"):
        value = summary[key]
        console.print(f"{key:18} {value:.4f}" if isinstance(value, float) else f"{key:18} {value}")
    console.print(f"model: {summary['model']}", soft_wrap=True)


def _import_paddle() -> None:
    """Import it with one thread, without its warnings: none of them is ours to mend."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when it is imported, and never again
    warnings.filterwarnings("ignore", module=r"paddle\.")
    with contextlib.redirect_stderr(io.StringIO()):
        import paddle  # noqa: F401


def _prepared(
    data: Path,
    images: Path | None,
    out: Path,
    variant: str,
    epochs: int,
    seconds: float | None,
    fit: Literal["tile", "letterbox", "resize"],
    whole: tuple[int, int],
    crop: int | None,
    pose: Literal["fixed", "mirrored", "any"],
    start: str | None,
    plus: bool,
    batch: int,
    rate: float,
    seed: int,
    threads: int,
) -> Run:
    """Everything checked and opened, nothing learnt yet."""
    from models.errors import InputError
    from models.ppyoloe.network.variants import variant_named
    from models.ppyoloe.train.batches import BatchPlan
    from models.ppyoloe.train.schedule import Plan
    from models.ppyoloe.train.trainer import Setup, Trainer
    from tools.training import Run, check_sizes, starter, training_sets

    variant_named(variant)  # before minutes of looking at pictures
    largest = crop or (320 if fit == "tile" else min(whole))
    if largest % 32 or not 64 <= largest <= min(whole):
        raise InputError(f"--crop {largest}: must be a multiple of 32 from 64 to {min(whole)}")
    smallest = largest if pose == "fixed" else largest // 2 // 32 * 32
    sides = tuple(range(smallest, largest + 1, 32))
    first = starter(start) if start else None

    def progress(pictures: Any) -> Any:
        return track(pictures, "looking at pictures", len(pictures))

    learn, check = training_sets(data, images, seed, progress)
    check_sizes(learn, fit, whole, largest)
    plan = BatchPlan(batch, sides, seed, pose, fit, whole)
    rounds = -(-epochs * len(learn.pictures) // batch)
    length = Plan(10**9, seconds) if seconds else Plan(rounds)
    setup = Setup(variant, plan, plus=plus, rate=rate, workers=min(threads, batch))
    trainer = Trainer(learn, setup, length, out / "checkpoint.npz", first)
    config = _config(variant, plan, learn.labels)
    return Run(trainer, check, config, out, threads, lambda *_: None, iter)


def _config(variant: str, plan: BatchPlan, labels: tuple[str, ...]) -> DetectorConfig:
    from models.ppyoloe.config import DetectorConfig

    return DetectorConfig(variant=variant, labels=labels, size=plan.whole, fit=plan.fit)


@contextlib.contextmanager
def _live(run: Run) -> Iterator[None]:
    """Show a bar with loss, AP and time left; or a line a minute where nobody watches."""
    notes = Console(stderr=True)
    watched = sys.stderr.isatty()
    columns = (
        TextColumn("training"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[text]}"),
    )
    last = 0.0
    with Bars(*columns, console=notes, disable=not watched) as bars:
        task = bars.add_task("training", total=1.0, text="")

        def show(
            progress: float, measured: dict[str, float], ap: float | None, left: float
        ) -> None:
            nonlocal last
            score = "AP --" if ap is None else f"AP {ap:.3f}"
            text = (
                f"step {measured['step']:.0f}  loss {measured['loss']:.3f}  {score}  "
                f"{int(left // 3600)}:{int(left % 3600 // 60):02}:{int(left % 60):02} left"
            )
            bars.update(task, completed=progress, text=text)
            if not watched and time.monotonic() - last > LINE_S:
                last = time.monotonic()
                notes.print(f"{progress:4.0%}  {text}", highlight=False, soft_wrap=True)

        run.show = show
        yield
