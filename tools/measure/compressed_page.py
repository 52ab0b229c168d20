"""Reports of compressions at a glance: a page that links to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tools.measure.document import Document
from tools.measure.page import STYLE
from tools.measure.pairs import Left, Report
from tools.measure.reports import as_line

__all__ = ["as_index", "as_words"]

HEAD = (
    "model", "engine", "precision", "dense, p50", "compressed, p50", "times the time", "bytes",
    "accuracy", "",
)  # fmt: skip

WIDE = "body{max-width:1100px}td,th{overflow-wrap:normal}"


def as_index(reports: Sequence[Report | Left]) -> bytes:
    """The page: a row a report, and what was left out and why."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        "<title>Dense against compressed</title>",
        f"<style>{STYLE}{WIDE}</style><h1>Dense against compressed</h1>",
        "<table><tr>" + "".join(f"<th>{name}" for name in HEAD),
    ]
    documents = []
    for each in reports:
        if isinstance(each, Report) and each.document is not None:
            documents.append(each.document)
            parts.append(_row(each, each.document))
    parts.append(
        "</table><p>Both were measured in turns on this machine; times are medians of one "
        "inference on noise, with 99% intervals. Accuracy is the compression's own figure, and "
        "by how much it differs from the original's, relative.</p>"
    )
    lacking = [as_words(each) for each in reports if isinstance(each, Left) or each.fault]
    if lacking:
        parts.append("<h2>What is lacking</h2><ul>")
        parts += [f"<li>{escape(words)}" for words in lacking]
        parts.append("</ul>")
    notes = sorted({note for each in documents for note in each.notes})
    if notes:
        parts.append("<h2>Before you believe it</h2><ul>")
        parts += [f"<li>{escape(note)}" for note in notes]
        parts.append("</ul>")
    if documents:
        facts = "; ".join(f"{name}: {value}" for name, value in documents[0].machine.items())
        parts.append(f"<h2>On what</h2><p>{escape(facts)}; {escape(documents[0].started)}</p>")
    return "\n".join([*parts, "</html>\n"]).encode()


def as_words(report: Report | Left) -> str:
    """One line for the terminal."""
    if isinstance(report, Left):
        return f"left out: {report.name} on {report.engine}: {report.why}"
    where = f"{report.pair.name} on {report.pair.engine}"
    if report.document is None:
        return f"failed: {where}: {report.fault}"
    return f"{where}: {as_line(report.document)}"


def _row(report: Report, document: Document) -> str:
    pair, figures = report.pair, document.figures
    what = document.what["b"]
    ratio, accuracy = figures.get("ratio.p50"), pair.artefact.accuracy
    said = document.answer if document.complete else f"{document.answer} (incomplete)"
    cells = [
        pair.name,
        f"{what['engine']} {what['engine_version']}",
        what["precision"],
        *(figures[f"{side}.p50"].text() if f"{side}.p50" in figures else "" for side in "ab"),
        f"{said}: {ratio.text()}" if ratio is not None else said,
        f"{pair.bytes[0] / 1e6:.2f} to {pair.bytes[1] / 1e6:.2f} MB",
        f"{pair.metric} {accuracy.value:.4f}, {0.0 - accuracy.drop:+.2%}" if accuracy else "",
    ]
    row = "".join(f"<td>{escape(text)}" for text in cells)
    return f'<tr>{row}<td><a href="{escape(report.stem)}.html">report</a>'
