import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_lab import BAUDS, SESSION, Rig, make_rig, share_of_line

from firmware_bridge.frames import (
    Decoder,
    Kind,
    Terms,
    encode,
    pack_ack,
    pack_terms,
    unpack_ack,
)
from firmware_bridge.inbox import MAX_MESSAGE
from firmware_bridge.line import Faults
from firmware_bridge.link import Link, Role, State
from models.bundle.cbor import dump_cbor

sizes = st.lists(st.sampled_from([0, 1, 63, 255, 256, 257, 5000, 70000]), max_size=8)


def harm(most: float, flip: float) -> st.SearchStrategy[Faults]:
    chances = st.sampled_from([0.0, most / 5, most])
    return st.builds(
        Faults,
        flip=st.sampled_from([0.0, flip / 10, flip]),
        drop=chances,
        duplicate=chances,
        delay=chances,
        truncate=chances,
        seed=st.integers(0, 1 << 32),
    )


def exchange(faults: Faults, up: list[int], down: list[int], rate: int | None) -> Rig:
    """Send messages of these sizes both ways; what came must be what was sent, or its beginning."""
    dice = random.Random(faults.seed)
    sent = [[dice.randbytes(size) for size in each] for each in (up, down)]
    rig = make_rig(rate=rate, latency=dice.choice([0.0, 0.016]), faults=faults)
    rig.run(60, lambda: rig.host.settled and rig.box.settled)
    for link, messages in ((rig.host, sent[0]), (rig.box, sent[1])):
        for message in messages if rig.host.settled and rig.box.settled else ():
            link.send(message)
    rig.run(600, lambda: rig.host.flushed and rig.box.flushed)
    assert rig.at_box == sent[0][: len(rig.at_box)]
    assert rig.at_host == sent[1][: len(rig.at_host)]
    return rig


@settings(deadline=None, max_examples=40)
@given(harm(0.1, 1e-5), sizes, sizes, st.sampled_from([None, 115200, 921600]))
def test_all_messages_come_once_whole_and_in_order_over_a_bad_line(
    faults: Faults, up: list[int], down: list[int], rate: int | None
) -> None:
    rig = exchange(faults, up, down, rate)
    assert rig.host.state is rig.box.state is State.OPEN
    assert (len(rig.at_box), len(rig.at_host)) == (len(up), len(down))


@settings(deadline=None, max_examples=30)
@given(harm(0.5, 1e-3), sizes, sizes, st.sampled_from([None, 115200, 921600]))
def test_over_the_worst_of_lines_they_come_or_the_session_ends(
    faults: Faults, up: list[int], down: list[int], rate: int | None
) -> None:
    rig = exchange(faults, up, down, rate)
    done = rig.host.flushed and rig.box.flushed
    assert done or rig.host.state is not State.OPEN or rig.box.state is not State.OPEN


@pytest.mark.parametrize("rate", [115200, 921600, 3000000])
@pytest.mark.parametrize("latency", [0.0, 0.016])
def test_a_clean_line_is_used_to_the_full(rate: int, latency: float) -> None:
    rig = make_rig(rate=rate, latency=latency)
    rig.open()
    assert rig.host.rate == rate
    assert share_of_line(rig, 2 << 20) > 0.985


@pytest.mark.parametrize(("flip", "least"), [(1e-6, 0.96), (1e-5, 0.90), (1e-4, 0.6)])
@pytest.mark.parametrize("latency", [0.0, 0.016])
def test_bit_errors_cost_little(flip: float, least: float, latency: float) -> None:
    rig = make_rig(rate=921600, latency=latency, faults=Faults(flip=flip, seed=5))
    rig.open()
    assert share_of_line(rig, 1 << 20) > least


def test_nothing_is_sent_twice_on_a_clean_line() -> None:
    rig = make_rig(rate=921600, latency=0.016)
    rig.open()
    before = rig.line.written[0]
    share_of_line(rig, 1 << 20)
    assert (rig.line.written[0] - before) / (1 << 20) < 1.012


def test_the_same_seed_gives_the_same_bytes() -> None:
    written = []
    for _ in range(2):
        rig = make_rig(rate=921600, faults=Faults(flip=1e-5, drop=0.1, delay=0.1, seed=3))
        rig.open()
        share_of_line(rig, 1 << 18)
        written.append((rig.line.now, rig.line.written))
    assert written[0] == written[1]


def test_one_end_that_falls_silent_is_noticed_in_time() -> None:
    rig = make_rig()
    rig.open()
    rig.host.send(b"is anybody there")
    now = rig.line.now
    while rig.host.state is State.OPEN:
        now = max(now, rig.host.next_timeout(now))
        rig.host.poll(now)
        assert now < 31
    assert "30 s" in rig.host.reason
    assert rig.host.next_timeout(now) == math.inf


