import math
import threading
import time
from typing import Any

import pytest

from firmware_bridge.channel import Channel, request
from firmware_bridge.line import Faults
from firmware_bridge.pipe import channel_pair
from models.errors import TransferError


def drain(box: Channel) -> None:
    while True:
        box.receive(math.inf)


def pour(host: Channel) -> None:
    for _ in range(100):
        host.send({"m": "data", "d": bytes(20000)})


def serve(box: Channel, count: "Counter") -> None:
    while True:
        answer = count(box.receive(30))
        if answer:
            box.send(answer)


class Counter:
    """A box that counts bytes and says how many it has."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["m"] == "data":
            self.bytes += len(message["d"])
            return None
        return {"id": message["id"], "bytes": self.bytes}


def test_simulated_time_is_that_of_the_line_and_costs_little() -> None:
    start = time.monotonic()
    host, _ = channel_pair(rate=115200, virtual=True, serve=Counter())
    begin = host.clock()
    for _ in range(50):
        host.send({"m": "data", "d": bytes(20000)})
    assert request(host, {"m": "count"}, 1000)["bytes"] == 1_000_000
    assert 86.8 < host.clock() - begin < 86.8 / 0.985
    assert time.monotonic() - start < 5
    host.close()


def test_simulated_time_waits_for_an_end_that_works() -> None:
    host, box = channel_pair(rate=921600, virtual=True)
    done = []

    def work() -> None:
        message = box.receive(10)
        time.sleep(0.3)  # no time on the line
        box.send({"id": message["id"]})
        with pytest.raises(TransferError):
            box.receive(math.inf)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    begin = host.clock()
    assert request(host, {"m": "check"}, 0.25)
    assert host.clock() - begin < 0.25
    host.close()
    thread.join(5)
    assert done


def test_deadlines_are_kept_in_simulated_time() -> None:
    host, _ = channel_pair(virtual=True, serve=lambda _: None)
    begin = host.clock()
    with pytest.raises(TransferError, match="no message in 20 s"):
        request(host, {"m": "status"}, 20)
    assert host.clock() - begin == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("seed", range(30))
def test_every_fault_at_once_changes_nothing_that_arrives(seed: int) -> None:
    faults = Faults(flip=1e-5, drop=0.05, duplicate=0.1, delay=0.1, truncate=0.05, seed=seed)
    host, _ = channel_pair(rate=921600, faults=faults, virtual=True, serve=Counter())
    for _ in range(5):
        host.send({"m": "data", "d": bytes(4000)})
    assert request(host, {"m": "count"}, 60)["bytes"] == 20000
    host.close()


def test_the_same_seed_takes_the_same_time() -> None:
    times = []
    for _ in range(2):
        faults = Faults(flip=1e-5, drop=0.05, delay=0.1, seed=11)
        host, _ = channel_pair(rate=921600, faults=faults, virtual=True, serve=Counter())
        for _ in range(20):
            host.send({"m": "data", "d": bytes(10000)})
        request(host, {"m": "count"}, 60)
        times.append(host.clock())
    assert times[0] == times[1]


@pytest.mark.parametrize("virtual", [True, False])
def test_a_line_that_is_cut_ends_both_ends(virtual: bool) -> None:
    host, box = channel_pair(rate=921600, faults=Faults(disconnect=0.5), virtual=virtual)
    ended = []

    def take() -> None:
        with pytest.raises(TransferError, match="the line was cut"):
            drain(box)
        ended.append(True)

    thread = threading.Thread(target=take)
    thread.start()
    with pytest.raises(TransferError, match="the line was cut"):
        pour(host)
    host.close()
    thread.join(5)
    assert ended


def test_a_line_that_lets_nothing_through_gives_no_session() -> None:
    with pytest.raises(TransferError, match="no session began"):
        channel_pair(faults=Faults(drop=1.0), virtual=True)


def test_in_real_time_faults_are_mended_too() -> None:
    faults = Faults(flip=1e-5, drop=0.05, duplicate=0.1, delay=0.1, truncate=0.05, seed=2)
    host, box = channel_pair(faults=faults)

    def work() -> None:
        with pytest.raises(TransferError, match="it was closed"):
            serve(box, Counter())

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(10):
        host.send({"m": "data", "d": bytes(10000)})
    assert request(host, {"m": "count"}, 30)["bytes"] == 100_000
    host.close()
    thread.join(5)
    assert not thread.is_alive()
