from __future__ import annotations

import math
import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera.mailbox import Mailbox, Policy

OLD = 1000.0  # seconds; far older than any max_age here
MAX_AGE = 100.0  # far longer than a test takes


@dataclass(frozen=True)
class Item:
    number: int
    captured: float


steps = st.lists(st.sampled_from(["put", "put_old", "take"]), max_size=60)


@given(policy=st.sampled_from(["every", "freshest"]), capacity=st.integers(1, 5), steps=steps)
def test_bounded_in_order_and_every_item_accounted_for(
    policy: Policy, capacity: int, steps: list[str]
) -> None:
    box: Mailbox[Item] = Mailbox(policy, capacity, MAX_AGE)
    offered: list[Item] = []
    taken: list[Item] = []
    given_back: list[Item] = []
    for step in steps:
        if step == "take":
            item = box.take(0.0)
            if item is not None:
                taken.append(item)
            else:
                assert len(box) == 0
        else:
            age = OLD if step == "put_old" else 0.0
            item = Item(len(offered), time.monotonic() - age)
            offered.append(item)
            full = len(box) == capacity
            back = box.put(item)
            assert (back is not None) == full
            if back is not None:
                given_back.append(back)
                assert (back is item) == (policy == "every")
        assert len(box) <= capacity
    rest = len(box)
    box.close()
    while (item := box.take(0.0)) is not None:
        taken.append(item)
    assert [item.number for item in taken] == sorted(item.number for item in taken)
    assert len(offered) == len(taken) + box.dropped
    expired = len(offered) - len(taken) - len(given_back)
    if policy == "every":
        assert expired == 0
    else:
        assert all(time.monotonic() - item.captured <= MAX_AGE for item in taken)
        assert expired <= Counter(steps)["put_old"]
    assert max(Counter(item.number for item in (*taken, *given_back)).values(), default=1) == 1
    assert rest <= capacity


def test_freshest_holds_the_newest() -> None:
    box: Mailbox[Item] = Mailbox("freshest")
    items = [Item(number, time.monotonic()) for number in range(4)]
    assert [box.put(item) for item in items] == [None, *items[:3]]
    assert box.take(0.0) is items[3]
    assert box.dropped == 3


def test_freshest_drops_what_has_grown_old_and_waits_on() -> None:
    box: Mailbox[Item] = Mailbox("freshest", max_age=0.05)
    box.put(Item(0, time.monotonic()))
    time.sleep(0.06)
    timer = threading.Timer(0.05, lambda: box.put(Item(1, time.monotonic())))
    timer.start()
    item = box.take(2.0)
    timer.join()
    assert item is not None
    assert item.number == 1
    assert box.dropped == 1


def test_every_refuses_the_newcomer_and_hands_out_however_old() -> None:
    box: Mailbox[Item] = Mailbox("every", 2, max_age=1.0)
    items = [Item(number, -OLD) for number in range(3)]
    assert [box.put(item) for item in items] == [None, None, items[2]]
    assert [box.take(0.0), box.take(0.0), box.take(0.0)] == [items[0], items[1], None]


def test_take_gives_up_in_time() -> None:
    box: Mailbox[Item] = Mailbox("every", 1)
    began = time.monotonic()
    assert box.take(0.05) is None
    assert 0.05 <= time.monotonic() - began < 1.0


def test_close_wakes_the_waiting_and_refuses_the_coming() -> None:
    box: Mailbox[Item] = Mailbox("every", 3)
    kept = Item(0, 0.0)
    box.put(kept)
    assert box.take(0.0) is kept
    closer = threading.Timer(0.05, box.close)
    closer.start()
    began = time.monotonic()
    assert box.take(30.0) is None
    assert time.monotonic() - began < 5.0
    closer.join()
    late = Item(1, math.inf)
    assert box.closed
    assert box.put(late) is late


def test_two_threads_lose_nothing() -> None:
    box: Mailbox[Item] = Mailbox("every", 4)
    refused: list[int] = []
    taken: list[int] = []

    def produce() -> None:
        backs = (box.put(Item(number, 0.0)) for number in range(2000))
        refused.extend(back.number for back in backs if back is not None)
        box.close()

    producer = threading.Thread(target=produce)
    producer.start()
    while True:
        item = box.take(1.0)
        if item is None:
            break
        taken.append(item.number)
    producer.join()
    assert sorted(taken + refused) == list(range(2000))
    assert taken == sorted(taken)
    assert box.dropped == len(refused)


def test_box_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Mailbox("every", 0)
