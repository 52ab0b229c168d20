"""The doctor as a whole: checks that hang or break, and boards of which half is missing."""

from __future__ import annotations

import json
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards_lab import BOARDS, case_of, make_board, spoil
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.box.checks import CHECKS, Timed
from edge.box.doctor import examine, exit_code, worst
from edge.box.finding import Case, Finding, bad, fine, warn
from edge.box.profile import detect
from edge.box.root import Root

QUICK = [each for each in CHECKS if each.name != "engine"]
"""Those that start no child: it is another thing that they look at."""


def test_each_check_is_on_its_own(tmp_path: Path) -> None:
    never = threading.Event()

    def good(case: Case) -> Iterator[Finding]:
        yield fine("good", "is there")

    def breaks(case: Case) -> Iterator[Finding]:
        yield warn("half", "was seen", "look")
        raise RuntimeError("no such thing\nand more")

    def hangs(case: Case) -> Iterator[Finding]:
        yield fine("first", "answers")
        never.wait()

    checks = [Timed("slow", hangs, 0.2), Timed("broken", breaks), Timed("good", good)]
    start = time.monotonic()
    found = examine(case_of(Root(tmp_path)), checks)
    assert time.monotonic() - start < 9
    never.set()
    assert [(each.level, each.name, each.found) for each in found] == [
        ("ok", "first", "answers"),
        ("fault", "slow", "gave no answer within 0.2 s"),
        ("warning", "half", "was seen"),
        ("warning", "broken", "could not be found out (RuntimeError: no such thing)"),
        ("ok", "good", "is there"),
    ]


@pytest.mark.parametrize(
    ("findings", "level", "code"),
    [
        ([], "ok", 0),
        ([fine("a", "b")], "ok", 0),
        ([warn("a", "b", "c"), fine("a", "b")], "warning", 1),
        ([warn("a", "b", "c"), bad("a", "b", "c"), fine("a", "b")], "fault", 3),
    ],
)
def test_exit_codes(findings: list[Finding], level: str, code: int) -> None:
    assert (worst(findings), exit_code(findings)) == (level, code)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(BOARDS)), st.integers(0, 2**32), st.sampled_from([0.1, 0.5, 0.9]))
def test_half_a_board_is_examined_without_a_trace(name: str, seed: int, share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = make_board(Path(folder), name)
        spoil(Path(folder), random.Random(seed), share)
        profile = detect(root)
        json.dumps(profile.as_record()).encode()
        findings = examine(Case(root, profile, Path(folder) / "slots"), QUICK)
        broken = [each.found for each in findings if "could not be found out" in each.found]
        assert broken == []
        for each in findings:
            assert (each.found + each.mend).isprintable()
            assert bool(each.mend) == (each.level != "ok")
            each.found.encode()
        names = {each.name for each in findings}
        assert {"board", "memory", "clock", "camera", "station", "service"} <= names


def test_nothing_is_changed(tmp_path: Path) -> None:
    root = make_board(tmp_path, "rk3588")
    before = {
        path: (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in tmp_path.rglob("*")
    }
    examine(case_of(root, slots=tmp_path / "slots", station=tmp_path / "station.toml"), QUICK)
    after = {path: (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in tmp_path.rglob("*")}
    assert after == before