def test_an_end_that_answers_but_takes_nothing_is_noticed_in_time() -> None:
    rig = make_rig()
    rig.open()
    for _ in range(20):
        rig.host.send(bytes(60000))
    rig.run(0.1)
    start = rig.line.now
    for _ in range(20):
        rig.host.send(bytes(60000))
    while rig.host.state is State.OPEN and rig.line.now < 60:
        rig.line.advance(60)  # nobody takes what the box has
    assert "took nothing" in rig.host.reason
    assert rig.line.now < start + 32


def test_a_quiet_session_lives_on() -> None:
    rig = make_rig(rate=921600)
    rig.open()
    rig.run(3600)
    assert rig.host.settled
    assert rig.box.settled
    assert rig.host.rate == 921600
    assert rig.line.written[0] < 3600 * 2 * 20


def test_a_slow_taker_holds_the_sender_back_without_loss() -> None:
    rig = make_rig()
    rig.open()
    messages = [bytes([n]) * 50000 for n in range(40)]
    for message in messages:
        rig.host.send(message)
    got: list[bytes] = []
    while len(got) < len(messages):
        before = rig.line.now
        while rig.line.now < before + 3:
            rig.line.advance(before + 3)
        assert rig.box._inbox._held < 400_000
        got.append(rig.box.take() or b"")
    assert got == messages


def test_syn_again_changes_nothing() -> None:
    rig = make_rig()
    rig.open()
    rig.host.send(b"one")
    rig.run(1)
    syn = encode(Kind.SYN, SESSION, 0, pack_terms(Terms()))
    rig.box.receive(syn * 3, rig.line.now)
    rig.host.send(b"two")
    rig.run(1)
    assert rig.at_box == [b"one", b"two"]
    assert rig.host.state is rig.box.state is State.OPEN


def test_frames_of_other_sessions_change_nothing_and_are_told_so() -> None:
    rig = make_rig()
    rig.open()
    rig.host.send(b"one")
    rig.run(1)
    for kind in Kind:
        if kind is not Kind.SYN:
            rig.box.receive(encode(kind, SESSION + 1, 0, b"\x01stale"), rig.line.now)
            rig.host.receive(encode(kind, SESSION + 1, 0, b"\x01stale"), rig.line.now)
    replies = Decoder().feed(rig.box.poll(rig.line.now))
    assert [(each.kind, each.session) for each in replies] == [(Kind.RESET, SESSION + 1)]
    rig.host.send(b"two")
    rig.run(1)
    assert rig.at_box == [b"one", b"two"]
    assert rig.at_host == []


def test_a_host_learns_at_once_that_the_box_has_restarted() -> None:
    rig = make_rig(rate=115200)
    rig.open()
    rig.line.ends[1] = Link(Role.BOX, rig.line.now, bauds=BAUDS)
    rig.host.send(b"go on")
    assert rig.run(1, lambda: rig.host.state is State.CLOSED)
    assert "no such session" in rig.host.reason


def second_host(rig: Rig, session: int) -> Link:
    rig.host = rig.line.ends[0] = Link(Role.HOST, rig.line.now, session=session)
    return rig.host


def test_a_new_session_ends_the_old_one_and_a_late_syn_of_the_old_one_does_not() -> None:
    rig = make_rig()
    rig.open()
    rig.host.send(b"of the first")
    rig.run(1)
    old = rig.box
    second_host(rig, 5)
    rig.open()
    assert old.state is State.CLOSED
    assert "another session" in old.reason
    rig.box.receive(encode(Kind.SYN, SESSION, 0, pack_terms(Terms())), rig.line.now)
    rig.host.send(b"of the second")
    rig.run(1)
    assert rig.box.state is State.OPEN
    assert rig.at_box == [b"of the first", b"of the second"]


def test_what_follows_a_syn_in_the_same_read_belongs_to_the_new_session() -> None:
    box = Link(Role.BOX, 0.0)
    syn = encode(Kind.SYN, 1, 0, pack_terms(Terms()))
    data = encode(Kind.DATA, 1, 0, b"\x01first")
    box.receive(syn + data, 0.0)
    assert box.take() == b"first"
    box.receive(encode(Kind.SYN, 2, 0, pack_terms(Terms())), 1.0)
    box.receive(encode(Kind.DATA, 2, 0, b"\x01second"), 1.0)
    assert box.state is State.CLOSED
    following = box.successor(1.0)
    assert following.state is State.OPEN
    assert following.take() == b"second"


def test_closing_tells_the_other_end() -> None:
    rig = make_rig(rate=921600)
    rig.open()
    box = rig.box
    rig.host.close("enough")
    rig.run(0.2)
    assert box.state is State.CLOSED
    assert "enough" in box.reason
    assert rig.box is not box
    assert rig.box.rate == 115200


@pytest.mark.parametrize("payload", [b"", b"\xff", dump_cbor(5), dump_cbor("a\x1b[2J\n" * 500)])
def test_any_reason_is_fit_to_be_shown(payload: bytes) -> None:
    rig = make_rig()
    rig.open()
    rig.host.receive(encode(Kind.RESET, SESSION, 0, payload), rig.line.now)
    assert rig.host.state is State.CLOSED
    assert rig.host.reason.isprintable()
    assert 0 < len(rig.host.reason) <= 200


