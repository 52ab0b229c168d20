"""The demonstration stays open as long as somebody looks at it."""

import io
import threading
import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from display_lab import LabLine
from rich.console import Console
from verdict_lab import lab_station

from edge.display.state import DisplayState
from tools import browsing
from tools.browsing import browsed


def shown(monkeypatch: pytest.MonkeyPatch, parts: int) -> tuple[Any, Any, io.StringIO]:
    """A run of ten parts that is shown, its line, and what stands on the terminal."""
    monkeypatch.setattr(browsing, "AWAY_S", 0.5)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    text = io.StringIO()
    line: Any = LabLine()
    line.tally = SimpleNamespace(parts=parts)
    around = browsed(DisplayState(lab_station()), "en", 10, Console(file=text, width=200))
    assert opened == []
    return around, line, text


def test_without_anybody_it_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    around, line, text = shown(monkeypatch, 10)
    with around(line):
        start = time.monotonic()
    assert time.monotonic() - start < 2
    assert text.getvalue().startswith("display        http://127.0.0.1:")
    assert "#token=" in text.getvalue()


@pytest.mark.parametrize(("parts", "stays"), [(10, True), (9, False)])
def test_it_stays_for_a_viewer_unless_it_was_stopped(
    monkeypatch: pytest.MonkeyPatch, parts: int, stays: bool
) -> None:
    around, line, text = shown(monkeypatch, parts)
    leave = threading.Event()
    watching = threading.Event()

    def watch(address: str) -> None:
        with httpx.stream("GET", f"{address}api/v1/events", timeout=20, trust_env=False) as answer:
            for _ in answer.iter_lines():
                watching.set()
                if leave.is_set():
                    return

    with around(line):
        address = text.getvalue().split()[1].partition("#")[0]
        viewer = threading.Thread(target=watch, args=(address,), daemon=True)
        viewer.start()
        assert watching.wait(20)
        threading.Timer(1.0, leave.set).start()
        start = time.monotonic()
    assert (time.monotonic() - start > 1.0) is stays
    assert ("close the page" in text.getvalue()) is stays
