"""How long a challenge counts: never longer than it should, whatever clocks say."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from challenge_lab import SHIFTS, Time, golden_table
from hypothesis import given
from hypothesis import strategies as st

from edge.challenge.validity import Clocks, Passed, due_after, read_clocks, restore, table_digest

HOUR = 3600.0
DAY = timedelta(days=1)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Passed at seven for seven hours."""
    path = tmp_path / "c.json"
    Passed.now("d", "Wang Li", 7 * HOUR, Time()()).save(path)
    return path


def later(hours: float, *, up: float | None = None, boot: str = "b1") -> Clocks:
    """Clocks so many hours later; ``up`` if the machine says otherwise."""
    time = Time()
    time.wall += timedelta(hours=hours)
    time.up += (hours if up is None else up) * HOUR
    time.boot = boot
    return time()


@pytest.mark.parametrize(
    ("clocks", "counts"),
    [
        (later(0), True),
        (later(6.9), True),
        (later(7), False),
        (later(-17, up=7), False),  # set back a day, and it is two o'clock
        (later(-17, up=6.9), True),  # an hour before the same moment
        (later(7, up=1), False),  # set forward
        (later(6.9, up=-0.2, boot="b2"), True),  # started anew
        (later(7, up=-0.2, boot="b2"), False),
        (later(-0.5, up=-0.2, boot="b2"), False),  # before it was passed: nobody knows
        (later(-24, up=-0.2, boot="b2"), False),
        (later(6, boot=""), True),
    ],
)
def test_the_first_clock_that_says_so_ends_it(kept: Path, clocks: Clocks, counts: bool) -> None:
    assert (restore(kept, "d", clocks) is not None) is counts


def test_a_day_that_was_seen_cannot_come_again(kept: Path) -> None:
    passed = restore(kept, "d", later(6.5))
    assert passed is not None
    passed.later(later(6.5)).save(kept)
    assert restore(kept, "d", later(1, boot="b2")) is None
    assert restore(kept, "d", later(6.6, boot="b2")) is not None


def test_after_a_reboot_it_ends_by_either_clock(kept: Path) -> None:
    passed = restore(kept, "d", later(6, up=-0.2, boot="b2"))
    assert passed is not None
    assert passed.counts(later(6.5, up=0.3, boot="b2"))
    assert not passed.counts(later(1, up=0.9, boot="b2")), "an hour has passed, whatever is said"


def test_what_cannot_be_read_or_is_of_another_table_is_due(kept: Path) -> None:
    assert restore(kept, "other", later(1)) is None
    whole = kept.read_bytes()
    for data in (b"", whole[:40], b"{}", whole.replace(b"until", b"untill"), b"\xff" * 99,
                 whole.replace(b'"seen": ', b'"seen": -1e999, "x": ')):  # fmt: skip
        kept.write_bytes(data)
        assert restore(kept, "d", later(1)) is None
    kept.unlink()
    assert restore(kept, "d", later(1)) is None


@given(st.integers(1, 48), st.integers(-100, 100), st.integers(0, 100))
def test_it_never_counts_longer_by_the_machine_than_it_was_passed_for(
    hours: int, wall: int, up: int
) -> None:
    passed = Passed.now("d", "x", hours * HOUR, Time()())
    counts = passed.counts(later(wall, up=up))
    assert counts == (wall < hours and up < hours)


def test_it_counts_to_the_next_shift() -> None:
    shift = golden_table("shift")
    for now, hours in (("06:00", 8), ("13:59", 1 / 60), ("14:00", 8), ("23:00", 7), ("05:00", 1)):
        local = datetime.fromisoformat(f"2026-11-22T{now}:00").astimezone()
        seconds = due_after(shift, SHIFTS, local.astimezone(timezone.utc))
        assert seconds == pytest.approx(hours * HOUR)


def test_it_counts_for_hours_or_for_the_run() -> None:
    now = datetime.now(timezone.utc)
    hours = golden_table("hours", hours=12.0)
    assert due_after(hours, (), now) == 12 * HOUR
    assert due_after(golden_table(), ("06:00",), now) is None


def test_another_part_is_another_table() -> None:
    first = golden_table()
    other = first.model_copy(update={"parts": first.parts[1:]})
    assert table_digest(first) == table_digest(golden_table())
    assert table_digest(first) != table_digest(other)


def test_the_clocks_of_this_machine() -> None:
    wall = datetime.now(timezone.utc)
    first, second = (read_clocks(lambda: wall) for _ in range(2))
    assert first.boot == second.boot
    assert len(first.boot) == 36
    assert second.up >= first.up > 0
    assert first.wall - wall < DAY
