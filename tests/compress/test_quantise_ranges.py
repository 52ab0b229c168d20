"""Histograms that do not mind the order, and ranges that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compress.quantise.ranges import BINS, METHODS, Histogram, range_of

Numbers = NDArray[np.float32]


def counted(*parts: Numbers) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


def squared_error(values: Numbers, low: float, high: float) -> float:
    """Independently of histograms: quantise each number."""
    step = (high - low) / 255
    codes = np.clip(np.rint(values / step) + np.rint(-low / step), 0, 255)
    back = (codes - np.rint(-low / step)) * step
    return float(np.mean((values - back) ** 2))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20), min_size=1, max_size=6
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_does_not_matter(parts: list[list[float]], random: object) -> None:
    arrays = [np.array(part, np.float32) for part in parts]
    shuffled = list(arrays)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other, whole = counted(*arrays), counted(*shuffled), counted(np.concatenate(arrays))
    for histogram in (other, whole):
        assert histogram.limit == one.limit
        assert (histogram.low, histogram.high) == (one.low, one.high)
        assert (histogram.counts == one.counts).all()
    assert one.counts.sum() == sum(array.size for array in arrays)


def test_the_bins_are_where_the_numbers_are() -> None:
    values = np.random.default_rng(1).normal(0.3, 2, 5000).astype(np.float32)
    histogram = counted(values[:100], values[100:] * 1)
    edges = np.linspace(-histogram.limit, histogram.limit, BINS + 1)
    assert (histogram.counts == np.histogram(values, edges)[0]).all()
    assert histogram.centres[BINS // 2] == pytest.approx(histogram.limit / BINS)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_range_holds_zero_and_nothing_that_never_was(method: str) -> None:
    for values in (np.arange(1.0, 5.0), -np.arange(1.0, 5.0), np.linspace(-3, 7, 999)):
        low, high = range_of(counted(values.astype(np.float32)), method)  # type: ignore[arg-type]
        assert min(0, values.min()) <= low <= 0 <= high <= max(0, values.max())
        assert high - low > 2


@pytest.mark.parametrize("method", sorted(METHODS))
def test_zeros_alone_have_no_range(method: str) -> None:
    histogram = counted(np.zeros(7, np.float32), np.zeros(5, np.float32))
    assert range_of(histogram, method) == (0.0, 0.0)  # type: ignore[arg-type]
    assert histogram.counts[BINS // 2] == 12
    histogram.add(np.ones(1, np.float32))
    assert histogram.counts[BINS // 2] == 12  # zeros stay zeros when numbers come


def test_each_method_does_what_its_name_says() -> None:
    values = np.random.default_rng(2).normal(0, 1, 200_000).astype(np.float32)
    values[:3] = (60, -50, 40)
    histogram = counted(values)
    ranges = {method: range_of(histogram, method) for method in METHODS}
    assert ranges["minmax"] == (-50, 60)
    low, high = ranges["percentile"]
    assert low == pytest.approx(np.percentile(values, 0.005), abs=0.1)
    assert high == pytest.approx(np.percentile(values, 99.995), abs=0.1)
    errors = {method: squared_error(values, *each) for method, each in ranges.items()}
    assert errors["mse"] <= min(errors.values())
    tries = [squared_error(values, -50 * a, 60 * b) for a in (0.2, 0.5, 1) for b in (0.2, 0.5, 1)]
    assert errors["mse"] <= min(tries) * 1.05
