"""The gate: the right part is blown off, and no other."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from plc_lab import wait_for

from edge.io.encoder import Encoder
from edge.io.gate import Gate, GateEvent
from edge.io.gate_clock import GateClock
from edge.io.lines import FakeEdges

DELAY, WIDTH = 20, 3


@dataclass(frozen=True)
class Seen:
    at: int
    verdict: int | None
    """Position at which it comes."""
    reject: bool
    announced: bool


@st.composite
def lines(draw: st.DrawFn) -> list[Seen]:
    """Parts of one camera, in order; verdicts come in the order of the parts."""
    parts: list[Seen] = []
    at = verdict = 0
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.integers(1, 8))
        verdict = max(verdict, at + draw(st.integers(0, DELAY + 6)))
        comes = draw(st.booleans()) or draw(st.booleans())
        parts.append(Seen(at, verdict if comes else None, draw(st.booleans()), draw(st.booleans())))
    return parts


def run(gate: Gate, parts: list[Seen], stops: list[int]) -> tuple[list[GateEvent], set[int]]:
    """Let the belt go by; what happened, and at which of the positions looked at it was open."""
    events: list[GateEvent] = []
    opened = set()
    for position in range(120):
        for part in parts:
            if part.announced and part.at == position:
                gate.triggered(part.at, part.at)
            if part.verdict == position:
                events += gate.decided(part.at, part.at, str(part.at), part.reject)
        if position in stops:
            events += gate.advance(position)
            if gate.open:
                opened.add(position)
            due = gate.next_due
            assert due is None or due > position
    return events, opened


def model(part: Seen, seen_at: int | None) -> tuple[set[str], set[int]]:
    """What must happen to one part, looked for at the gate at ``seen_at`` first; where it opens."""
    due = part.at + DELAY
    window = set(range(due, due + WIDTH))
    known = part.announced or (part.verdict is not None and part.verdict <= (seen_at or 999))
    judged = part.verdict is not None and seen_at is not None and part.verdict <= seen_at
    if seen_at is None:
        return set(), set()
    if judged and not part.reject:
        return {"passed"}, set()
    if judged:
        return ({"rejected"}, window) if seen_at in window else ({"slipped"}, set())
    if part.announced:
        kinds = {"unjudged"} if seen_at in window else {"slipped"}
        return kinds | ({"late"} if part.verdict is not None else set()), (
            window if seen_at in window else set()
        )
    assert not known
    if part.verdict is None:
        return set(), set()
    return {"late"}, set()


@given(lines())
@settings(deadline=None)
def test_looked_after_at_every_step_the_right_parts_are_hit_and_no_others(
    parts: list[Seen],
) -> None:
    events, opened = run(Gate(DELAY, WIDTH), parts, list(range(120)))
    expected: set[int] = set()
    for part in parts:
        kinds, window = model(part, part.at + DELAY)
        named = [event.kind for event in events if event.part == str(part.at)]
        unannounced_late = "late" in kinds and not part.announced
        if unannounced_late and part.reject:
            # It may just be hit while it goes by, or has slipped.
            assert part.verdict is not None
            gone = part.verdict - part.at - DELAY > WIDTH
            assert named == ["late", "slipped"] if gone else named[0] == "late"
            if "rejected" in named:
                window = set(range(part.verdict, part.at + DELAY + WIDTH))
        elif part.verdict is not None:
            assert set(named) == kinds - {"unjudged"}
        expected |= window
    assert opened == expected


@given(lines(), st.sets(st.integers(0, 119)))
@settings(deadline=None)
def test_looked_after_too_seldom_nothing_is_hit_but_what_had_to_and_what_slipped_is_named(
    parts: list[Seen], looks: set[int]
) -> None:
    parts = [Seen(p.at, p.at, p.reject, False) for p in parts]  # verdicts in time: only looks fail
    events, opened = run(Gate(DELAY, WIDTH), parts, sorted(looks))
    slipped = {event.part for event in events if event.kind == "slipped"}
    rejected = {event.part for event in events if event.kind == "rejected"}
    may = set()
    for part in parts:
        due = part.at + DELAY
        first = min((look for look in looks if look >= due), default=None)
        if first is None or not part.reject:
            assert str(part.at) not in slipped | rejected
        elif first < due + WIDTH:
            assert str(part.at) in rejected
            may |= set(range(due, due + WIDTH))
        else:
            assert str(part.at) in slipped
    assert opened <= may


def test_a_part_whose_verdict_comes_while_it_goes_by_is_still_hit() -> None:
    gate = Gate(DELAY, WIDTH)
    gate.advance(DELAY + 1)
    events = gate.decided("a", 0, "a", reject=True)
    assert [(event.kind, event.by) for event in events] == [("late", 1), ("rejected", 1)]
    assert gate.open
    assert gate.next_due == DELAY + WIDTH
    gate.advance(DELAY + WIDTH)
    assert not gate.open


def test_parts_without_verdicts_are_forgotten_in_the_end() -> None:
    gate = Gate(1, 1)
    for number in range(2000):
        gate.triggered(number, number)
        gate.advance(number)
    assert gate.decided(1, 1, "long ago", reject=False)[0].kind == "late"
    assert len(gate._missed) <= 256
    assert len(gate._parts) <= 2


def test_the_clock_fires_when_it_is_due() -> None:
    moves: list[tuple[float, bool]] = []
    events: list[GateEvent] = []
    clock = GateClock(
        "gate", Gate(0.1, 0.05), lambda on: moves.append((time.monotonic(), on)),
        events.append, lambda error: None)  # fmt: skip
    start = time.monotonic()
    for number in range(10):
        clock.decided(number, start + number * 0.1, str(number), reject=number % 2 == 1)
    wait_for(lambda: len(events) == 10 and not moves[-1][1])
    clock.stop()
    opened = [at for at, on in moves if on]
    assert all(late > -0.001 for late in clock.lateness)
    assert len(opened) + sum(event.kind == "slipped" for event in events) == 5
    assert [event.part for event in events] == [str(number) for number in range(10)]
    assert moves[0][1] is False  # closed from the first moment on


def test_a_gate_that_cannot_be_moved_is_told_once() -> None:
    errors: list[Exception] = []

    def broken(on: bool) -> None:
        raise OSError("unplugged")

    clock = GateClock("gate", Gate(0.1, 0.05), broken, lambda event: None, errors.append)
    wait_for(lambda: bool(errors))
    clock.stop()
    assert [str(error) for error in errors] == ["unplugged"]


def test_the_encoder_moves_the_gate() -> None:
    edges = FakeEdges()
    moves: list[bool] = []
    events: list[GateEvent] = []
    encoder = Encoder(edges, lambda error: None)
    gate = Gate(10, 5)
    clock = GateClock("gate", gate, moves.append, events.append, lambda error: None, encoder.now)
    clock.decided("a", encoder.at(time.monotonic()), "a", reject=True)
    for _ in range(9):
        edges.edge()
    wait_for(lambda: encoder.now() == 9)
    time.sleep(0.02)
    assert True not in moves  # however long the belt stands
    edges.edge()
    wait_for(lambda: moves[-1])
    for _ in range(5):
        edges.edge()
    wait_for(lambda: not moves[-1])
    clock.stop()
    encoder.stop()
    assert [event.kind for event in events] == ["rejected"]
    assert edges.closed


def test_the_encoder_knows_where_the_belt_was() -> None:
    edges = FakeEdges()
    encoder = Encoder(edges, lambda error: None)
    for moment in (1.0, 2.0, 3.0):
        edges.edge(moment)
    wait_for(lambda: encoder.now() == 3)
    assert [encoder.at(moment) for moment in (0.5, 1.0, 2.5, 9.0)] == [0, 1, 2, 3]
    encoder.stop()


def test_an_encoder_that_is_unplugged_is_told() -> None:
    edges, errors = FakeEdges(), list[Exception]()
    encoder = Encoder(edges, errors.append)
    edges.unplug()
    wait_for(lambda: bool(errors))
    encoder.stop()
