"""Drift as an output of the loop: what it measures, what it keeps, what it tells."""

import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records_lab import SETTING, START
from verdict_lab import OK, WRONG_LOT

from edge.camera.base import Frame
from edge.challenge.lock import Locked
from edge.deadline import Deadline
from edge.judge import Job
from edge.loop.drift import DriftWatch
from edge.setting import Setting
from edge.station.drift import DriftTable
from edge.verdict import Outcome, Part, Verdict
from models.ppocr.geometry import box_quad
from models.results import Findings, TextLine

TABLE = DriftTable(reference=100, window=50)

Told = list[tuple[str, str | None, str | None]]


class Line:
    """Parts that pass, one after the other."""

    def __init__(self, path: Path, setting: Setting = SETTING) -> None:
        self.told: Told = []
        self.path, self.setting = path, setting
        self.watch = self.started()
        self._number = 0
        self._rng = np.random.default_rng(4)

    def started(self) -> DriftWatch:
        return DriftWatch(TABLE, self.path, lambda *told: self.told.append(told))

    def passes(
        self,
        count: int,
        light: float = 100,
        score: float = 0.97,
        outcome: Outcome = OK,
        golden: str | None = None,
    ) -> None:
        for _ in range(count):
            self._number += 1
            now = time.monotonic()
            grey = round(float(np.clip(self._rng.normal(light, 1), 0, 255)))
            frame = Frame(np.full((480, 1000, 3), grey, np.uint8), now, self._number)
            read = float(np.clip(self._rng.normal(score, 0.01), 0, 1))
            lines = (TextLine("LOT:L2611A", read, box_quad(0, 0, 9, 9)),)
            found = {"label": Findings(lines), "cap": Findings(lines)}
            part = Part(self.setting, "top", now, START, Deadline(now + 9), now, frame)
            verdict = Verdict(
                self._number, part, replace(outcome, findings=found), 0.1, 0.0, golden
            )
            self.watch.verdict(verdict)

    @property
    def active(self) -> dict[str, str]:
        now: dict[str, str] = {}
        for name, en, _ in self.told:
            now.pop(name, None)
            if en is not None:
                now[name] = en
        return now


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path / "s.drift.json")


def test_it_tells_what_has_changed_in_both_languages(line: Line) -> None:
    line.passes(300)
    assert line.told == []
    line.passes(100, light=90)
    assert sorted(line.active) == ["top cap brightness", "top label brightness"]
    _, en, zh = line.told[-1]
    assert en == "brightness 90, was 100 when it was learnt: see to lamp and lens"
    assert zh == "亮度 90，学习时为 100：请检查光源和镜头"
    line.passes(100)
    assert line.active == {}
    line.passes(100, score=0.92, outcome=WRONG_LOT)
    assert sorted(line.active) == ["top cap reading", "top label reading"]
    assert "score of 0.92, was 0.97" in line.active["top cap reading"]


def test_a_restart_keeps_what_was_learnt(line: Line) -> None:
    line.passes(120)
    line.watch = line.started()
    line.passes(60, light=90)
    assert "top label brightness" in line.active


def test_golden_and_locked_parts_are_none_of_it(line: Line) -> None:
    line.passes(120)
    line.passes(100, light=50, golden="dark one")
    line.setting = replace(line.setting, lock=Locked())
    line.passes(100, light=50)
    assert line.told == []


def test_after_a_challenge_all_is_learnt_anew(line: Line) -> None:
    line.passes(120)
    line.passes(100, light=90)
    assert line.active
    line.watch.renew()
    line.passes(1, light=90)
    assert line.active == {}
    line.passes(250, light=90)
    assert line.active == {}
    line.passes(100, light=100)
    assert line.active


def test_each_product_is_learnt_for_itself(line: Line) -> None:
    line.passes(120)
    line.passes(60, light=90)
    assert line.active
    line.setting = line.setting.with_job(Job(product="White carton"))
    line.passes(250, light=180)
    assert line.active == {}
    line.setting = SETTING
    line.passes(49, light=100)
    line.passes(60, light=90)
    assert "top label brightness" in line.active, "the first one is still known"


def test_a_file_that_is_damaged_or_cannot_be_written_stops_nothing(line: Line) -> None:
    line.path.write_bytes(b'{"references": {"x": [1, "')
    line.watch = line.started()
    line.passes(120)
    assert line.path.read_bytes().startswith(b'{"references":{"')
    line.path.unlink()
    line.path.mkdir()
    (line.path / "in the way").touch()
    line.watch = line.started()
    line.passes(120)
    line.passes(60, light=90)
    assert line.active


def test_a_part_costs_little_and_no_picture_is_copied(tmp_path: Path) -> None:
    """0.2 ms, of a picture of 12 megapixels; here five times that, since the machine is shared."""
    line = Line(tmp_path / "s.drift.json")
    line.passes(160)
    now = time.monotonic()
    frame = Frame(np.full((3000, 4000, 3), 100, np.uint8), now, 0)
    part = Part(SETTING, "top", now, START, Deadline(now + 9), now, frame)
    lines = (TextLine("LOT:L2611A", 0.97, box_quad(0, 0, 9, 9)),)
    outcome = replace(OK, findings={"label": Findings(lines), "cap": Findings(lines)})
    verdict = Verdict(1, part, outcome, 0.1, 0.0)
    tracemalloc.start()
    line.watch.verdict(verdict)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000
    took = []
    for _ in range(200):
        start = time.thread_time()
        line.watch.verdict(verdict)
        took.append(time.thread_time() - start)
    assert float(np.median(took)) < 0.001
