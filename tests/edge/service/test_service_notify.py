"""What the service manager is told, on a real socket."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from notify_lab import Manager

from edge.service.notify import STATUS_S, Notifier, Pulse


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = tmp_path / "notify" if request.param == "path" else f"@lineguard-test-{os.getpid()}"
    manager = Manager(name)
    yield manager
    manager.close()


def test_ready_then_signs_of_life_then_stopping(manager: Manager) -> None:
    ready: list[bool] = []
    notifier = Notifier(manager.environment(0.1))
    with Pulse(lambda: bool(ready), list, lambda: "3 parts\nREADY=0", notifier):
        assert manager.hear(0.5) == [], "not ready"
        ready.append(True)
        assert manager.until(lambda line: line == "READY=1")
        manager.until(lambda line: line == "WATCHDOG=1")
        manager.until(lambda line: line == "WATCHDOG=1")
        assert "STATUS=3 parts READY=0" in manager.told, "one line, whatever it says"
    manager.until(lambda line: line == "STOPPING=1")
    assert manager.hear(0.3) == []


def test_what_is_stuck_gives_no_sign_of_life(manager: Manager) -> None:
    stuck: list[str] = []
    notifier = Notifier(manager.environment(0.1))
    with Pulse(lambda: True, lambda: stuck, lambda: "fine", notifier):
        manager.until(lambda line: line == "WATCHDOG=1")
        stuck.append("inference of top stands still for 20 s")
        manager.until(lambda line: line == f"STATUS=stuck: {stuck[0]}")
        assert "WATCHDOG=1" not in manager.hear(0.5)
        stuck.clear()
        manager.until(lambda line: line == "WATCHDOG=1")


def test_children_do_not_speak_for_it(manager: Manager) -> None:
    environment = manager.environment(10) | {"WATCHDOG_PID": "1", "HOME": "/"}
    notifier = Notifier(environment)
    assert environment == {"HOME": "/"}
    assert notifier.every == STATUS_S, "the signs of life of another process"
    assert Notifier(manager.environment(3) | {"WATCHDOG_PID": str(os.getpid())}).every == 1.5


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "100000"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "-5"},
        {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "²"},
    ],
)
def test_without_a_manager_nothing_fails(environment: dict[str, str]) -> None:
    start = time.monotonic()
    with Pulse(lambda: True, list, lambda: "", Notifier(environment)):
        time.sleep(0.1)
    assert time.monotonic() - start < 5


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    notifier = Notifier(manager.environment(1))
    start = time.monotonic()
    for _ in range(5000):
        notifier.tell("WATCHDOG=1")
    assert time.monotonic() - start < 5
    manager.close()
    notifier.tell("STOPPING=1")
