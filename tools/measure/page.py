"""A result as a page of HTML that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.measure.document import Document
from tools.measure.gates import Outcome
from tools.measure.reports import as_line
from tools.measure.svg import courses, distribution, ratios, split, timeline, versus

__all__ = ["STYLE", "as_page"]

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:800px;margin:2em auto;padding:0 1em;color:#222;
background:#fff}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em;border-bottom:1px solid #ccc}
table{border-collapse:collapse;width:100%}td,th{padding:.2em .6em;text-align:left;
border-bottom:1px solid #e4e4e4;vertical-align:top;overflow-wrap:anywhere}
td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.bad{background:#8c1c13;color:#fff;padding:.6em 1em}.good{color:#1c6b2a}.missed{color:#8c1c13}
svg{width:100%;height:auto;margin:.5em 0}svg text{font:11px system-ui,sans-serif;fill:#444}
svg polyline{fill:none;stroke-width:1.4}.grid{stroke:#e4e4e4}.bar{fill:#3b6ea5;fill-opacity:.55}
.mark{stroke:#8c1c13;stroke-dasharray:3 3}
"""

Floats = NDArray[np.float64]

_WORDS = {
    "open": "to open, its trial included",
    "first": "first query",
    "jitter": "jitter: mean change from one query to the next",
    "drift": "drift: last minute over the first, in the median",
    "overhead": "what measuring adds, of p50",
    "throughput": "samples a second",
    "rate": "parts a second that came",
    "memory.peak": "most memory",
    "memory.growth": "growth of memory",
    "a12": "A12: how often B takes longer than A",
    "a.memory.peak": "most memory of A",
    "b.memory.peak": "most memory of B",
}


def as_page(document: Document, outcomes: Sequence[Outcome] = ()) -> bytes:
    """The page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{escape(document.title)}</title><style>{STYLE}</style>",
        f"<h1>{escape(document.title)}</h1>",
    ]
    if not document.complete:
        parts.append(f"<p class=bad>Incomplete: {escape(document.fault)}</p>")
    parts.append(f"<p>{escape(as_line(document))}</p>")
    if document.notes:
        parts.append("<h2>Before you believe it</h2><ul>")
        parts += [f"<li>{escape(note)}</li>" for note in document.notes]
        parts.append("</ul>")
    if outcomes:
        parts.append("<h2>Gates</h2><table>")
        for each in outcomes:
            word = "<b class=missed>missed</b>" if each.missed else "<b class=good>held</b>"
            parts.append(_row(each.gate.text, word, escape(each.why)))
        parts.append("</table>")
    parts.append(_figures(document))
    if document.samples.took_ns:
        parts += _plots(document)
    elif document.rounds:
        parts += _rounds(document)
    what = document.what
    facts = _facts(what) if document.kind == "run" else _both(what["a"], what["b"])
    parts += ["<h2>What was measured</h2>", facts]
    if document.line:
        parts += ["<h2>What came of the parts</h2>", _facts(document.line)]
    asked = document.scenario.model_dump() | {"lineguard": document.lineguard}
    parts += ["<h2>How</h2>", _facts(asked | {"started": document.started})]
    parts += ["<h2>On what</h2>", _facts(document.machine)]
    parts.append(
        "<p>Percentiles are LoadGen's: of N sorted latencies number floor(N p). Intervals hold "
        "with 99% confidence, bootstrapped in blocks of neighbouring queries. Early stopping: the "
        "percentile is not above it with 99% confidence, as LoadGen has it. No figure has more "
        "digits than its interval lets stand.</p></html>\n"
    )
    return "\n".join(parts).encode()


def _row(name: str, *cells: str) -> str:
    return f"<tr><td>{escape(name)}" + "".join(f"<td>{cell}" for cell in cells)


def _figures(document: Document) -> str:
    rows = ["<h2>Figures</h2><table><tr><th>figure<th>value<th>99% interval<th>early stopping"]
    for name, figure in document.figures.items():
        said = f"{figure.shown(figure.value)} {escape(figure.unit)}"
        between = (
            "" if figure.low == figure.high
            else f"{figure.shown(figure.low)} to {figure.shown(figure.high)}"
        )  # fmt: skip
        early = "" if figure.early is None else figure.shown(figure.early)
        label = escape(_WORDS.get(name, name))
        rows.append(f"<tr><td>{label}<td class=n>{said}<td class=n>{between}<td class=n>{early}")
    rows += [
        _row(name, escape(f"not stated: {why}"), "", "") for name, why in document.missing.items()
    ]
    return "\n".join([*rows, "</table>"])


def _plots(document: Document) -> list[str]:
    samples = document.samples
    at, all_ms = np.array(samples.start_us) / 1e6, np.array(samples.took_ns) / 1e6
    steady = samples.steady_ms()
    if not len(steady):
        return []
    marks: dict[str, float] = {
        name: document.figures[name].value
        for name in ("p50", "p90", "p99")
        if name in document.figures
    }
    parts = ["<h2>How latencies lie</h2>", distribution(steady, marks), "<h2>Over time</h2>"]
    parts += timeline(at, all_ms, float(at[samples.steady]), _series(document))
    prefix = "stage."
    stages = {
        name.removeprefix(prefix): figure.value
        for name, figure in document.figures.items()
        if name.startswith(prefix)
    }
    if sum(stages.values()) > 0:
        parts += ["<h2>Where a query's time goes</h2>", split(stages)]
    return parts


def _series(document: Document) -> dict[str, tuple[Floats, Floats]]:
    """What the machine told of each second, by what it is."""
    series = {}
    for key, name, factor in (
        ("celsius", "°C", 1.0),
        ("mhz", "MHz", 1.0),
        ("others", "% taken by others", 100.0),
        ("rss_mb", "MB of memory" + (" of A" if document.kind == "comparison" else ""), 1.0),
    ):
        known = [(m.at_s, getattr(m, key)) for m in document.series]
        known = [(x, y * factor) for x, y in known if y is not None]
        if known:
            x, y = np.array(known, np.float64).T
            series[name] = (x, y)
    return series


def _rounds(document: Document) -> list[str]:
    names = {side: document.what[side]["name"] for side in ("a", "b")}
    sides = {
        f"{side.upper()}: {names[side]}": np.array(_flat(document.rounds[side])) / 1e6
        for side in ("a", "b")
    }
    medians = [
        np.array([np.median(each) for each in document.rounds[side]], np.float64)
        for side in ("a", "b")
    ]
    parts = ["<h2>How latencies lie</h2>", versus(sides)]
    ratio = document.figures.get("ratio.p50")
    if ratio is not None:
        stated = (ratio.value, ratio.low, ratio.high)
        parts += ["<h2>B over A, round after round</h2>", ratios(medians[1] / medians[0], stated)]
    machine = courses(_series(document))
    return [*parts, *(["<h2>The machine meanwhile</h2>"] if machine else []), *machine]


def _flat(rounds: Sequence[Sequence[int]]) -> list[int]:
    return [ns for each in rounds for ns in each]


def _both(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Facts of both, side by side."""
    rows = ["<table><tr><th><th>A<th>B"]
    rows += [_row(key, *(_said(side.get(key, "")) for side in (a, b))) for key in {**a, **b}]
    return "\n".join([*rows, "</table>"])


def _facts(facts: Mapping[str, Any]) -> str:
    rows = [_row(name, _said(value)) for name, value in facts.items()]
    return "<table>" + "\n".join(rows) + "</table>"


def _said(value: object) -> str:
    if isinstance(value, dict):
        return "<br>".join(escape(f"{key}: {each}") for key, each in value.items())
    return escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))
