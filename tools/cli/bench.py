"""``lineguard bench``: how long it takes, on this machine, and how sure that is."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from tools.cli.bench_compressed import compressed
from tools.cli.bench_instructions import instructions
from tools.cli.bench_options import (
    BASELINE,
    BATCH,
    FAIL_IF,
    IMAGES,
    OUT,
    PERCENTILE,
    SCENARIO,
    SECONDS,
    SHAPE,
    Load,
    parse_shapes,
    stopping,
    watched,
)
from tools.cli.bench_sweep import sweep
from tools.cli.detect import MODEL
from tools.cli.files import image_files
from tools.cli.output import JSON, THREADS, console, print_json
from tools.cli.read import DET, DICTIONARY, REC

if TYPE_CHECKING:
    from tools.measure.document import Document

__all__ = ["app"]

app = typer.Typer(help="Measure how long it takes, and how sure that is.", no_args_is_help=True)

SAMPLES = {"single": 1, "multi": 8, "offline": 1}
"""Of a query; MLPerf Inference's for multi."""

NAMES: Mapping[str, Literal["SingleStream", "MultiStream", "Offline"]] = {
    "single": "SingleStream",
    "multi": "MultiStream",
    "offline": "Offline",
}

SPARE = 4 / 3
"""How many more queries are run than the percentile takes: some are warm-up."""


@app.callback()
def _bench() -> None:
    """Measure how long it takes, and how sure that is."""


@app.command()
def model(
    model: str = typer.Argument(metavar="MODEL", help=".onnx, .nb or .pdmodel, or zoo:NAME."),
    shape: list[str] | None = SHAPE,
    batch: int = BATCH,
    scenario: Load = SCENARIO,
    seconds: float = SECONDS,
    percentile: float | None = PERCENTILE,
    threads: int = THREADS,
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    baseline: Path | None = BASELINE,
    as_json: bool = JSON,
) -> None:
    """Measure a model by itself, on noise.

    Example: lineguard bench model rec.onnx --shape x=1,3,48,320 --fail-if 'p90 > 12ms'
    """
    spec = {"kind": "model", "model": model, "threads": threads}
    spec |= {"shapes": parse_shapes(shape), "batch": batch}
    _measure(spec, scenario, seconds, percentile, out, fail_if, baseline, as_json, batch)


@app.command()
def read(
    images: list[Path] = IMAGES,
    mode: Literal["page", "fixed", "label"] = typer.Option("page", help="As lineguard read."),
    det: str = DET,
    rec: str = REC,
    dictionary: str = DICTIONARY,
    scenario: Load = SCENARIO,
    seconds: float = SECONDS,
    percentile: float | None = PERCENTILE,
    threads: int = THREADS,
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    baseline: Path | None = BASELINE,
    as_json: bool = JSON,
) -> None:
    """Measure reading of pictures with PP-OCRv4, before, in and after its engines.

    Example: lineguard bench read crops/ --mode fixed --percentile 99
    """
    from edge.families.ppocr import ZOO_READER

    page = mode == "page"
    spec = {
        "kind": "read",
        "images": [str(each) for each in image_files(images)],
        "mode": mode,
        "rec": rec,
        "dictionary": dictionary,
        "det": det if page else None,
        "cls": ZOO_READER["cls"] if page else None,
        "threads": threads,
    }
    _measure(spec, scenario, seconds, percentile, out, fail_if, baseline, as_json)


@app.command()
def detect(
    images: list[Path] = IMAGES,
    model: str = MODEL,
    scenario: Load = SCENARIO,
    seconds: float = SECONDS,
    percentile: float | None = PERCENTILE,
    threads: int = THREADS,
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    baseline: Path | None = BASELINE,
    as_json: bool = JSON,
) -> None:
    """Measure finding of defects with PP-YOLOE, before, in and after its engine.

    Example: lineguard bench detect boards/ --model zoo:pcb-defects-xs
    """
    spec = {"kind": "detect", "model": model, "threads": threads}
    spec |= {"images": [str(each) for each in image_files(images)]}
    _measure(spec, scenario, seconds, percentile, out, fail_if, baseline, as_json)


@app.command()
def bundle(
    root: Path = typer.Argument(metavar="ROOT", help="Folder of lineguard agent."),
    scenario: Load = SCENARIO,
    seconds: float = SECONDS,
    percentile: float | None = PERCENTILE,
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    baseline: Path | None = BASELINE,
    as_json: bool = JSON,
) -> None:
    """Measure the bundle that a box runs, on its golden pictures.

    Example: lineguard bench bundle /var/lib/lineguard --fail-if 'p99 > 40ms' --percentile 99
    """
    spec = {"kind": "bundle", "root": str(root)}
    _measure(spec, scenario, seconds, percentile, out, fail_if, baseline, as_json)


@app.command()
def line(
    station: Path = typer.Argument(metavar="STATION", help="A station.toml."),
    seconds: float = SECONDS,
    percentile: float | None = PERCENTILE,
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    baseline: Path | None = BASELINE,
    as_json: bool = JSON,
) -> None:
    """Measure a whole station at the rate of its cameras, trigger to signal.

    It works as with lineguard run: it writes its records and signals its machines.

    Example: lineguard bench line station.toml --seconds 600
    """
    spec = {"kind": "line", "station": str(station)}
    _measure(spec, "line", seconds, percentile, out, fail_if, baseline, as_json)


