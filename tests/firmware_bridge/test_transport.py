import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from wire_lab import Agent, Cable, port_server

from firmware_bridge.channel import Channel, request
from firmware_bridge.frames import Kind, Terms, encode, pack_terms
from firmware_bridge.transport import connect, listen
from models.errors import TransferError


@pytest.fixture
def cable(tmp_path: Path) -> Cable:
    return Cable(tmp_path)


@pytest.fixture
def agent(cable: Cable) -> Iterator[Agent]:
    agent = Agent(listen(str(cable.box)))
    yield agent
    agent.close()


@pytest.fixture
def tcp_agent() -> Iterator[Agent]:
    agent = Agent(listen("tcp://127.0.0.1:0"))
    yield agent
    agent.close()


def flash(channel: Channel, total: int = 200_000) -> None:
    for _ in range(total // 20000):
        channel.send({"m": "data", "d": os.urandom(20000)})
    assert request(channel, {"m": "count"}, 30)["bytes"] == total


def pour(channel: Channel) -> None:
    while True:
        channel.send({"m": "data", "d": bytes(20000)})


def wait_for(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:  # type: ignore[operator]
        time.sleep(0.01)
    assert condition()  # type: ignore[operator]


def test_a_serial_line_from_terminal_to_terminal(cable: Cable, agent: Agent) -> None:
    channel = connect(str(cable.host), rate=3000000)
    assert channel.rate == 3000000
    assert channel.name == str(cable.host)
    flash(channel)
    channel.close()
    wait_for(lambda: agent.ends)
    assert "it was closed" in agent.ends[0]


@pytest.mark.slow
def test_one_session_after_the_other_begins_at_the_base_rate(cable: Cable, agent: Agent) -> None:
    for rate in (921600, 115200, 3000000):
        channel = connect(str(cable.host), rate=rate)
        assert channel.rate == rate
        flash(channel, 20000)
        channel.close()


def test_noise_before_a_session_is_no_matter(cable: Cable, agent: Agent) -> None:
    cable.noise(b"\r\nDebian GNU/Linux box ttyS1\r\n\r\nbox login: ")
    channel = connect(str(cable.host))
    flash(channel, 20000)
    channel.close()


def test_a_host_that_dies_leaves_a_box_that_takes_the_next(cable: Cable, agent: Agent) -> None:
    dead = connect(str(cable.host), rate=921600)
    flash(dead, 20000)
    port = dead._driver
    port._stopping = True  # type: ignore[attr-defined]  # and no word to the box
    port.error = OSError()  # type: ignore[attr-defined]
    dead._driver.gone(dead._link)
    begin = time.monotonic()
    channel = connect(str(cable.host))
    assert time.monotonic() - begin < 5
    flash(channel, 20000)
    channel.close()
    wait_for(lambda: len(agent.ends) == 2)


@pytest.mark.slow
def test_an_adapter_that_is_pulled_out_is_named_and_can_be_plugged_in(
    cable: Cable, agent: Agent
) -> None:
    channel = connect(str(cable.host), rate=921600)
    flash(channel, 20000)
    threading.Timer(0.2, cable.unplug).start()
    with pytest.raises(TransferError, match=r"ttyHOST: .*the port has failed .*begin again"):
        pour(channel)
    channel.close()
    with pytest.raises(TransferError, match="ttyHOST: there is no such port: plug in the cable"):
        connect(str(cable.host))
    wait_for(lambda: agent.ends)
    assert "the port has failed" in agent.ends[0]
    cable.plug()
    channel = connect(str(cable.host))
    flash(channel, 20000)
    channel.close()


def test_a_box_that_is_not_there_is_told_in_time(cable: Cable) -> None:
    begin = time.monotonic()
    with pytest.raises(TransferError, match=r"no box answers in 0\.5 s: is `lineguard agent`"):
        connect(str(cable.host), timeout=0.5)
    assert time.monotonic() - begin < 5
    assert not [each for each in threading.enumerate() if "ttyHOST" in each.name]


def test_a_port_is_had_by_one_program_alone(cable: Cable, agent: Agent) -> None:
    channel = connect(str(cable.host))
    with pytest.raises(TransferError, match="another program has it open: close that one"):
        connect(str(cable.host))
    channel.close()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/dev/ttyNOWHERE", "there is no such port"),
        ("/dev/null", "cannot be opened"),
        ("tcp://127.0.0.1", "is no address: say tcp://HOST:PORT"),
        ("tcp://:4040", "is no address"),
        ("tcp://127.0.0.1:99999", "is no address"),
        ("socket://nowhere.invalid:4040", "nobody knows this host"),
        ("carrier-pigeon://home", "cannot be opened"),
    ],
)
def test_addresses_that_lead_nowhere_are_named(address: str, reason: str) -> None:
    with pytest.raises(TransferError, match=reason) as caught:
        connect(address)
    assert str(caught.value).startswith(address)
    assert "\n" not in str(caught.value)


