"""A result as one line for the terminal, and as JUnit XML for CI."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from tools.measure.compare import size_word
from tools.measure.document import Document
from tools.measure.gates import Outcome

__all__ = ["STATED", "as_junit", "as_line"]

STATED = {"SingleStream": "p90", "MultiStream": "p99", "Offline": "throughput", "Line": "p99"}
"""The figure that stands for each scenario; MLPerf Inference's for its three."""


def as_line(document: Document) -> str:
    """The result in one line, the figure that counts first."""
    end = "" if document.complete else f"INCOMPLETE ({document.fault}): "
    if document.kind == "comparison":
        return f"{end}{document.title}: {_compared(document)}"
    stated = STATED[document.scenario.name]
    names = [stated, *(name for name in ("p50", "p99", "max") if name != stated)]
    said = []
    for name in names:
        figure = document.figures.get(name)
        if figure is not None:
            early = f", early stopping {figure.shown(figure.early)}" if figure.early else ""
            said.append(f"{name} {figure.text()}{early if name == stated else ''}")
        elif name == stated:
            said.append(f"{name} not known ({document.missing.get(name, 'no figure')})")
    counted = len(document.samples.took_ns) - document.samples.steady
    what = document.what
    said.append(f"{counted:,} steady queries")
    said.append(f"{what['engine']} {what['engine_version']}, {what['threads']} threads")
    if document.line:
        said.append(f"{document.line['ng']} NG, {document.line['late']} late")
    return f"{end}{document.title}: {'; '.join(said)}"


def _compared(document: Document) -> str:
    ratio, effect = document.figures.get("ratio.p50"), document.figures["a12"]
    if ratio is None:
        return "cannot tell: too few queries"
    how = "" if document.rounds else ", measured apart"
    size = f"A12 {effect.text()}, {size_word(effect.value)}"
    if document.answer == "cannot tell":
        return f"cannot tell which is faster: p50 times {ratio.text()} ({size}{how})"
    return f"{document.answer} with 99% confidence: p50 times {ratio.text()} ({size}{how})"


def as_junit(document: Document, outcomes: Sequence[Outcome]) -> bytes:
    """JUnit XML: one test case for the run itself, and one for each gate."""
    suite = Xml.Element("testsuite", name=_xml(f"lineguard bench: {document.title}"))
    properties = Xml.SubElement(suite, "properties")
    for name, figure in document.figures.items():
        Xml.SubElement(properties, "property", name=name, value=figure.text())
    cases = [("complete", "" if document.complete else document.fault)]
    cases += [(each.gate.text, each.why if each.missed else "") for each in outcomes]
    for name, why in cases:
        case = Xml.SubElement(suite, "testcase", classname="lineguard.bench", name=_xml(name))
        if why:
            Xml.SubElement(case, "failure", message=_xml(why))
    failures = sum(bool(why) for _, why in cases)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(failures))
    suite.set("timestamp", document.started)
    return bytes(Xml.tostring(suite, encoding="utf-8", xml_declaration=True)) + b"\n"


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(c if c.isprintable() else " " for c in text)
