"""Forwarding: at least once, each stream in order, and never in the way of a new part."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from records_lab import ids, mixed, part_verdict, record, table, until, write_rows

import edge.records.forward
from edge.records.forward import Forwarder
from edge.records.output import RecordsOutput
from edge.records.query import Query, Records
from edge.verdict import Verdict


class Broker:
    """Takes what it is sent while it is up; may fail on any one."""

    def __init__(self) -> None:
        self.up = True
        self.taken: list[tuple[int, bool]] = []
        self.asked = 0
        self.refuse: Callable[[int], bool] = lambda seq: False
        self.drop_answer: Callable[[int], bool] = lambda seq: False

    def __call__(self, record: dict[str, Any], historical: bool) -> bool:
        self.asked += 1
        if not self.up or self.refuse(record["seq"]):
            return False
        self.taken.append((record["seq"], historical))
        return not self.drop_answer(record["seq"])

    def stream(self, historical: bool) -> list[int]:
        return [seq for seq, old in self.taken if old == historical]

    @property
    def all(self) -> set[int]:
        return {seq for seq, _ in self.taken}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RETRY_S", 0.05), ("HISTORICAL_PER_S", 1000.0), ("CURSOR_S", 0.01)):
        monkeypatch.setattr(edge.records.forward, name, value)


@pytest.fixture
def output(tmp_path: Path) -> Iterator[RecordsOutput]:
    output = RecordsOutput(table(tmp_path))
    yield output
    output.close()


def give(output: RecordsOutput, verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        output.verdict(verdict)
    assert output.recorded(verdicts[-1].id, 30)


@pytest.mark.usefixtures("quick")
def test_new_records_go_out_at_once_in_order_and_whole(output: RecordsOutput) -> None:
    seen: list[dict[str, Any]] = []

    def publish(record: dict[str, Any], historical: bool) -> bool:
        seen.append(record)
        return True

    forwarder = Forwarder(output, publish, "mqtt")
    give(output, mixed(30))
    until(lambda: len(seen) == 30)
    forwarder.close(30)
    with Records(output.folder) as records:
        kept = records.find(Query(), 30)[::-1]
    fates = {"evidence", "evidence_gone"}  # of pictures that were being written
    assert [{k: v for k, v in each.items() if k not in fates} for each in seen] == [
        {k: v for k, v in each.items() if k not in fates} for each in kept
    ]


@pytest.mark.usefixtures("quick")
def test_an_outage_becomes_history_and_new_parts_do_not_wait_for_it(
    output: RecordsOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Broker()
    forwarder = Forwarder(output, broker, "mqtt")
    verdicts = mixed(90)
    give(output, verdicts[:10])
    until(lambda: len(broker.taken) == 10)
    broker.up = False
    give(output, verdicts[10:60])
    until(lambda: broker.asked > 12)
    monkeypatch.setattr(edge.records.forward, "HISTORICAL_PER_S", 20.0)
    broker.up = True
    until(lambda: len(broker.taken) > 10)
    for verdict in verdicts[60:]:
        output.verdict(verdict)
    until(lambda: broker.stream(False)[-1] == 90)
    assert forwarder.backlog > 0  # 50 old ones at 20 a second take longer than 30 new ones
    until(lambda: broker.all == set(range(1, 91)))
    forwarder.close(30)
    live, old = broker.stream(False), broker.stream(True)
    assert live == sorted(set(live))
    assert old == sorted(set(old))
    assert set(range(11, 61)) <= set(old)
    assert forwarder.backlog == 0


@pytest.mark.usefixtures("quick")
def test_what_is_not_acknowledged_is_sent_again(output: RecordsOutput) -> None:
    broker = Broker()
    lost = {3, 4, 9}

    def drop_once(seq: int) -> bool:
        dropped = seq in lost
        lost.discard(seq)
        return dropped

    broker.drop_answer = drop_once
    forwarder = Forwarder(output, broker, "mqtt")
    give(output, mixed(12))
    until(lambda: broker.all == set(range(1, 13)) and forwarder.backlog == 0 and not lost)
    forwarder.close(30)
    sent = [seq for seq, _ in broker.taken]
    assert {seq for seq in sent if sent.count(seq) > 1} >= {3}
    assert broker.stream(True) == sorted(broker.stream(True))


@pytest.mark.usefixtures("quick")
def test_a_new_start_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    record(tmp_path, mixed(5))  # before anything was to be forwarded
    broker = Broker()
    verdicts = mixed(40)
    output = RecordsOutput(table(tmp_path))
    forwarder = Forwarder(output, broker, "mqtt")
    give(output, verdicts[5:15])
    until(lambda: broker.stream(False) == list(range(6, 16)))
    broker.up = False
    give(output, verdicts[15:20])
    until(lambda: forwarder.backlog > 0)
    forwarder.close(30)
    output.close()
    record(tmp_path, verdicts[20:30])  # a run without it
    broker.up = True
    output = RecordsOutput(table(tmp_path))
    forwarder = Forwarder(output, broker, "mqtt")
    give(output, verdicts[30:])
    until(lambda: broker.all == set(range(6, 41)))
    forwarder.close(30)
    output.close()
    assert broker.stream(True) == list(range(16, 31))
    assert broker.stream(False) == [*range(6, 16), *range(31, 41)]


def test_nothing_is_sent_twice_because_the_station_was_stopped(tmp_path: Path) -> None:
    broker = Broker()
    for start in range(0, 9, 3):
        output = RecordsOutput(table(tmp_path))
        Forwarder(output, broker, "mqtt")
        give(output, mixed(9)[start : start + 3])
        until(lambda: {start + 1, start + 2, start + 3} <= broker.all)  # noqa: B023
        output.close()
    assert broker.taken == [(seq, False) for seq in range(1, 10)]


@pytest.mark.usefixtures("quick")
def test_two_forwarders_do_not_meet(output: RecordsOutput) -> None:
    one, two = Broker(), Broker()
    two.up = False
    forwarders = [Forwarder(output, one, "one"), Forwarder(output, two, "two")]
    give(output, mixed(5))
    until(lambda: len(one.taken) == 5)
    two.up = True
    until(lambda: len(two.taken) == 5)
    for each in forwarders:
        each.close(30)


@pytest.mark.usefixtures("quick")
def test_a_publisher_that_raises_is_tried_again(output: RecordsOutput) -> None:
    broker = Broker()
    failing = threading.Event()
    failing.set()

    def publish(record: dict[str, Any], historical: bool) -> bool:
        if failing.is_set():
            raise OSError("no route to host")
        return broker(record, historical)

    forwarder = Forwarder(output, publish, "mqtt")
    give(output, mixed(3))
    until(lambda: forwarder.backlog == 3)
    failing.clear()
    until(lambda: broker.stream(True) == [1, 2, 3])
    forwarder.close(30)


@pytest.mark.usefixtures("quick")
def test_records_that_were_replaced_by_older_ones_are_not_waited_for(tmp_path: Path) -> None:
    write_rows(tmp_path, mixed(3))
    output = RecordsOutput(table(tmp_path))
    output.save_cursor("mqtt", '{"live": 90, "gaps": [[2, 2], [50, 60]]}')
    output.close()
    output = RecordsOutput(table(tmp_path))
    broker = Broker()
    forwarder = Forwarder(output, broker, "mqtt")
    give(output, [part_verdict(4)])
    until(lambda: broker.all == {2, 4})
    forwarder.close(30)
    output.close()
    assert broker.taken.count((2, True)) == 1
    assert len(ids(tmp_path)) == 4


def test_history_goes_at_its_rate_and_an_idle_forwarder_sleeps(
    output: RecordsOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge.records.forward, "RETRY_S", 0.05)
    monkeypatch.setattr(edge.records.forward, "HISTORICAL_PER_S", 10.0)
    broker = Broker()
    broker.up = False
    forwarder = Forwarder(output, broker, "mqtt")
    give(output, mixed(8))
    until(lambda: forwarder.backlog == 8)
    start = time.monotonic()
    broker.up = True
    until(lambda: len(broker.taken) == 8)
    assert time.monotonic() - start > 0.6  # seven tenths of a second, less the tries before
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.25
    forwarder.close(30)
