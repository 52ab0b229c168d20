"""Documents, gates and reports."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_lab import make_document

from models.errors import InputError
from tools.measure.ab import compare_documents
from tools.measure.document import Document, Figure, load_document
from tools.measure.gates import judge_gate, parse_gate
from tools.measure.page import as_page
from tools.measure.reports import as_junit, as_line
from tools.measure.stats import Interval


def read_xml(data: bytes) -> Xml.Element:
    return Xml.fromstring(data)  # noqa: S314 - our own


def test_a_document_comes_back_as_it_was(tmp_path: Path) -> None:
    document = make_document()
    path = tmp_path / "bench.json"
    path.write_bytes(document.as_json())
    assert load_document(path) == document


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is no bench result of schema 1"),
        (b'{"schema_version": 2}', r"it says 2\): measure again"),
        (b'{"schema_version": 1}', "kind: Field required"),
        (b"\xff\xfe", "is no JSON"),
    ],
)
def test_what_is_no_document_is_one_error(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        load_document(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        load_document(tmp_path / "none.json")


@given(st.floats(0.01, 1e4), st.floats(1e-4, 1e4))
@settings(deadline=None)
def test_a_rounded_interval_holds_what_it_held(value: float, half: float) -> None:
    interval = Interval(value, value - half, value + half)
    figure = Figure.of(interval, "ms", value + half)
    slack = 1e-9 * max(value, half)
    assert figure.low <= interval.low + slack
    assert figure.high >= interval.high - slack
    assert figure.early is not None
    assert figure.early >= value + half - slack


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("p99 > 40ms", False),
        ("p99>8ms", True),
        ("p99 > 8", True),
        ("p50 < 1 ms", False),
        ("p50.high >= 5000us", True),
        ("p90.early > 1s", False),
        ("throughput < 1/s", False),
        ("throughput < 1000 /s", True),
        ("stage.infer > 20ms", False),
        ("p99.9 > 1000ms", True),  # not known of 2,000 queries
        ("ratio.p50 > 1.05", True),  # nothing to compare with
    ],
)
def test_gates(text: str, missed: bool) -> None:
    assert judge_gate(parse_gate(text), make_document()).missed is missed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no gate: write FIGURE > NUMBER UNIT"),
        ("p99 = 40ms", "is no gate"),
        ("p99 > fast", "is no gate"),
        ("p99 > -1", "is no gate"),
        ("p999 > 40ms", "no figure is called p999: did you mean p99"),
        ("p99 > 40 hours", "no unit is called hours: use us"),
        ("p99 > 40 MB", "p99 is in ms: write a number of those"),
    ],
)
def test_what_is_no_gate_is_one_error(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        judge_gate(parse_gate(text), make_document())
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
@settings(deadline=None)
def test_no_text_breaks_the_gates(text: str) -> None:
    try:
        parse_gate(text)
    except InputError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most texts are none


def test_an_incomplete_bench_holds_no_gate() -> None:
    document = make_document(complete=False, fault="died of SIGSEGV")
    outcome = judge_gate(parse_gate("p50 > 1000ms"), document)
    assert outcome.missed
    assert "incomplete: died of SIGSEGV" in outcome.why
    assert as_line(document).startswith("INCOMPLETE (died of SIGSEGV): ")
    assert b"Incomplete: died of SIGSEGV" in as_page(document)
    failures = read_xml(as_junit(document, [outcome])).findall("testcase/failure")
    assert len(failures) == 2


def test_the_line_says_the_figure_that_counts_first() -> None:
    line = as_line(make_document())
    assert line.startswith("SingleStream of m.onnx: p90 1")
    assert "early stopping" in line
    assert "\n" not in line
    assert "p90 not known (takes 64 steady queries, there are" in as_line(make_document(40))


def test_junit_is_read_by_what_reads_junit() -> None:
    gates = [judge_gate(parse_gate(text), make_document()) for text in ("p50 > 1s", "p50 > 1ms")]
    suite = read_xml(as_junit(make_document(), gates))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "complete",
        "p50 > 1s",
        "p50 > 1ms",
    ]


def test_a_page_of_ten_minutes_is_small_and_needs_nothing_else() -> None:
    document = make_document(60_000, period_s=0.010)
    page = as_page(document).decode()
    assert len(page) < 300_000  # 3 MB is what is allowed
    for word in ("http:", "https:", "src=", "<script", "@import", "url("):
        assert word not in page
    assert page.count("<svg") == 7  # distribution, time, four of the machine, stages
    assert "nan" not in page.split("<svg", 1)[1]


def test_names_cannot_break_the_page() -> None:
    nasty = "<img src=x onerror=alert(1)>\x00"
    what = {"name": nasty, "engine": nasty, "engine_version": "1", "threads": 1}
    document = make_document(what=what, fault=nasty, complete=False, notes=(nasty,))
    assert "<img" not in as_page(document).decode()
    read_xml(as_junit(document, []))


def test_constant_latencies_make_a_page_too() -> None:
    raw = json.loads(make_document(100).as_json())
    raw["samples"]["took_ns"] = [1_000_000] * 100
    assert b"nan" not in as_page(Document.model_validate(raw)).split(b"<svg", 1)[1]


def test_two_documents_are_compared() -> None:
    a, b = make_document(ms=10), make_document(ms=12, seed=1)
    document = compare_documents(a, b)
    assert document.answer == "slower"
    ratio = document.figures["ratio.p50"]
    assert ratio.low <= 1.2 <= ratio.high
    assert "measured apart" in as_line(document)
    assert judge_gate(parse_gate("ratio.p50 > 1.05"), document).missed
    assert compare_documents(a, make_document(seed=2)).answer == "cannot tell"
    assert as_page(document)


def test_what_differs_is_said_and_what_cannot_be_compared_is_refused() -> None:
    a = make_document()
    other = make_document(machine={"cpu": "other", "kernel": "k"})
    assert any("cpu: c and other" in note for note in compare_documents(a, other).notes)
    with pytest.raises(InputError, match="it takes 100 of each"):
        compare_documents(a, make_document(60))
    multi = a.model_copy(update={"scenario": a.scenario.model_copy(update={"samples": 8})})
    with pytest.raises(InputError, match="other scenarios"):
        compare_documents(a, multi)
    cut = make_document(complete=False, fault="interrupted")
    assert not compare_documents(a, cut).complete


def test_percentiles_of_the_document_are_those_of_its_samples() -> None:
    document = make_document()
    ordered = np.sort(document.samples.steady_ms())
    figure = document.figures["p99"]
    exact = ordered[int(len(ordered) * 0.99)]
    assert figure.value == pytest.approx(exact, abs=0.51 * 10.0**-figure.places)
