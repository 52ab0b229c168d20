"""What is written down of a verdict."""

import json

import numpy as np
from verdict_lab import RUN, lab_verdict

from edge.judge import Judgement
from edge.verdict import Outcome
from models.ppocr.geometry import box_quad
from models.results import Defect, Findings, TextLine


def test_the_record_lists_lines_and_defects_by_region() -> None:
    found = {
        "label": Findings(lines=(TextLine("LOT 1", 0.98765, box_quad(0, 0, 9, 9)),)),
        "face": Findings(
            defects=(Defect("open", 0.912345, np.array([1.04, 2, 30.26, 40], np.float32)),)
        ),
        "failed": None,
    }
    verdict = lab_verdict(1, Outcome(Judgement(False), found))
    record = verdict.as_record()
    assert json.loads(json.dumps(record)) == record
    assert record["id"] == f"{RUN}-top-1"
    assert (record["product"], record["lot"]) == ("Green tea 500 ml", "L2611A")
    assert record["read"] == {"label": [{"text": "LOT 1", "score": 0.9877}], "face": []}
    assert record["defects"] == {
        "label": [],
        "face": [{"label": "open", "score": 0.9123, "box": [1.0, 2.0, 30.3, 40.0]}],
    }
