"""What the display keeps, and what it does not."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from verdict_lab import OK, WRONG_LOT, lab_station, lab_verdict

from edge.display.alarms import MOST, Alarms
from edge.display.pictures import MAX_WIDTH, NG_BYTES, NG_KEPT, Pictures, encode_jpeg
from edge.display.shift import Shift
from edge.display.state import RECENT, DisplayState
from edge.verdict import rejected

NOON = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)


class Clocks:
    """Both clocks of a box; the wall clock may be set."""

    def __init__(self) -> None:
        self.seconds, self.set_by = 1000.0, timedelta()

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000) + self.set_by

    def monotonic(self) -> float:
        return self.seconds


def counting() -> tuple[Pictures, list[int]]:
    """Pictures that tell how often they were encoded."""
    encoded: list[int] = []

    def encode(image: NDArray[np.uint8]) -> bytes:
        encoded.append(1)
        return encode_jpeg(image)

    return Pictures(encode), encoded


def test_nothing_is_encoded_or_put_into_words_while_nobody_watches() -> None:
    state = DisplayState(lab_station())
    state.held, encoded = counting()
    for number in range(1, 300):
        state.verdict(lab_verdict(number, WRONG_LOT if number % 3 else OK))
    assert encoded == []
    assert state._described == {}


def test_a_picture_is_held_by_reference() -> None:
    state = DisplayState(lab_station())
    verdict = lab_verdict(1)
    state.verdict(verdict)
    assert verdict.part.frame is not None
    assert state.held._newest["top"]._pixels is verdict.part.frame.image


def test_a_picture_is_encoded_once_however_many_ask() -> None:
    state = DisplayState(lab_station())
    state.held, encoded = counting()
    verdict = lab_verdict(1)
    state.verdict(verdict)
    state.snapshot()
    asked = {state.held.jpeg("top", verdict.id) for _ in range(10)}
    assert len(encoded) == len(asked) == 1


def test_a_picture_that_viewers_were_told_of_can_be_had_after_the_next_has_come() -> None:
    state = DisplayState(lab_station())
    state.verdict(lab_verdict(1))
    told = state.snapshot()["cameras"][0]["part"]["id"]
    state.verdict(lab_verdict(2))
    state.verdict(lab_verdict(3))
    assert state.held.jpeg("top", told) is not None
    assert state.held.jpeg("top", lab_verdict(2).id) is None, "nobody was told of it"


def test_wide_pictures_are_scaled() -> None:
    pictures, _ = counting()
    pictures.newest("top", "a", np.zeros((1944, 2592, 3), np.uint8), ng=True)
    import cv2

    jpeg = pictures.jpeg("top", "a")
    assert jpeg is not None
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (960, MAX_WIDTH, 3)


@pytest.mark.parametrize("size", [(720, 1280), (3000, 4096), (4096, 1280)])
def test_pictures_of_rejected_parts_are_bounded_in_number_and_bytes(size: tuple[int, int]) -> None:
    pictures, _ = counting()
    image = np.zeros((*size, 3), np.uint8)
    for number in range(27):
        pictures.newest("top", f"p{number}", image, ng=True)
        assert pictures.nbytes <= NG_BYTES
    assert pictures.jpeg("top", "p26") is not None
    assert pictures.jpeg("top", f"p{26 - NG_KEPT}") is None


def test_parts_are_bounded() -> None:
    state = DisplayState(lab_station())
    for number in range(1, 200):
        state.verdict(lab_verdict(number, WRONG_LOT if number % 2 else OK))
    assert [part["part"] for part in state.parts()] == list(range(199, 199 - RECENT, -1))
    assert [part["part"] for part in state.parts(ng=True)] == list(range(199, 199 - 48, -2))
    assert [part["part"] for part in state.parts(ng=False, limit=2)] == [198, 196]
    assert state.part(lab_verdict(152, OK).id) is not None
    assert state.part(lab_verdict(100, OK).id) is None


def test_a_rejected_part_stays_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    state = DisplayState(lab_station())
    now = 100.0
    monkeypatch.setattr("edge.display.state.time.monotonic", lambda: now)
    state.verdict(lab_verdict(1, WRONG_LOT))
    now = 100.9
    state.verdict(lab_verdict(2, OK))
    assert state.snapshot()["cameras"][0]["part"]["part"] == 1
    now = 101.1
    assert state.snapshot()["cameras"][0]["part"]["part"] == 2


def test_what_befell_the_machine_is_ng_and_a_fault() -> None:
    state = DisplayState(lab_station())
    state.camera("top", "running", "")
    state.verdict(lab_verdict(1, rejected("late", deadline_ms=800)))
    (fault,) = state.snapshot()["faults"]
    assert (fault["id"], fault["active"]) == ("inspection:top", True)
    assert (fault["en"], fault["zh"]) == (
        "#1: no verdict within 800 ms",
        "#1：800 毫秒内没有判定结果",
    )
    assert state.health() == ["inspection:top: #1: no verdict within 800 ms"]
    state.verdict(lab_verdict(2, WRONG_LOT))
    assert state.health() == []
    assert state.snapshot()["faults"][0]["active"] is False


def test_a_fault_that_is_gone_stays_until_somebody_has_seen_it() -> None:
    state = DisplayState(lab_station())
    state.camera("top", "lost", "no picture for 2 s")
    state.fault("plc", "does not answer")
    state.camera("top", "running", "")
    faults = {fault["id"]: fault["active"] for fault in state.snapshot()["faults"]}
    assert faults == {"output:plc": True, "camera:top": False}
    assert state.alarms.acknowledge(["camera:top"]) == ["camera:top"]
    (fault,) = state.snapshot()["faults"]
    assert (fault["id"], fault["acknowledged"]) == ("output:plc", False)
    assert state.alarms.acknowledge() == ["output:plc"]
    assert state.snapshot()["faults"][0]["acknowledged"]
    assert state.alarms.acknowledge() == []
    state.fault("plc", None)
    assert state.snapshot()["faults"] == []


def test_a_fault_that_comes_back_is_news_again() -> None:
    alarms = Alarms(lambda: NOON)
    for _ in range(3):
        alarms.tell("output", "plc", "down")
        alarms.tell("output", "plc", None)
    (alarm,) = alarms.all
    assert (alarm.count, alarm.active, alarm.acknowledged) == (3, False, False)


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from([None, "down"])), max_size=300))
def test_alarms_are_bounded_and_what_lasts_is_told(said: list[tuple[int, str | None]]) -> None:
    alarms = Alarms(lambda: NOON)
    lasting: dict[str, bool] = {}
    for number, text in said:
        alarms.tell("output", str(number), text)
        lasting[str(number)] = text is not None
    assert len(alarms.all) <= MOST
    if len(lasting) <= MOST:
        active = {alarm.name for alarm in alarms.all if alarm.active}
        assert active == {name for name, lasts in lasting.items() if lasts}


def test_a_shift_begins_when_the_next_one_starts() -> None:
    clocks = Clocks()
    local = (NOON + timedelta(hours=1)).astimezone()
    shift = Shift([f"{local:%H:%M}"], clocks.wall, clocks.monotonic)
    shift.add(lab_verdict(1, OK))
    shift.add(lab_verdict(2, WRONG_LOT))
    assert (shift.counts()["parts"], shift.counts()["yield"]) == (2, 0.5)
    clocks.seconds += 3599
    assert shift.counts()["parts"] == 2
    clocks.seconds += 2
    assert (shift.counts()["parts"], shift.counts()["yield"]) == (0, None)
    assert shift.details()["reasons"] == []
    assert shift.details()["trend"] == [[60, 1, 1]], "the trend goes on over the shifts"


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set_loses_no_count(days: int) -> None:
    clocks = Clocks()
    local = (NOON + timedelta(hours=1)).astimezone()
    shift = Shift([f"{local:%H:%M}"], clocks.wall, clocks.monotonic)
    shift.add(lab_verdict(1, OK))
    clocks.set_by = timedelta(days=days)
    assert shift.counts()["parts"] == 1
    clocks.seconds += 3590
    assert shift.counts()["parts"] == 1
    clocks.seconds += 20
    assert shift.counts()["parts"] == 0


def test_the_trend_is_by_the_minute_and_bounded() -> None:
    clocks = Clocks()
    shift = Shift([], clocks.wall, clocks.monotonic)
    for number in range(600):
        shift.add(lab_verdict(number, OK if number % 4 else WRONG_LOT))
        clocks.seconds += 60
    trend = shift.details()["trend"]
    assert len(trend) == 479
    assert trend[-1] == [1, 1, 0]
    assert {ok + ng for _, ok, ng in trend} == {1}