@app.command()
def ab(
    a: str = typer.Argument(metavar="MODEL_A", help="A model file, or zoo:NAME."),
    b: str = typer.Argument(metavar="MODEL_B", help="What is compared with it."),
    shape: list[str] | None = SHAPE,
    batch: int = BATCH,
    rounds: int | None = typer.Option(
        None, min=10, max=10_000, help="Of each in turn; 60 find a change of 3%."
    ),
    threads: int = THREADS,
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    as_json: bool = JSON,
) -> None:
    """Measure two models in turn, and say whether B is faster, or that nobody can tell.

    Example: lineguard bench ab dense.onnx int8.onnx --fail-if 'ratio.p50 > 0.8'
    """
    from tools.measure.ab import ROUNDS, measure_ab
    from tools.measure.gates import parse_gate

    gates = [parse_gate(each) for each in fail_if or ()]
    common = {"kind": "model", "threads": threads, "shapes": parse_shapes(shape), "batch": batch}
    with stopping() as asked, watched() as show:
        document = _or_stop(
            lambda: measure_ab(
                common | {"model": a},
                common | {"model": b},
                asked,
                rounds=rounds or ROUNDS,
                progress=lambda done, count: show(f"round {done} of {count}"),
            )
        )
    _finish(document, gates, out, as_json)


@app.command()
def compare(
    a: Path = typer.Argument(metavar="A.json", help="What lineguard bench wrote."),
    b: Path = typer.Argument(metavar="B.json", help="What is compared with it."),
    out: Path = OUT,
    fail_if: list[str] | None = FAIL_IF,
    as_json: bool = JSON,
) -> None:
    """Say whether B is faster than A, by two results of runs that were made apart.

    Example: lineguard bench compare monday.json today.json --fail-if 'ratio.p50 > 1.05'
    """
    from tools.measure.ab import compare_documents
    from tools.measure.document import load_document
    from tools.measure.gates import parse_gate

    gates = [parse_gate(each) for each in fail_if or ()]
    _finish(compare_documents(load_document(a), load_document(b)), gates, out, as_json)


def _measure(
    spec: Mapping[str, Any],
    load: Load | Literal["line"],
    seconds: float,
    percentile: float | None,
    out: Path,
    fail_if: list[str] | None,
    baseline: Path | None,
    as_json: bool,
    batch: int = 1,
) -> None:
    from tools.measure.ab import against
    from tools.measure.document import Scenario, load_document
    from tools.measure.gates import parse_gate
    from tools.measure.run import measure
    from tools.measure.stats import queries_needed

    gates = [parse_gate(each) for each in fail_if or ()]
    before = load_document(baseline) if baseline else None
    p = (percentile or (99 if load in {"multi", "line"} else 90)) / 100
    scenario = Scenario(
        name="Line" if load == "line" else NAMES[load],
        samples=1 if load == "line" else max(SAMPLES[load], batch),
        seconds=seconds,
        queries=math.ceil(queries_needed(p) * SPARE) + 1,
    )
    with stopping() as asked, watched() as show:
        document = _or_stop(
            lambda: measure(spec, scenario, asked, lambda s, n: show(f"{s:.0f} s, {n:,} queries"))
        )
    if before is not None:
        ratios, answer, notes = against(before, document)
        document = document.model_copy(
            update={
                "figures": document.figures
                | {
                    name: figure
                    for name, figure in ratios.items()
                    if name.startswith("ratio.") or name == "a12"
                },
                "answer": answer,
                "notes": (*document.notes, *notes),
            }
        )
    _finish(document, gates, out, as_json)


def _finish(document: Document, gates: list[Any], out: Path, as_json: bool) -> None:
    from models.atomic import write_atomic
    from tools.measure.gates import judge_gate
    from tools.measure.page import as_page
    from tools.measure.reports import as_junit, as_line

    outcomes = [judge_gate(gate, document) for gate in gates]
    files = {
        "bench.json": document.as_json(),
        "bench.html": as_page(document, outcomes),
        "bench.xml": as_junit(document, outcomes),
    }
    for name, data in files.items():
        write_atomic(out / name, data)
    if as_json:
        gated = [{"gate": o.gate.text, "missed": o.missed, "why": o.why} for o in outcomes]
        kept = {"samples", "rounds", "series"}  # in the file
        print_json(document.model_dump(mode="json", exclude=kept) | {"gates": gated})
    else:
        say = console.print
        say(as_line(document), soft_wrap=True, highlight=False, markup=False)
        for note in document.notes:
            say(f"note: {note}", soft_wrap=True, highlight=False, markup=False)
        for each in outcomes:
            word = "missed" if each.missed else "held"
            text = f"{word}: {each.gate.text}: {each.why}"
            say(text, soft_wrap=True, highlight=False, markup=False)
        say(f"report: {out / 'bench.html'}", soft_wrap=True, highlight=False, markup=False)
    if not document.complete:
        print(f"error: incomplete: {document.fault}", file=sys.stderr)
        raise typer.Exit(1 if document.fault.startswith("interrupted") else 3)
    if any(each.missed for each in outcomes):
        raise typer.Exit(1)


app.command()(sweep)
app.command()(compressed)
app.command()(instructions)


def _or_stop(measure: Callable[[], Document]) -> Document:
    from tools.measure.session import Interrupted

    try:
        return measure()
    except Interrupted:
        print("error: interrupted before there was anything to report", file=sys.stderr)
        raise typer.Exit(1) from None
