"""One picture, inspected: what is found, judged, and what becomes of failures."""

import threading
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from loop_lab import LabCamera, LabModel, station
from numpy.typing import NDArray

from edge.families import Inspector
from edge.loop.inspection import inspect
from edge.setting import Setting, SharedModel
from edge.station import Region
from models.errors import EngineError
from models.results import Findings
from models.stopwatch import Stopwatch

IMAGE = np.full((8, 8, 3), 4, np.uint8)

TODAY = date(2026, 11, 22)

TWO = """
[[regions]]
name = "second"
camera = "top"
model = "m"
mode = "fixed"
"""


class Failing:
    """Fails on one region alone."""

    def __init__(self, error: Exception, region: str = "print") -> None:
        self._error, self._region = error, region
        self.seen: list[str] = []

    def inspect(self, image: NDArray[np.uint8], region: Region, watch: Stopwatch) -> Findings:
        self.seen.append(region.name)
        if region.name == self._region:
            raise self._error
        return Findings()


def setting(folder: Path, model: Inspector, more: str = "") -> Setting:
    LabCamera(0)
    return Setting.of("run", station(folder, more=more), {"m": model})


def test_what_is_found_is_judged(tmp_path: Path) -> None:
    watch = Stopwatch()
    watch.seconds["capture"] = 0.5
    good = inspect(setting(tmp_path, LabModel()), "top", IMAGE, TODAY, watch)
    assert good.judgement.ok
    assert good.stages["capture"] == 0.5
    assert {"wait", "infer", "judge"} <= set(good.stages)
    found = good.findings["print"]
    assert found is not None
    assert found.lines[0].text == "GOOD"
    bad = inspect(setting(tmp_path, LabModel(lambda n: "BAD")), "top", IMAGE, TODAY, Stopwatch())
    assert [reason.code for reason in bad.judgement.reasons] == ["mismatch"]


def test_dates_are_compared_with_today(tmp_path: Path) -> None:
    dated = """
    [[rules]]
    name = "exp"
    kind = "date"
    region = "print"
    pattern = '(?P<date>\\d{8})'
    formats = ["%Y%m%d"]
    not_expired = true
    """
    judged_by = setting(tmp_path, LabModel(lambda n: "20261122"), dated)
    for day, expired in ((22, False), (23, True)):
        outcome = inspect(judged_by, "top", IMAGE, date(2026, 11, day), Stopwatch())
        assert ("expired" in {r.code for r in outcome.judgement.reasons}) is expired


@pytest.mark.parametrize(
    ("error", "code"), [(EngineError("no"), "cannot_evaluate"), (ValueError(), "engine_failed")]
)
def test_a_failure_is_ng_and_the_other_regions_are_looked_at(
    error: Exception, code: str, tmp_path: Path
) -> None:
    model = Failing(error)
    outcome = inspect(setting(tmp_path, model, TWO), "top", IMAGE, TODAY, Stopwatch())
    assert model.seen == ["print", "second"]
    assert [reason.code for reason in outcome.judgement.reasons] == [code]
    assert list(outcome.findings) == ["second"]
    assert "judge" not in outcome.stages


def test_whoever_is_asked_before_may_end_it(tmp_path: Path) -> None:
    class Refused(Exception):  # noqa: N818
        pass

    asked: list[SharedModel] = []

    def twice_at_most(model: SharedModel) -> None:
        asked.append(model)
        if len(asked) == 2:
            raise Refused

    model = LabModel()
    judged_by = setting(tmp_path, model, TWO)
    with pytest.raises(Refused):
        inspect(judged_by, "top", IMAGE, TODAY, Stopwatch(), twice_at_most)
    assert len(model.seen) == 1
    assert asked[0].lock.acquire(blocking=False)


def test_a_model_that_is_busy_is_waited_for(tmp_path: Path) -> None:
    judged_by = setting(tmp_path, LabModel())
    lock = judged_by.models["m"].lock
    lock.acquire()
    threading.Timer(0.1, lock.release).start()
    outcome = inspect(judged_by, "top", IMAGE, TODAY, Stopwatch())
    assert outcome.stages["wait"] >= 0.09
