"""The demonstration in a browser: opened if there is one, and left open as long as it is."""

from __future__ import annotations

import os
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console

from edge.display.server import Serving, serve_demo
from edge.display.state import DisplayState
from edge.judge import Language
from edge.loop import Line

__all__ = ["browsed"]

AWAY_S = 3.0
"""A page that is gone for so long was closed, not loaded again."""

POLL_S = 0.2
"""Between two looks whether somebody watches."""


def browsed(
    display: DisplayState, language: Language, parts: int, console: Console
) -> Callable[[Line], AbstractContextManager[None]]:
    """Show a run in a browser; once all ``parts`` have passed, until the page is closed."""

    @contextmanager
    def around(line: Line) -> Iterator[None]:
        with serve_demo(display, line, language) as serving:
            console.print(f"display        {serving.link}", soft_wrap=True, highlight=False)
            if console.is_terminal and _has_screen():
                webbrowser.open(serving.link)
            yield
            if line.tally.parts >= parts and serving.viewers:
                console.print("all parts have passed: close the page, or press Ctrl-C, to end")
                _wait_for_viewers(serving)

    return around


def _has_screen() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _wait_for_viewers(serving: Serving) -> None:
    seen = time.monotonic()
    try:
        while time.monotonic() - seen < AWAY_S:
            if serving.viewers:
                seen = time.monotonic()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        pass
