import threading
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from verdict_lab import lab_part

from edge.judge import Judgement
from edge.loop.sequencer import Sequencer
from edge.verdict import Outcome, Verdict

GOOD = Outcome(Judgement(True))


def drain(sequencer: Sequencer) -> list[Verdict]:
    verdicts = []
    while (verdict := sequencer.next()) is not None:
        verdicts.append(verdict)
    return verdicts


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
@settings(deadline=None)
def test_one_verdict_each_in_order_whatever_the_order_of_decisions(
    order: list[int], never: set[int]
) -> None:
    sequencer = Sequencer(1)
    parts = [lab_part(seconds=0.001 if i in never else 10.0) for i in range(6)]
    for each in parts:
        assert sequencer.open(each)
    for i in order:
        if i not in never:
            sequencer.decide(parts[i], GOOD)
    sequencer.close(reject_pending=False)
    verdicts = drain(sequencer)
    assert [v.part for v in verdicts] == parts
    assert [v.number for v in verdicts] == [1, 2, 3, 4, 5, 6]
    assert [v.late for v in verdicts] == [i in never for i in range(6)]
    assert [v.ok for v in verdicts] == [i not in never for i in range(6)]


def test_late_comes_at_the_deadline_not_when_inference_is_done() -> None:
    sequencer = Sequencer(50)
    slow = lab_part(seconds=0.05)
    sequencer.open(slow)
    start = time.monotonic()
    verdict = sequencer.next()
    took = time.monotonic() - start
    assert verdict is not None
    assert verdict.late
    assert verdict.reasons[0].text() == "no verdict within 50 ms"
    assert 0.03 < took < 0.5
    assert not sequencer.decide(slow, GOOD), "a late answer must not become a second verdict"


def test_a_slow_part_does_not_hold_up_the_next_beyond_its_deadline() -> None:
    sequencer = Sequencer(50)
    slow, quick = lab_part(seconds=0.05), lab_part()
    sequencer.open(slow)
    sequencer.open(quick)
    sequencer.decide(quick, GOOD)
    sequencer.close(reject_pending=False)
    first, second = drain(sequencer)
    assert first.late
    assert second.ok
    assert second.publish > 0.03, "it waited for the part before it, and says so"


def test_the_first_decision_counts() -> None:
    sequencer = Sequencer(10)
    each = lab_part()
    sequencer.open(each)
    assert sequencer.decide(each, Outcome(Judgement(False)))
    assert not sequencer.decide(each, GOOD)
    sequencer.close(reject_pending=False)
    assert [v.ok for v in drain(sequencer)] == [False]


def test_stopping_rejects_what_is_undecided_and_takes_nothing_new() -> None:
    sequencer = Sequencer(10)
    done, pending = lab_part(), lab_part()
    sequencer.open(done)
    sequencer.open(pending)
    sequencer.decide(done, GOOD)
    sequencer.close(reject_pending=True)
    assert not sequencer.open(lab_part())
    first, second = drain(sequencer)
    assert first.ok
    assert [r.code for r in second.reasons] == ["stopped"]
    assert sequencer.idle


def test_next_wakes_for_a_decision_from_another_thread() -> None:
    sequencer = Sequencer(10_000)
    each = lab_part()
    sequencer.open(each)
    threading.Timer(0.05, lambda: sequencer.decide(each, GOOD)).start()
    start = time.monotonic()
    verdict = sequencer.next()
    assert verdict is not None
    assert verdict.ok
    assert time.monotonic() - start < 2
