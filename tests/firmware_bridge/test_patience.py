"""When to try again, when to stop, and what counts as getting further."""

import pytest
from tenacity import RetryCallState, Retrying

from firmware_bridge.channel import TIMEOUT
from firmware_bridge.patience import PAUSES, Patience
from models.errors import BundleError, TransferError

STATE = RetryCallState(Retrying(), None, (), {})

BROKEN = TransferError("x: it was cut")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("firmware_bridge.patience.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("code", ["", TIMEOUT, "busy", "state"])
def test_what_passes_is_tried_until_it_is_over(code: str, clock: list[float]) -> None:
    patience = Patience(10)
    for second in range(11):
        clock[0] = 100 + second
        assert patience.hopeful(TransferError("x", code))
        assert not patience.is_over(STATE)
    clock[0] = 110.5
    assert patience.hopeful(BROKEN)
    assert patience.is_over(STATE)


@pytest.mark.parametrize(
    "code", ["untrusted", "altered", "old", "hardware", "engine", "room", "malformed", "trial"]
)
def test_refusals_are_final(code: str) -> None:
    assert not Patience(10).hopeful(TransferError("x", code))


@pytest.mark.parametrize("error", [BundleError("x"), KeyboardInterrupt(), ValueError()])
def test_what_the_line_has_not_caused_is_final(error: BaseException) -> None:
    assert not Patience(10).hopeful(error)


def test_only_what_was_never_reached_counts(clock: list[float]) -> None:
    patience = Patience(10)
    patience.reached(0, -50)
    patience.hopeful(BROKEN)
    clock[0] += 11
    patience.reached(0, -60)
    patience.reached(0, -50)
    patience.hopeful(BROKEN)
    assert patience.is_over(STATE)
    patience.reached(0, -49)
    patience.hopeful(BROKEN)
    assert not patience.is_over(STATE)
    clock[0] += 11
    patience.reached(1)  # another stage
    patience.hopeful(BROKEN)
    assert not patience.is_over(STATE)


def test_what_was_spoilt_may_come_again_twice(clock: list[float]) -> None:
    patience = Patience(10)
    patience.reached(0, 0)
    assert patience.hopeful(TransferError("x", "content"))
    clock[0] += 11
    patience.reached(0, -50)  # once more from the start is not standing still
    assert patience.hopeful(BROKEN)
    assert not patience.is_over(STATE)
    assert patience.hopeful(TransferError("x", "internal"))
    assert not patience.hopeful(TransferError("x", "content"))


def test_pauses_grow_and_begin_anew() -> None:
    patience = Patience(10)
    for pause in (*PAUSES, PAUSES[-1]):
        patience.hopeful(BROKEN)
        assert patience.pause(STATE) == pause
    patience.reached(0, 0)
    patience.hopeful(BROKEN)
    assert patience.pause(STATE) == PAUSES[0]
