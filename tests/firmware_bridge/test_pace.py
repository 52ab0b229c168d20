import math
import random

import pytest

from firmware_bridge.pace import FrameSize, Timeout


def settle(loss_per_byte: float, total: int = 4 << 20) -> list[int]:
    dice, size, sizes = random.Random(1), FrameSize(4096), []
    sent = 0
    while sent < total:
        count = size.value + 16
        size.came(count)
        if dice.random() < 1 - math.exp(-loss_per_byte * count):
            size.lost()
        sent += count
        if sent > total / 2:
            sizes.append(size.value)
    return sizes


@pytest.mark.parametrize("loss_per_byte", [8e-6, 8e-5, 8e-4])
def test_frames_settle_at_the_size_that_costs_least(loss_per_byte: float) -> None:
    sizes = settle(loss_per_byte)
    best = math.sqrt(16 / loss_per_byte)
    assert 0.6 * best < sum(sizes) / len(sizes) < 1.6 * best


def test_frames_grow_on_a_clean_line_and_are_small_on_a_bad_one() -> None:
    assert FrameSize(4096).value == 256
    assert set(settle(0.0)) == {4096}
    assert FrameSize(128).value == 128
    size = FrameSize(4096)
    for _ in range(1000):
        size.came(80)
        size.lost()
    assert size.value == 64


def test_frames_find_their_way_after_gigabytes_without_loss() -> None:
    size = FrameSize(4096)
    for _ in range(100_000):
        size.came(16384)
    assert size.value == 4096
    size.lost()
    assert 1024 < size.value < 4096


def test_time_outs_follow_rfc_6298() -> None:
    timeout = Timeout()
    assert timeout.seconds(0) == 1.0
    timeout.measured(0.2)
    assert timeout.seconds(0) == pytest.approx(0.2 + 4 * 0.1)
    timeout.measured(0.4)  # deviation 3/4 * 0.1 + 1/4 * 0.2, mean 7/8 * 0.2 + 1/8 * 0.4
    assert timeout.seconds(0) == pytest.approx(0.225 + 4 * 0.125)
    for _ in range(200):
        timeout.measured(0.001)
    assert timeout.seconds(0) == 0.1
    assert timeout.seconds(2.5) == pytest.approx(2.6)


def test_time_outs_double_up_to_a_bound_until_something_comes() -> None:
    timeout = Timeout()
    for _ in range(200):
        timeout.measured(0.01)
    waits = []
    for _ in range(6):
        waits.append(timeout.seconds(0))
        timeout.expired()
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5, 0.5])
    for _ in range(5000):
        timeout.expired()
    assert timeout.seconds(3.0) == pytest.approx(3.1)
    timeout.answered()
    assert timeout.seconds(0) == 0.1