def test_a_tcp_port_where_nobody_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TransferError, match="nothing listens there: start `lineguard agent`"):
        connect(f"tcp://127.0.0.1:{port}")


def test_an_address_can_be_listened_at_once() -> None:
    with (
        listen("tcp://127.0.0.1:0") as listener,
        pytest.raises(TransferError, match="cannot be listened at"),
    ):
        listen(listener.address)


@pytest.mark.parametrize("scheme", ["tcp", "socket"])
def test_tcp(tcp_agent: Agent, scheme: str) -> None:
    channel = connect(tcp_agent.listener.address.replace("tcp", scheme))
    assert channel.rate is None
    flash(channel, 2_000_000)
    channel.close()
    wait_for(lambda: tcp_agent.ends)


def test_several_hosts_at_once_each_have_their_session() -> None:
    with listen("tcp://127.0.0.1:0") as listener:
        hosts = [connect(listener.address) for _ in range(5)]
        boxes = [box for _, box in zip(range(5), listener, strict=False)]
        for number, box in enumerate(boxes):
            box.send({"id": number})
        assert sorted(host.receive(5)["id"] for host in hosts) == list(range(5))
        for host in hosts:
            host.close()


def test_a_tcp_connection_that_breaks_is_named_and_can_be_made_again(tcp_agent: Agent) -> None:
    channel = connect(tcp_agent.listener.address)
    flash(channel, 20000)
    threading.Timer(0.1, channel._driver._wire.wake).start()  # type: ignore[attr-defined]
    with pytest.raises(TransferError, match=r"tcp://.*the port has failed"):
        pour(channel)
    channel.close()
    wait_for(lambda: tcp_agent.ends)
    channel = connect(tcp_agent.listener.address)
    flash(channel, 20000)
    channel.close()


def test_who_connects_and_says_nothing_takes_no_place_for_long(
    tcp_agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware_bridge.transport._OPEN", 0.3)
    place = tcp_agent.listener.address.removeprefix("tcp://").split(":")
    mute = [socket.create_connection((place[0], int(place[1]))) for _ in range(20)]
    time.sleep(1)
    channel = connect(tcp_agent.listener.address, timeout=5)
    flash(channel, 20000)
    channel.close()
    for each in mute:
        each.close()


def test_garbage_over_tcp_harms_nobody(tcp_agent: Agent) -> None:
    place = tcp_agent.listener.address.removeprefix("tcp://").split(":")
    with socket.create_connection((place[0], int(place[1]))) as stranger:
        stranger.sendall(os.urandom(1 << 20))
        stranger.sendall(b"\0" + encode(Kind.SYN, 1, 0, pack_terms(Terms())))
        stranger.sendall(os.urandom(1 << 20))
        channel = connect(tcp_agent.listener.address)
        threading.Timer(0.1, stranger.close).start()
        flash(channel, 20000)
        channel.close()


def test_closing_a_listener_ends_its_sessions_and_its_threads(cable: Cable) -> None:
    for address, target in (("tcp://127.0.0.1:0", ""), (str(cable.box), str(cable.host))):
        listener = listen(address)
        channel = connect(target or listener.address)
        box = next(iter(listener))
        begin = time.monotonic()
        listener.close()
        assert time.monotonic() - begin < 5
        assert list(listener) == []
        for end in (box, channel):
            with pytest.raises(TransferError, match="the session has ended"):
                end.receive(5)
        channel.close()
    assert not [each for each in threading.enumerate() if each.name.endswith((" read", " write"))]


def test_an_idle_session_costs_next_to_nothing(cable: Cable, agent: Agent) -> None:
    channel = connect(str(cable.host))
    before = psutil.Process().cpu_times()
    time.sleep(1)
    after = psutil.Process().cpu_times()
    assert after.user + after.system - before.user - before.system < 0.25
    channel.close()


@pytest.mark.slow
def test_rfc_2217(cable: Cable, agent: Agent) -> None:
    with port_server(cable.host) as port:
        channel = connect(f"rfc2217://127.0.0.1:{port}", rate=230400)
        assert channel.rate == 230400
        flash(channel, 20000)
        channel.close()
