"""The comparison, and how often it is wrong on noise like that of real machines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tools.measure.ab import PER_ROUND, ROUNDS
from tools.measure.compare import a12, compare_apart, compare_rounds, size_word
from tools.measure.steady import warm_rounds

Floats = NDArray[np.float64]

RUNS = 1000


def machine(rng: np.random.Generator, queries: int) -> Floats:
    """What a machine does to latencies of 10 ms, as factors in the order of time ``(N,)``.

    Neighbours are alike (AR(1), 3%), each query differs (4%), one in fifty is interrupted for long
    (Pareto), a neighbour on the machine slows a stretch of it by up to a quarter, and all of it
    gets slower by a tenth as it warms.
    """
    pushes = rng.normal(0, 0.03 * np.sqrt(1 - 0.95**2), queries)
    alike = np.empty(queries)
    level = rng.normal(0, 0.03)
    for n, push in enumerate(pushes):
        level = 0.95 * level + push
        alike[n] = level
    factors = np.exp(alike + rng.normal(0, 0.04, queries))
    factors *= np.where(rng.random(queries) < 0.02, 1 + rng.pareto(2, queries), 1)
    for _ in range(rng.poisson(4)):
        start, length = rng.integers(0, queries), rng.integers(10, 120)
        factors[start : start + length] *= 1 + 0.25 * rng.random()
    return np.asarray(factors * np.linspace(1, 1.1, queries), np.float64)


def interleaved(rng: np.random.Generator, ratio: float) -> tuple[list[Floats], list[Floats]]:
    """A and B as the bench runs them, B taking ``ratio`` times as long as A."""
    took = 10 * machine(rng, 2 * ROUNDS * PER_ROUND).reshape(ROUNDS, 2, PER_ROUND)
    first = np.arange(ROUNDS) % 2  # they begin in turn
    a, b = took[np.arange(ROUNDS), first], took[np.arange(ROUNDS), 1 - first] * ratio
    return list(a), list(b)


def answer_of(ratio: float, *seed: int) -> str:
    """What the bench says, which leaves out what it takes for warm-up."""
    a, b = interleaved(np.random.default_rng(seed), ratio)
    start = warm_rounds(a, b) or 0
    return compare_rounds(a[start:], b[start:]).answer


@pytest.mark.slow
def test_equal_ones_are_seldom_called_different() -> None:
    answers = [answer_of(1.0, 1, n) for n in range(RUNS)]
    wolf = RUNS - answers.count("cannot tell")
    assert wolf <= 0.05 * RUNS


@pytest.mark.slow
@pytest.mark.parametrize(("ratio", "answer"), [(1.03, "slower"), (1 / 1.03, "faster")])
def test_three_percent_are_found(ratio: float, answer: str) -> None:
    answers = [answer_of(ratio, 2, n) for n in range(RUNS // 2)]
    assert answers.count(answer) >= 0.9 * len(answers)
    wrong = {"slower": "faster", "faster": "slower"}[answer]
    assert answers.count(wrong) == 0


def test_rounds_before_the_steady_state_are_told() -> None:
    rng = np.random.default_rng(4)
    a, b = (list(10 + rng.normal(0, 0.1, (60, 10))) for _ in range(2))
    warming = list(np.linspace(1.5, 1.05, 8)[:, None] * np.ones(10))
    assert warm_rounds(a, b) in range(3)
    assert warm_rounds([f * r for f, r in zip(warming, a, strict=False)] + a[8:], b) in range(8, 12)
    climbing = [r * f for r, f in zip(a, np.linspace(1, 2, 60), strict=True)]
    assert warm_rounds(climbing, b) is None


def test_single_queries_would_cry_wolf() -> None:
    """Why whole rounds are resampled: taken one by one, equal ones differ far too often."""

    def answers(rounds: bool) -> int:
        told = 0
        for n in range(40):
            rng = np.random.default_rng([3, n])
            # blocks that each come out a little differently, as with caches and placement
            a, b = (
                [10 * np.exp(rng.normal(0, 0.05) + rng.normal(0, 0.02, 10)) for _ in range(30)]
                for _ in range(2)
            )
            if not rounds:
                a, b = ([np.array([v]) for each in side for v in each] for side in (a, b))
            told += compare_rounds(a, b).answer != "cannot tell"
        return told

    assert answers(rounds=True) <= 4
    assert answers(rounds=False) >= 8


def test_runs_made_apart_need_more_than_the_machine_may_vary() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.lognormal(2.3, 0.05, 2000), rng.lognormal(2.3, 0.05, 2000)
    assert compare_apart(a, b).answer == "cannot tell"
    two = compare_apart(a, b * 1.02)
    assert two.answer == "cannot tell"  # though its interval is far from 1
    assert two.ratios["p50"].low > 1.01
    assert compare_apart(a, b * 1.10).answer == "slower"
    assert compare_apart(a, b / 1.10).answer == "faster"


def test_the_ratio_is_of_each_percentile() -> None:
    rng = np.random.default_rng(5)
    a = [rng.lognormal(0, 0.02, 50) for _ in range(60)]
    b = [each * np.where(rng.random(50) < 0.05, 4, 1) for each in a]
    found = compare_rounds(a, b)
    assert found.ratios["p50"].high < 1.01  # while half of the queries take no longer at all
    assert found.ratios["p99"].low > 2
    assert found.queries == (3000, 3000)
    assert found.interleaved


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
    st.lists(st.integers(0, 9), min_size=1, max_size=20),
)
def test_a12_is_what_counting_all_pairs_gives(a: list[int], b: list[int]) -> None:
    pairs = [(1.0 if y > x else 0.5 if y == x else 0.0) for x in a for y in b]
    one, other = np.array(a, np.float64), np.array(b, np.float64)
    assert a12(one, other) == pytest.approx(sum(pairs) / len(pairs))
    assert a12(one, other) + a12(other, one) == pytest.approx(1)


@pytest.mark.parametrize(
    ("effect", "word"), [(0.5, "negligible"), (0.57, "small"), (0.35, "medium"), (0.9, "large")]
)
def test_words_for_effects(effect: float, word: str) -> None:
    assert size_word(effect) == word
