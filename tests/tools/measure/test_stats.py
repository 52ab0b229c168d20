"""Percentiles, early stopping and intervals, against LoadGen's own answers and against truth."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.measure.digits import places
from tools.measure.document import Figure
from tools.measure.stats import (
    Interval,
    block_numbers,
    early_stopping,
    jitter_interval,
    percentile,
    percentile_intervals,
    queries_needed,
    resample,
    resampled_percentiles,
    throughput_interval,
)
from tools.measure.steady import drift, find_steady
from tools.official.loadgen import ours

GOLDEN = json.loads((Path(__file__).parents[2] / "data/loadgen.json").read_bytes())
"""What LoadGen 6.0.17 measured, and what it said of it: see ``tools/official/loadgen.py``."""


@pytest.mark.parametrize("run", GOLDEN, ids=lambda r: f"{r['scenario']}-{len(r['latencies_ns'])}")
def test_figures_are_loadgens_to_the_nanosecond(run: dict[str, dict[str, object]]) -> None:
    said = run["loadgen"]
    assert len(said["percentiles"]) == 6  # type: ignore[arg-type]
    assert ours(run["latencies_ns"], said) == said  # type: ignore[arg-type]


def test_the_golden_runs_hold_early_stopping_both_ways() -> None:
    stated = [each for run in GOLDEN for each in run["loadgen"]["early"].values()]
    assert stated.count(None) == 2
    assert len(stated) - stated.count(None) >= 6


@pytest.mark.parametrize(
    ("p", "count"), [(0.5, 11), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6636)]
)
def test_fewest_queries(p: float, count: int) -> None:
    def odds(n: int) -> float:  # exactly, in whole numbers of Python
        return sum(math.comb(n, k) * (1 - p) ** k * p ** (n - k) for k in (0, 1))

    assert queries_needed(p) == count
    assert odds(count) < 0.01 <= odds(count - 1)


@pytest.mark.parametrize(("count", "p"), [(64, 0.9), (500, 0.9), (700, 0.99), (3000, 0.99)])
def test_early_stopping_leaves_out_as_many_as_the_binomial_allows(count: int, p: float) -> None:
    found = early_stopping(np.arange(count, dtype=float), p)
    assert found is not None
    most = found.discarded + 1
    assert found.value == count - most

    def odds(t: int) -> float:
        return sum(math.comb(count, k) * (1 - p) ** k * p ** (count - k) for k in range(t + 1))

    assert odds(most) < 0.01 <= odds(most + 1)


def test_early_stopping_bounds_the_true_percentile() -> None:
    rng = np.random.default_rng(0)
    true = math.exp(0.2 * 2.3263478740408408)  # of lognormal(0, 0.2), at 99%
    runs = [early_stopping(np.sort(rng.lognormal(0, 0.2, 800)), 0.99) for _ in range(400)]
    below = sum(each is not None and each.value < true for each in runs)
    assert below <= 11  # 1% of them, but for chance


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values(values: list[float], p: float) -> None:
    ordered = np.sort(np.array(values))
    assert percentile(ordered, p) in values
    assert percentile(ordered, 1.0) == max(values)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.1, 100), min_size=2, max_size=40),
    st.integers(1, 10),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_resampling_by_counting_is_resampling(values: list[float], blocks: int, p: float) -> None:
    array = np.array(values)
    block = block_numbers(len(array), blocks)
    draws = resample(int(block[-1]) + 1, resamples=5)
    found = resampled_percentiles(array, block, draws, [p])
    for row, drawn in zip(found, draws, strict=True):
        whole = np.sort(np.repeat(array, drawn[block]))
        assert row[0] == percentile(whole, p)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    true = {0.5: 1.0, 0.9: math.exp(0.1 * 1.2815515655446004)}
    missed = dict.fromkeys(true, 0)
    for _ in range(200):
        found = percentile_intervals(rng.lognormal(0, 0.1, 400), list(true))
        for p, each in zip(true, found, strict=True):
            missed[p] += not each.low <= true[p] <= each.high
    assert max(missed.values()) <= 9  # 1% is 2; a bootstrap of so few may miss a little more


def test_intervals_know_that_neighbours_are_alike() -> None:
    rng = np.random.default_rng(2)
    alone = rng.normal(10, 1, 5000)
    slow = np.repeat(rng.normal(10, 1, 100), 50)  # what disturbs lasts 50 queries
    widths = [percentile_intervals(each, [0.5])[0].half for each in (alone, slow)]
    assert widths[1] > 4 * widths[0]


def test_throughput_counts_what_passes_between_queries() -> None:
    starts = np.arange(100) * 0.1
    found = throughput_interval(starts, np.full(100, 0.05), samples=8)
    assert found.value == pytest.approx(8 * 100 / (99 * 0.1 + 0.05))
    assert found.low <= found.value <= found.high


def test_jitter() -> None:
    found = jitter_interval(np.array([1.0, 3.0, 2.0]))
    assert (found.low, found.value, found.high) == (1.0, 1.5, 2.0)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((38.1734, 37.9, 38.6), "38.2 ms (37.9 to 38.6)"),
        ((38.1734, 38.1729, 38.1741), "38.1734 ms (38.1729 to 38.1741)"),
        ((38.1734, 20.0, 55.0), "40 ms (20 to 60)"),
        ((1234.5, 1100.0, 1400.0), "1,200 ms (1,100 to 1,400)"),
        ((3.4, 1.0, 90.0), "3 ms (1 to 90)"),
        ((0.0, 0.0, 0.0), "0.000000 ms"),
    ],
)
def test_no_more_digits_than_the_data_carry(
    interval: tuple[float, float, float], text: str
) -> None:
    assert Figure.of(Interval(*interval), "ms").text() == text


@settings(deadline=None)
@given(st.floats(1e-3, 1e5), st.floats(1e-6, 1e4))
def test_what_is_rounded_away_is_less_than_the_interval(value: float, half: float) -> None:
    interval = Interval(value, value - half, value + half)
    digits = places(half, value)
    if half < value:
        assert abs(Figure.of(interval).value - value) <= half * (1 + 1e-9)
    assert digits <= 6


def test_warm_up_is_found() -> None:
    rng = np.random.default_rng(3)
    took = rng.lognormal(0, 0.05, 1000)
    took[:80] *= np.linspace(3, 1.2, 80)
    found = find_steady(took)
    assert found.found
    assert 70 <= found.start <= 200


def test_a_steady_run_loses_little() -> None:
    starts = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        took = rng.lognormal(0, 0.05, 1000) * np.where(rng.random(1000) < 0.01, 8, 1)
        found = find_steady(took)
        starts.append(found.start if found.found else 1000)
    assert np.median(starts) <= 150


def test_what_never_settles_is_not_called_steady() -> None:
    rng = np.random.default_rng(4)
    still = rng.lognormal(0, 0.02, 1000)
    still[:700] *= np.linspace(2, 1, 700)
    assert not find_steady(still).found
    assert not find_steady(np.ones(49)).found  # too few to tell


def test_drift_of_the_first_to_the_last_minute() -> None:
    rng = np.random.default_rng(5)
    starts = np.arange(30_000) * 0.01  # five minutes
    took = rng.lognormal(math.log(0.008), 0.05, 30_000)
    flat, window = drift(starts, took) or pytest.fail("none")
    assert window == 60
    assert flat.low <= 1 <= flat.high
    took[starts > 200] *= 1.1
    slower, _ = drift(starts, took) or pytest.fail("none")
    assert 1.09 < slower.low <= slower.value <= slower.high < 1.11
    _, window = drift(starts[:3000], took[:3000]) or pytest.fail("none")
    assert window == pytest.approx(10, abs=0.1)
    assert drift(starts[:90], took[:90]) is None
