import pytest
from link_lab import BAUDS, SESSION, make_rig

from firmware_bridge.frames import Decoder, Kind
from firmware_bridge.line import Faults
from firmware_bridge.link import Link, Role, State
from firmware_bridge.speed import BoxSpeed


@pytest.mark.parametrize(("asked", "got"), [(115200, 115200), (1000000, 921600), (9**9, 3000000)])
def test_the_rate_is_the_highest_that_both_have(asked: int, got: int) -> None:
    rig = make_rig(rate=asked)
    rig.open()
    assert rig.host.rate == rig.box.rate == got
    assert rig.line.now < 0.5


@pytest.mark.parametrize("latency", [0.0, 0.016, 0.05])
def test_a_cable_that_does_not_hold_the_rate_gets_the_next_lower_one(latency: float) -> None:
    rig = make_rig(rate=3000000, fastest=1e6, latency=latency)
    rig.open()
    assert rig.host.rate == rig.box.rate == 921600
    assert rig.line.now < 8


def test_a_cable_that_holds_no_higher_rate_is_used_at_the_base_rate() -> None:
    rig = make_rig(rate=3000000, fastest=115200)
    rig.open()
    rig.host.send(b"still here")
    assert rig.run(5, lambda: bool(rig.at_box))
    assert rig.host.rate == rig.box.rate == 115200
    assert rig.line.now < 20


def test_an_end_without_other_rates_stays_where_it_is() -> None:
    rig = make_rig(rate=921600)
    rig.line.ends[1] = Link(Role.BOX, 0.0, bauds=(57600,))
    rig.open()
    assert rig.host.rate == rig.box.rate == 115200


@pytest.mark.parametrize("seed", range(20))
def test_both_ends_agree_in_the_end_whatever_is_lost(seed: int) -> None:
    faults = Faults(drop=0.3, truncate=0.1, duplicate=0.2, delay=0.2, flip=1e-5, seed=seed)
    rig = make_rig(rate=921600, faults=faults, latency=0.016)
    rig.open()
    for _ in range(5):
        rig.host.send(bytes(3000))
    assert rig.run(60, lambda: len(rig.at_box) == 5 and rig.host.flushed)
    assert rig.host.state is rig.box.state is State.OPEN


def test_a_line_that_goes_bad_at_its_rate_falls_back_and_the_session_lives_on() -> None:
    rig = make_rig(rate=921600)
    rig.open()
    rig.host.send(b"before")
    rig.run(1)
    rig.line._fastest = 200000  # a motor starts beside the cable
    rig.host.send(b"after")
    assert rig.run(10, lambda: len(rig.at_box) == 2 and rig.host.settled)
    assert rig.host.rate == rig.box.rate == 115200
    assert rig.at_box == [b"before", b"after"]


def test_a_box_whose_host_died_is_back_at_the_base_rate_within_two_seconds() -> None:
    rig = make_rig(rate=921600)
    rig.open()
    box, now = rig.box, rig.line.now
    while box.rate != 115200:
        now = max(now, box.next_timeout(now))
        box.poll(now)
    assert now - rig.line.now <= 2.5
    assert box.state is State.OPEN


def test_the_box_answers_at_the_old_rate_and_changes_after_it() -> None:
    speed = BoxSpeed(BAUDS)
    speed.begin(SESSION, (), 1.0)
    for now in (1.0, 1.02):  # the first answer is lost
        speed.heard(Kind.RATE, (921600).to_bytes(4, "big"), now)
        assert speed.next_timeout() <= now
        (answer,) = speed.poll(now)
        assert Decoder().feed(answer) == [(Kind.RATE, SESSION, 0, (921600).to_bytes(4, "big"))]
        assert not speed.settled
    assert speed.next_timeout() == pytest.approx(1.07)
    assert (speed.poll(1.06), speed.rate) == ([], 115200)
    assert (speed.poll(1.08), speed.rate, speed.settled) == ([], 921600, True)
    assert (speed.poll(3.07), speed.rate) == ([], 921600)
    assert (speed.poll(3.09), speed.rate) == ([], 115200)


def test_a_rate_that_the_box_does_not_have_is_not_answered() -> None:
    rig = make_rig(rate=115200)
    rig.open()
    assert 57600 not in BAUDS
    for payload in (b"", (57600).to_bytes(4, "big"), b"\xff" * 100):
        rig.box._speed.heard(Kind.RATE, payload, rig.line.now)
    assert rig.box.poll(rig.line.now) == b""
    assert rig.box.settled
