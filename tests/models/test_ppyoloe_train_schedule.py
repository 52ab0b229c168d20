from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ppyoloe.dataset import Dataset, make_picture
from models.ppyoloe.train.schedule import EMA_DECAY, Plan, ema_decay, learning_rate
from models.ppyoloe.train.split import hold_out


def test_progress_by_steps_or_by_time_whichever_is_further() -> None:
    assert Plan(100).progress(25, 1e9) == 0.25
    plan = Plan(100, seconds=1000)
    assert plan.progress(25, 10) == 0.25
    assert plan.progress(25, 500) == 0.5
    assert plan.progress(25, 2000) == 1
    assert plan.progress(200, 0) == 1


def test_assignment_is_task_aligned_after_a_tenth() -> None:
    assert [Plan(100).aligned(p) for p in (0, 0.099, 0.1, 1)] == [False, False, True, True]


@given(st.floats(0, 1))
def test_rates_stay_between_nothing_and_the_peak(progress: float) -> None:
    assert 0 < learning_rate(progress, 2e-3) <= 2e-3


def test_rates_rise_then_fall() -> None:
    rates = [learning_rate(p / 1000, 1.0) for p in range(1001)]
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(1)
    assert top == 50
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert rates[0] == pytest.approx(0.02, abs=0.002)
    assert rates[-1] == pytest.approx(0.01)


def test_the_average_is_short_at_first() -> None:
    assert ema_decay(0) == 0.1
    assert ema_decay(90) == pytest.approx(0.91)
    assert ema_decay(10**6) == EMA_DECAY
    decays = [ema_decay(step) for step in range(0, 100_000, 1000)]
    assert decays == sorted(decays)


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 1), (20, 1), (100, 5), (333, 17)])
def test_a_twentieth_is_held_out_the_same_each_time(count: int, kept: int) -> None:
    pictures = [make_picture(n, Path(f"{n}.png"), (8, 8), [], [], []) for n in range(count)]
    whole = Dataset(("a",), tuple(pictures))
    learn, check = hold_out(whole, 7)
    ids = [p.id for p in learn.pictures], [p.id for p in check.pictures]
    assert len(ids[1]) == kept
    assert sorted(ids[0] + ids[1]) == list(range(count))
    again = hold_out(whole, 7)
    assert [p.id for p in again[1].pictures] == ids[1]
    if count == 100:
        assert [p.id for p in hold_out(whole, 8)[1].pictures] != ids[1]
