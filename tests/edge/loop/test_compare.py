"""What counts as a difference between two outcomes of one part."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.judge import Judgement, Reason
from edge.loop.compare import difference, inspection_ms, plain_outcome
from edge.verdict import Outcome
from models.ppocr.geometry import box_quad
from models.results import Defect, Findings, TextLine


def outcome(ok: bool = True, defects: tuple[Defect, ...] = (), lot: str = "") -> Outcome:
    reasons = () if ok else (Reason("lot", "mismatch", {"read": "A", "expected": "B"}),)
    line = TextLine("LOT", 0.9, box_quad(0, 0, 8, 8), (0.9,))
    found = {"label": Findings((line,), defects), "lid": None}
    fields = {"lot.lot": lot} if lot else {}
    return Outcome(Judgement(ok, reasons, fields), found, {"infer": 0.1, "wait": 5.0, "pre": 0.02})


def spot(label: str, x: float, score: float = 0.9) -> Defect:
    return Defect(label, score, np.array([x, 0, x + 10, 10], np.float32))


def differ(one: Outcome, other: Outcome) -> str:
    return difference(plain_outcome(one), plain_outcome(other))


OK, NG = outcome(), outcome(ok=False)


def test_verdicts() -> None:
    assert [differ(OK, OK), differ(OK, NG), differ(NG, OK), differ(NG, NG)] == [
        "same", "rejects", "passes", "same",
    ]  # fmt: skip


def test_fields() -> None:
    assert differ(outcome(lot="L1"), outcome(lot="L1")) == "same"
    assert differ(outcome(lot="L1"), outcome(lot="L7")) == "content"
    assert differ(outcome(lot="L1"), outcome()) == "content"


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ((spot("a", 0), spot("a", 50)), True),
        ((spot("a", 50, 0.3), spot("a", 0, 0.4)), True),
        ((spot("a", 2), spot("a", 51)), True),
        ((spot("a", 0),), False),
        ((spot("a", 0), spot("b", 50)), False),
        ((spot("a", 0), spot("a", 58)), False),
        ((spot("a", 0), spot("a", 0)), False),
        ((), False),
    ],
)
def test_defects(theirs: tuple[Defect, ...], same: bool) -> None:
    ours = (spot("a", 0), spot("a", 50))
    told = "same" if same else "content"
    assert differ(outcome(defects=ours), outcome(defects=theirs)) == told
    assert differ(outcome(defects=theirs), outcome(defects=ours)) == told


_SPOTS = st.lists(
    st.builds(spot, st.sampled_from("ab"), st.floats(0, 200), st.floats(0, 1)), max_size=6
).map(tuple)


@settings(deadline=None)
@given(_SPOTS)
def test_nothing_differs_from_itself(defects: tuple[Defect, ...]) -> None:
    mine = outcome(defects=defects)
    assert differ(mine, outcome(defects=defects[::-1])) == "same"


@settings(deadline=None)
@given(_SPOTS, _SPOTS)
def test_the_number_of_defects_never_goes_unnoticed(
    ours: tuple[Defect, ...], theirs: tuple[Defect, ...]
) -> None:
    if len(ours) != len(theirs):
        assert differ(outcome(defects=ours), outcome(defects=theirs)) == "content"


def test_an_outcome_in_plain_values() -> None:
    plain = plain_outcome(outcome(ok=False, defects=(spot("a", 1, 0.12345),), lot="L1"))
    assert json.loads(json.dumps(plain)) == plain
    assert plain["defects"] == {
        "label": [{"label": "a", "score": 0.1235, "box": [1.0, 0.0, 11.0, 10.0]}]
    }
    assert Reason(**plain["reasons"][0]).text() == outcome(ok=False).judgement.reasons[0].text()
    assert plain["read"]["label"][0]["quad"][2] == [8.0, 8.0]


def test_waiting_is_no_looking() -> None:
    assert inspection_ms(OK) == 120.0
    assert inspection_ms(replace(OK, stages={})) == 0.0
