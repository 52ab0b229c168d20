"""Which picture is that of which part: whatever the order in which threads bring them."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.trigger.pairing import MOST_WAITING, REMEMBERED, Pairing

moments = st.integers(0, 2000).map(lambda ms: ms / 1000)


def pair(
    triggers: list[float], pictures: list[float], late: int, delay: float, patience: float
) -> dict[int, object]:
    """What each trigger came to, told ``late`` pictures after its moment; ``None``: it waits."""
    pairing: Pairing[int, float] = Pairing(delay, patience)
    found: dict[int, object] = {}

    def told(number: int, fate: object) -> None:
        assert number not in found, "one answer for each part"
        found[number] = fate

    waiting = list(enumerate(triggers))
    for index, at in enumerate(pictures):
        for part, fate in pairing.pictured(at, at):
            told(part, fate)
        known = pictures[index - late] if index >= late else -math.inf
        while waiting and waiting[0][1] <= known:
            number, moment = waiting.pop(0)
            now = pairing.triggered(number, moment)
            if now != "waits":
                told(number, now)
    for number, moment in waiting:
        now = pairing.triggered(number, moment)
        if now != "waits":
            told(number, now)
    return found


@given(
    st.lists(moments, max_size=30, unique=True).map(sorted),
    st.lists(moments, max_size=60, unique=True).map(sorted),
    st.integers(0, REMEMBERED - 1),
    st.sampled_from([0.0, 0.05]),
    st.sampled_from([0.03, 0.3, 10.0]),
)
@settings(deadline=None)
def test_each_part_has_the_first_picture_after_it_or_none(
    triggers: list[float], pictures: list[float], late: int, delay: float, patience: float
) -> None:
    found = pair(triggers, pictures, late, delay, patience)
    had: set[float] = set()
    for number, at in enumerate(triggers):
        first = next((each for each in pictures if each >= at + delay), None)
        if first is None:
            assert number not in found, "it waits"
        elif first > at + delay + patience:
            assert found[number] == "no_picture"
        elif first in had:
            assert found[number] == "too_close"
        else:
            assert found[number] == first
            had.add(first)


def test_a_trigger_that_is_told_late_finds_its_picture() -> None:
    pairing: Pairing[str, str] = Pairing(0.0, 0.1)
    for at in (1.0, 1.03, 1.06):
        assert list(pairing.pictured(f"at {at}", at)) == []
    assert pairing.triggered("a", 1.02) == "at 1.03"
    assert pairing.triggered("b", 1.025) == "too_close"
    assert pairing.triggered("c", 1.05) == "at 1.06"
    assert pairing.triggered("d", 1.07) == "waits"


def test_a_flood_of_triggers_is_bounded() -> None:
    pairing: Pairing[int, str] = Pairing(0.0, 0.1)
    said = [pairing.triggered(number, 1.0) for number in range(MOST_WAITING + 3)]
    assert said == ["waits"] * MOST_WAITING + ["overrun"] * 3
    given = dict(pairing.pictured("it", 1.01))
    assert list(given.values()) == ["it"] + ["too_close"] * (MOST_WAITING - 1)