def test_a_box_of_another_version_says_so() -> None:
    box = Link(Role.BOX, 0.0)
    box.receive(encode(Kind.SYN, 9, 0, dump_cbor({"v": 2})), 0.0)
    (reply,) = Decoder().feed(box.poll(0.0))
    host = Link(Role.HOST, 0.0, session=9)
    host.receive(encode(*reply), 0.0)
    assert host.state is State.CLOSED
    assert "protocol 1" in host.reason
    host = Link(Role.HOST, 0.0, session=9)
    host.receive(encode(Kind.SYN_ACK, 9, 0, dump_cbor({"v": 2})), 0.0)
    assert "another protocol" in host.reason


def test_an_echo_of_itself_is_no_box() -> None:
    host = Link(Role.HOST, 0.0, session=1, rate=921600, bauds=BAUDS)
    now = 0.0
    while now < 3:
        host.receive(host.poll(now), now)
        now = max(now + 0.01, host.next_timeout(now))
    assert host.state is State.OPENING


@given(st.binary(max_size=60), st.sampled_from(Kind), st.integers(0, 0xFFFFFFFF))
def test_no_frame_breaks_a_link(payload: bytes, kind: Kind, seq: int) -> None:
    rig = make_rig(rate=921600)
    rig.open()
    for link in (rig.host, rig.box):
        link.send(b"in flight")
        link.poll(rig.line.now)
        link.receive(encode(kind, SESSION, seq, payload), rig.line.now)
        link.poll(rig.line.now)
        assert link.next_timeout(rig.line.now) >= rig.line.now


def test_a_sender_that_minds_no_window_costs_bounded_memory() -> None:
    box = Link(Role.BOX, 0.0)
    box.receive(encode(Kind.SYN, 1, 0, pack_terms(Terms())), 0.0)
    for number in range(1, 3000):  # the first never comes
        box.receive(encode(Kind.DATA, 1, number, b"\x00" + bytes(4096)), 0.0)
    assert len(box._inbox._kept) <= 256
    replies = Decoder().feed(box.poll(0.0))
    acks = [unpack_ack(each.payload) for each in replies if each.kind is Kind.ACK]
    assert acks == [(0, (1 << 256) - 1)]
    for number in range(10_000):  # and nobody takes what does
        box.receive(encode(Kind.DATA, 1, number, b"\x01" + bytes(4096)), 0.0)
    assert box._inbox._held < 8 << 20


def test_a_message_without_an_end_ends_the_session() -> None:
    box = Link(Role.BOX, 0.0)
    box.receive(encode(Kind.SYN, 1, 0, pack_terms(Terms())), 0.0)
    number = 0
    while box.state is State.OPEN:
        assert number * 4096 < MAX_MESSAGE + 8192
        box.receive(encode(Kind.DATA, 1, number, b"\x00" + bytes(4096)), 0.0)
        number += 1
    assert "too long" in box.reason


def test_acks_of_what_was_never_sent_are_ignored() -> None:
    rig = make_rig()
    rig.open()
    rig.host.send(b"one")
    now = rig.line.now
    assert rig.host.poll(now)
    for ack in (pack_ack(99, 0), pack_ack(0, 1 << 20), b"", b"abc"):
        rig.host.receive(encode(Kind.ACK, SESSION, 0, ack), now)
    assert not rig.host.flushed
    rig.host.receive(encode(Kind.ACK, SESSION, 0, pack_ack(1, 0)), now)
    assert rig.host.flushed


def test_a_lost_frame_goes_again_when_three_later_ones_have_come() -> None:
    rig = make_rig()
    rig.open()
    for number in range(5):
        rig.host.send(bytes([number]))
    now = rig.line.now
    first = [each.seq for each in Decoder().feed(rig.host.poll(now))]
    assert first == [0, 1, 2, 3, 4]
    rig.host.receive(encode(Kind.ACK, SESSION, 0, pack_ack(1, 0b011)), now)  # 2 and 3
    assert Decoder().feed(rig.host.poll(now)) == []
    rig.host.receive(encode(Kind.ACK, SESSION, 0, pack_ack(1, 0b111)), now)
    assert [each.seq for each in Decoder().feed(rig.host.poll(now))] == [1]


def test_the_window_bounds_what_is_in_flight() -> None:
    rig = make_rig()
    rig.open()
    rig.host.send(bytes(1 << 20))
    frames = Decoder().feed(rig.host.poll(rig.line.now))
    assert sum(len(each.payload) - 1 for each in frames) <= 65536
    assert len(frames) <= 256
    assert rig.host.poll(rig.line.now) == b""


def test_a_line_with_a_rate_is_kept_busy_but_little_more() -> None:
    rig = make_rig(rate=921600)
    rig.open()
    rig.host.send(bytes(1 << 20))
    data = rig.host.poll(rig.line.now)
    assert 0.04 < len(data) * 10 / 921600 < 0.05
    assert rig.host.poll(rig.line.now) == b""
    assert 0.01 < rig.host.next_timeout(rig.line.now) - rig.line.now < 0.03
