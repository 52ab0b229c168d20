import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from firmware_bridge.channel import TIMEOUT, Channel, request
from firmware_bridge.frames import Kind, encode
from firmware_bridge.pipe import channel_pair
from models.bundle.cbor import dump_cbor
from models.errors import TransferError


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_messages_go_both_ways_in_order() -> None:
    host, box = channel_pair()
    for number in range(50):
        host.send({"m": "data", "d": bytes([number]) * 3000})
    box.send({"id": 1, "text": "grün"})
    assert [box.receive(5)["d"][0] for _ in range(50)] == list(range(50))
    assert host.receive(5) == {"id": 1, "text": "grün"}
    assert (host.rate, box.rate, host.name) == (None, None, "pipe")


def test_a_message_that_does_not_come_is_a_time_out_and_the_channel_lives_on() -> None:
    host, box = channel_pair()
    start = time.monotonic()
    with pytest.raises(TransferError, match=r"pipe: no message in 0\.05 s") as caught:
        host.receive(0.05)
    assert caught.value.code == TIMEOUT
    assert 0.05 <= time.monotonic() - start < 2
    box.send({"id": 1})
    assert host.receive(5) == {"id": 1}


def test_a_channel_that_waits_is_woken_by_a_message_and_by_the_end() -> None:
    host, box = channel_pair()
    got: list[object] = []

    def wait() -> None:
        got.append(box.receive(math.inf))
        with pytest.raises(TransferError, match="it was closed"):
            box.receive(math.inf)
        got.append("ended")

    thread = in_thread(wait)
    host.send({"m": "hello"})
    host.close()
    thread.join(5)
    assert got == [{"m": "hello"}, "ended"]


def test_what_was_sent_before_the_end_still_arrives() -> None:
    host, box = channel_pair()
    host.send({"m": "last"})
    host.close()
    host.close()
    assert box.receive(5) == {"m": "last"}
    for channel in (host, box):
        with pytest.raises(TransferError, match="the session has ended"):
            channel.receive(5)
        with pytest.raises(TransferError, match="the session has ended"):
            channel.send({"m": "more"})
    box.close()


def test_sending_blocks_while_nobody_takes_and_goes_on_when_somebody_does() -> None:
    host, box = channel_pair()
    sent: list[int] = []

    def pour() -> None:
        for number in range(60):
            host.send({"m": "data", "d": bytes(20000)})
            sent.append(number)

    thread = in_thread(pour)
    thread.join(0.3)
    assert thread.is_alive()
    assert 10 < len(sent) < 40
    for _ in range(60):
        box.receive(5)
    thread.join(5)
    assert len(sent) == 60


def test_a_message_that_is_too_long_is_refused_before_it_is_sent() -> None:
    host, box = channel_pair()
    with pytest.raises(TransferError, match="send it in parts"):
        host.send({"d": bytes(6 << 20)})
    host.send({"d": bytes(4 << 20)})
    assert len(box.receive(30)["d"]) == 4 << 20


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xc1\x01", dump_cbor([1]), dump_cbor("m")])
def test_a_message_that_is_no_map_ends_the_session(data: bytes) -> None:
    host, box = channel_pair()
    with host._driver.lock:
        host._link.send(data)
        host._driver.kick()
    with pytest.raises(TransferError, match="no CBOR map"):
        box.receive(5)
    with pytest.raises(TransferError, match="no CBOR map"):
        host.receive(5)


def answer_all(box: Channel, answers: list[dict[str, Any]]) -> threading.Thread:
    """Answer one request with all of these; an ``id`` of 0 in them is replaced by its own."""

    def work() -> None:
        number = box.receive(5)["id"]
        for answer in answers:
            box.send({**answer, "id": number if answer["id"] == 0 else answer["id"]})

    return in_thread(work)


def test_a_request_gets_the_answer_with_its_number() -> None:
    host, box = channel_pair()
    answer_all(box, [{"id": -1, "old": True}, {"id": 0, "slots": {}}])
    assert request(host, {"m": "status"}, 5)["slots"] == {}


def test_a_refusal_carries_the_code_and_the_box_s_words() -> None:
    host, box = channel_pair()
    answer_all(box, [{"id": 0, "error": "room", "text": "4 MiB are missing: remove old records"}])
    with pytest.raises(TransferError, match="pipe: 4 MiB are missing: remove old") as caught:
        request(host, {"m": "offer"}, 5)
    assert caught.value.code == "room"


def test_a_request_without_an_answer_is_a_time_out() -> None:
    host, box = channel_pair()
    with pytest.raises(TransferError) as caught:
        request(host, {"m": "status"}, 0.05)
    assert caught.value.code == TIMEOUT
    box.receive(5)  # nobody waits for it any more
    answer_all(box, [{"id": 0}])
    assert request(host, {"m": "status"}, 5)


def test_a_box_that_ends_the_session_ends_a_request() -> None:
    host, box = channel_pair()
    in_thread(box.close)
    with pytest.raises(TransferError, match="the session has ended") as caught:
        request(host, {"m": "status"}, 20)
    assert caught.value.code == ""


def test_noise_on_an_open_line_changes_nothing() -> None:
    host, box = channel_pair()
    with box._driver.lock:
        box._link.receive(b"\x00login: \xff\xfe\x00" + encode(Kind.PING, 1), box.clock())
    host.send({"m": "hello"})
    assert box.receive(5) == {"m": "hello"}
