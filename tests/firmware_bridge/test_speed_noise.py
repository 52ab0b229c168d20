"""Raising the baud on a line that flips bits: a few lost PINGs are no reason to halve it."""

import pytest
from link_lab import make_rig

from firmware_bridge.line import Faults


def test_a_bit_error_rate_that_frames_survive_does_not_cost_the_rate() -> None:
    got = []
    for seed in range(30):
        rig = make_rig(rate=921600, faults=Faults(flip=1e-5, seed=seed))
        rig.open()
        got.append(rig.host.rate)
        assert rig.box.rate == rig.host.rate
    assert got.count(921600) >= 28


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_at_which_most_frames_are_lost_is_given_up(seed: int) -> None:
    rig = make_rig(rate=921600, bauds=(921600,), faults=Faults(flip=5e-4, seed=seed))
    rig.open()
    assert rig.host.rate == rig.box.rate == 115200
