"""A change is noticed soon, and none is noticed where nothing changes."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.judge.drift import FALSE_ALARM, Measure, Watch, brightness, ks_distance, ks_limit
from edge.station.drift import DriftTable

Rng = np.random.Generator

TABLE = DriftTable()

LIGHT, READ = Measure(TABLE.brightness, relative=True), Measure(TABLE.score)

ANY = Measure(0.0)
"""Tells whatever is no chance."""

STEADY: dict[str, Callable[[Rng, int], NDArray[np.float64]]] = {
    "normal": lambda rng, n: rng.normal(103, 2, n),
    "scores": lambda rng, n: rng.beta(60, 2, n),
    "scores of two digits": lambda rng, n: np.round(rng.beta(60, 2, n), 2),
    "two sorts of parts": lambda rng, n: np.where(
        rng.random(n) < 0.8, rng.normal(100, 1, n), rng.normal(80, 5, n)
    ),
    "heavy tails": lambda rng, n: 100 + rng.standard_t(2, n),
    "always the same": lambda rng, n: np.full(n, 0.99),
}


def watch(measure: Measure) -> Watch:
    return Watch(measure, TABLE.reference, TABLE.window)


def learnt(measure: Measure, values: NDArray[np.float64]) -> Watch:
    """One that has learnt."""
    found = watch(measure)
    for value in values[: TABLE.reference]:
        found.add(float(value), good=True)
    assert found.reference is not None
    return found


def noticed(found: Watch, values: NDArray[np.float64]) -> int | None:
    """How many parts until it is told."""
    for count, value in enumerate(values, 1):
        found.add(float(value), good=True)
        if found.shift is not None:
            return count
    return None


@pytest.mark.slow
@pytest.mark.parametrize("kind", STEADY)
def test_where_nothing_changes_nothing_is_told(kind: str) -> None:
    """At most one window in 1,000, by chance alone; the least change comes on top."""
    rng = np.random.default_rng(5)
    windows = alarms = 0
    for _ in range(80):
        values = STEADY[kind](rng, TABLE.reference + 25 * TABLE.window)
        found = learnt(ANY, values)
        for start in range(TABLE.reference, len(values), TABLE.window):
            told = False
            for value in values[start : start + TABLE.window]:
                found.add(float(value), good=True)
                told |= found.shift is not None
            windows += 1
            alarms += told
    assert windows == 2000
    assert alarms <= 2


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "always the same"])
def test_and_with_the_least_change_nothing_at_all(kind: str) -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        values = STEADY[kind](rng, 3000)
        assert noticed(learnt(LIGHT, values), values[TABLE.reference :]) is None


@pytest.mark.parametrize("seed", range(10))
def test_a_lamp_that_loses_a_fifth_in_an_hour(seed: int) -> None:
    """At ten parts a minute, within 200 parts; at one a second, long before it has lost it."""
    rng = np.random.default_rng(seed)
    values = rng.normal(103, 2, 4000)
    for hour, parts in ((600, 200), (3600, 1000)):
        lost = 1 - 0.2 * np.clip(np.arange(4000 - TABLE.reference) / hour, 0, 1)
        found = noticed(learnt(LIGHT, values), values[TABLE.reference :] * lost)
        assert found is not None
        assert found <= parts


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("width", [0.01, 0.03, 0.06])
def test_scores_that_sink_by_a_twentieth(seed: int, width: float) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(rng.normal(0.93, width, 2000), 0, 1)
    found = learnt(READ, values)
    assert noticed(found, values[200:600]) is None
    count = noticed(found, values[600:] - 0.05)
    assert count is not None
    assert count <= 200


def test_it_is_over_when_it_is_well_back() -> None:
    rng = np.random.default_rng(1)
    found = learnt(LIGHT, rng.normal(100, 1, 200))
    assert noticed(found, rng.normal(94, 1, 200)) is not None
    assert found.shift is not None
    assert found.shift.was == pytest.approx(100, abs=1)
    assert found.shift.now == pytest.approx(94, abs=2)
    for value in rng.normal(97.6, 1, 300):  # less than it takes, and not yet well back
        found.add(float(value), good=True)
    assert found.shift is not None
    for value in rng.normal(100, 1, 300):
        found.add(float(value), good=True)
    assert found.shift is None


def test_only_good_parts_are_learnt_but_all_are_watched() -> None:
    found = watch(LIGHT)
    for _ in range(TABLE.reference):
        assert not found.add(10.0, good=False)
    assert found.reference is None
    for _ in range(TABLE.reference):
        found.add(100.0, good=True)
    assert found.reference is not None
    for _ in range(TABLE.window):
        found.add(10.0, good=False)
    assert found.shift is not None


def test_what_is_no_number_is_passed_over() -> None:
    found = learnt(LIGHT, np.full(200, 100.0))
    for value in (float("nan"), float("inf"), -float("inf")):
        assert not found.add(value, good=True)


def test_what_was_learnt_before_needs_not_be_learnt_again() -> None:
    before = learnt(LIGHT, np.random.default_rng(2).normal(100, 1, 200)).reference
    assert before is not None
    again = Watch(LIGHT, TABLE.reference, TABLE.window, before.tolist())
    assert noticed(again, np.full(200, 90.0)) == TABLE.window
    other = Watch(LIGHT, 300, TABLE.window, before.tolist())
    assert other.reference is None, "another number was asked for"


@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
)
def test_the_distance_is_that_of_the_definition(one: list[int], other: list[int]) -> None:
    steps = [
        abs(sum(v <= x for v in one) / len(one) - sum(v <= x for v in other) / len(other))
        for x in range(-6, 7)
    ]
    found = ks_distance(np.sort(np.array(one, np.float64)), np.array(other, np.float64))
    assert found == pytest.approx(max(steps))


def test_the_limit_is_that_of_the_tables() -> None:
    """Critical values for large samples: 1.949 at 0.1% (Smirnov's table), ours is stricter."""
    assert FALSE_ALARM == 1e-4
    assert ks_limit(200, 100) == pytest.approx(2.2253 * (300 / 20_000) ** 0.5, rel=1e-4)


def test_brightness_is_the_mean_of_the_place() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    image[100:200, 300:500] = 80
    assert brightness(image, (300, 100, 500, 200)) == 80
    assert brightness(image, (0, 0, 100, 50)) == 0
    assert brightness(image, (1200, 700, 2000, 900)) == 0, "what is inside of it"
    assert brightness(image, (2000, 0, 2100, 50)) is None
    noise = np.random.default_rng(3).integers(0, 256, (720, 1280, 3), np.uint8)
    whole = brightness(noise)
    assert whole == pytest.approx(float(noise.mean()), abs=2)
