"""A sweep as a page of HTML that needs nothing but itself, and as lines for the terminal."""

from __future__ import annotations

from html import escape

from tools.measure.document import Figure
from tools.measure.page import STYLE
from tools.measure.svg import scatter
from tools.measure.sweep import Outcome, Swept, best

__all__ = ["SHORT", "as_sweep_lines", "as_sweep_page"]

SHORT = ("", "model", "engine", "", "thr", "input", "batch", "p50, ms a sample", "/s")
"""Heads of the terminal's columns; the metric comes behind them."""

HEAD = (
    "model",
    "engine",
    "precision",
    "threads",
    "input",
    "batch",
    "p50, ms a sample",
    "samples/s",
)


def as_sweep_page(swept: Swept) -> bytes:
    """The page: the plot, if accuracy was measured, and the table."""
    stars = best(swept.outcomes)
    title = f"Sweep of {len(swept.outcomes)} combinations"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{title}</title><style>{STYLE}body{{max-width:1100px}}tr.best{{font-weight:bold}}"
        "</style>",
        f"<h1>{title}</h1>",
    ]
    parts += _plot(swept, stars)
    more = [swept.metric] if swept.metric else []
    parts.append("<table><tr>" + "".join(f"<th>{escape(each)}" for each in [*HEAD, *more]))
    for number, each in enumerate(swept.outcomes):
        kind = " class=best" if number in stars else ""
        cells = "".join(f"<td>{escape(text)}" for text in _texts(each, bool(swept.metric)))
        parts.append(f"<tr{kind}>{cells}")
    parts.append("</table><p>Bold: no other is at least as fast and as accurate. Times are medians")
    parts.append(" of the steady state, with 99% intervals where they show; noise as input.</p>")
    documents = [each.document for each in swept.outcomes if each.document is not None]
    if documents:
        machine = documents[0].machine
        facts = "; ".join(f"{name}: {value}" for name, value in machine.items())
        parts.append(f"<h2>On what</h2><p>{escape(facts)}</p>")
        notes = sorted({note for each in documents for note in each.notes})
        if notes:
            parts.append("<h2>Before you believe it</h2><ul>")
            parts += [f"<li>{escape(note)}" for note in notes]
            parts.append("</ul>")
    return "\n".join([*parts, "</html>\n"]).encode()


def as_sweep_lines(swept: Swept) -> list[list[str]]:
    """Rows of what was measured for a terminal, as ``SHORT``, a star at the best ones."""
    stars = best(swept.outcomes)
    rows = []
    for number, each in enumerate(swept.outcomes):
        if each.document is not None:
            name, engine, *rest = _texts(each, bool(swept.metric))
            rows.append(["*" if number in stars else "", name, engine.split()[0], *rest])
    return rows


def _plot(swept: Swept, stars: set[int]) -> list[str]:
    points = [
        (each.sample_ms, each.accuracy, each.cell.name, number in stars)
        for number, each in enumerate(swept.outcomes)
        if each.sample_ms is not None and each.accuracy is not None
    ]
    if not points:
        return []
    series = list(dict.fromkeys(name for _, _, name, _ in points))
    return [scatter(points, ("p50, ms a sample", swept.metric), series)]


def _texts(outcome: Outcome, metric: bool) -> list[str]:
    cell, document = outcome.cell, outcome.document
    name = cell.name
    sizes = " ".join("x".join(map(str, size[1:])) for size in cell.shapes.values())
    if document is None:
        failed = f"failed: {outcome.fault}"
        row = [name, "", "", str(cell.threads), sizes, str(cell.batch), failed, ""]
        return [*row, ""] if metric else row
    what = document.what
    sizes = " ".join("x".join(map(str, size[1:])) for size in what["inputs"].values())
    p50, rate = document.figures.get("p50"), document.figures.get("throughput")
    each = document.scenario.samples
    row = [
        name,
        f"{what['engine']} {what['engine_version']}",
        what["precision"],
        str(cell.threads),
        sizes,
        str(cell.batch),
        "too few queries" if p50 is None else _per_sample(p50, each),
        "" if rate is None else rate.shown(rate.value),
    ]
    if metric:
        row.append("" if outcome.accuracy is None else f"{outcome.accuracy:.4f}")
    return row


def _per_sample(p50: Figure, samples: int) -> str:
    if samples == 1:
        return p50.text().replace(" ms", "", 1)
    return f"{p50.value / samples:.{max(0, p50.places + 1)}f}"
