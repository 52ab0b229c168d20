"""What is written down of a verdict."""

import json
import time
from datetime import datetime, timezone

import numpy as np

from edge.deadline import Deadline
from edge.judge import Judgement
from edge.verdict import Outcome, Part, Verdict
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
    now = time.monotonic()
    part = Part("top", now, datetime.now(timezone.utc), Deadline(now + 1), now, None)
    record = Verdict(1, part, Outcome(Judgement(False), found), 0.1, 0.0).as_record()
    assert json.loads(json.dumps(record)) == record
    assert record["read"] == {"label": [{"text": "LOT 1", "score": 0.9877}], "face": []}
    assert record["defects"] == {
        "label": [],
        "face": [{"label": "open", "score": 0.9123, "box": [1.0, 2.0, 30.3, 40.0]}],
    }
