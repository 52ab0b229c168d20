"""Many boxes: canaries first, a few at once, and no further when it goes wrong."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from box_lab import active, fails, passes
from flash_lab import Box, parcel

from firmware_bridge.fleet import Fleet, Outcome, Plan
from firmware_bridge.sender import Flashed, Step, flash
from models.errors import TransferError

Tell = Callable[[Step], None]


class Stub:
    """Boxes that do as told, and remember how many were flashed at once."""

    def __init__(self, *bad: str) -> None:
        self.bad = bad
        self.order: list[str] = []
        self.most = self._now = 0
        self._mutex = threading.Lock()

    def __call__(self, box: str, tell: Tell) -> Flashed:
        with self._mutex:
            self.order.append(box)
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.01)
        tell(Step("connect"))
        tell(Step("send", 5, 10, 5, box, "pcb 1.0.0 (slot a)"))
        with self._mutex:
            self._now -= 1
        if box in self.bad:
            tell(Step("failed", 5, 10, 7, box, "pcb 1.0.0 (slot a)", "too slow"))
            raise TransferError("too slow", "trial")
        return Flashed(box, "b", "pcb 1.0.0 (slot a)", "pcb 2.0.0 (slot b)", p99_ms=12.5, sent=10)


NAMES = [f"box-{number:02}" for number in range(20)]


def results(outcomes: list[Outcome]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for outcome in sorted(outcomes, key=lambda each: each.box):
        found.setdefault(outcome.result, []).append(outcome.box)
    return found


def test_all_are_flashed_a_few_at_once() -> None:
    stub = Stub()
    outcomes = list(Fleet(NAMES, stub, Plan(parallel=3)).run())
    assert results(outcomes) == {"flashed": NAMES}
    assert stub.most == 3
    one = outcomes[0]
    assert (one.before, one.after) == ("pcb 1.0.0 (slot a)", "pcb 2.0.0 (slot b)")
    assert (one.bytes, one.p99_ms, one.reason, one.good) == (10, 12.5, "", True)
    assert one.seconds >= 0.01


def test_canaries_come_first_and_alone() -> None:
    seen: list[int] = []

    class Watched(Stub):
        def __call__(self, box: str, tell: Tell) -> Flashed:
            seen.append(len(self.order))
            return super().__call__(box, tell)

    stub = Watched()
    list(Fleet(NAMES, stub, Plan(parallel=8, canary=2)).run())
    assert sorted(stub.order[:2]) == NAMES[:2]
    done = list(Fleet(NAMES, Stub(), Plan(parallel=8, canary=2)).run())
    assert sorted(each.box for each in done[:2]) == NAMES[:2]


def test_a_canary_that_fails_stops_it_all() -> None:
    stub = Stub("box-01")
    outcomes = list(Fleet(NAMES, stub, Plan(canary=2, max_failures=20)).run())
    assert sorted(stub.order) == NAMES[:2]
    assert results(outcomes) == {
        "flashed": ["box-00"],
        "failed": ["box-01"],
        "skipped": NAMES[2:],
    }
    assert {each.reason for each in outcomes[2:]} == {"a canary failed: mend it first"}


@pytest.mark.parametrize("limit", [0, 2])
def test_too_many_failures_stop_it(limit: int) -> None:
    stub = Stub(*NAMES)
    outcomes = list(Fleet(NAMES, stub, Plan(parallel=2, max_failures=limit)).run())
    found = results(outcomes)
    assert limit + 1 <= len(found["failed"]) <= limit + 2  # one more may have been running
    assert len(found["failed"]) == len(stub.order)
    assert len(outcomes) == len(NAMES)


def test_as_many_failures_as_allowed_do_not() -> None:
    found = results(list(Fleet(NAMES, Stub("box-03", "box-09"), Plan(max_failures=2)).run()))
    assert found["failed"] == ["box-03", "box-09"]
    assert len(found["flashed"]) == 18


def test_a_failure_says_what_is_known() -> None:
    (failed,) = Fleet(["box-00"], Stub("box-00"), Plan()).run()
    assert (failed.before, failed.after) == ("pcb 1.0.0 (slot a)", "pcb 1.0.0 (slot a)")
    assert (failed.bytes, failed.reason, failed.good) == (7, "too slow", False)


def test_an_interrupt_begins_no_other() -> None:
    stub = Stub()
    outcomes = Fleet(NAMES, stub, Plan(parallel=2)).run()
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    time.sleep(0.1)
    assert len(stub.order) < 6


@pytest.mark.slow
def test_two_hundred_boxes(tmp_path: Path) -> None:
    """Real receivers on real folders; each fifth fails its trial, each seventh has it already."""
    names = [f"box-{number:03}" for number in range(200)]
    old, new = (parcel(tmp_path / "host", version) for version in (1, 2))
    most: list[tuple[int, int]] = []
    process = psutil.Process()
    begin = process.memory_info().rss

    def one(name: str, tell: Tell) -> Flashed:
        number = int(name[4:])
        box = Box(tmp_path / name)
        box.flash(new if number % 7 == 0 else old)
        box.trial = fails if number % 5 == 0 else passes
        box.start()
        most.append((threading.active_count(), process.memory_info().rss))
        return flash(box.connect, new, tell=tell)

    before = threading.active_count()
    outcomes = {each.box: each for each in Fleet(names, one, Plan(8, 0, 200)).run()}
    assert len(outcomes) == 200
    for number, name in enumerate(names):
        has_it, bad = number % 7 == 0, number % 5 == 0
        want = "already" if has_it else "failed" if bad else "flashed"
        version = "1.0.0" if want == "failed" else "2.0.0"
        assert outcomes[name].result == want
        assert outcomes[name].after.startswith(f"pcb {version} ")
        assert active(tmp_path / name) == version
    assert max(threads for threads, _ in most) <= before + 2 * 8  # one each, and one for a trial
    assert max(memory for _, memory in most) < begin + 64 * 2**20
