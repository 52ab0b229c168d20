"""Pictures of the display for the documentation, of a real run of the demonstration.

``python -m tools.display_pictures`` writes ``docs/display-*.png``. It needs playwright and a
Chromium. Parts get ten times their time, so that a busy machine makes no faults of its own.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from playwright.sync_api import Browser, Page, sync_playwright

from edge.challenge.desk import ChallengeDesk
from edge.display.server import Serving, serve_demo
from edge.display.state import DisplayState
from edge.loop import Line, open_models
from edge.station.challenge import ChallengeTable
from tools.demonstration import demo_clock, demo_station
from tools.screenshots import FLAGS, save_screenshot

__all__ = ["main"]

SCREEN, PHONE = {"width": 1440, "height": 810}, {"width": 390, "height": 844}

PATIENCE_MS = 180_000
"""Until the simulated line has shown what is waited for."""


@contextmanager
def _running() -> Iterator[tuple[Serving, DisplayState, Line]]:
    station, clock = demo_station(100_000, 7, 0.5), demo_clock()
    patient = station.station.model_copy(update={"deadline_ms": 20_000})
    station = station.model_copy(update={"station": patient})
    display = DisplayState(station, clock)
    line = Line(station, open_models(station), [display], clock=clock)
    with serve_demo(display, line, "en") as serving:
        thread = threading.Thread(target=line.run)
        thread.start()
        try:
            yield serving, display, line
        finally:
            line.stop()
            thread.join()


def _open(browser: Browser, serving: Serving, **context: Any) -> Page:
    page = browser.new_context(locale="en-GB", **context).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(serving.link)
    page.wait_for_selector(".tile img[src]")
    return page


def _faces(test: str) -> str:
    """JavaScript: whether the tiles' faces are as ``test`` says of them, and not of the past."""
    return (
        "() => { const tiles = [...document.querySelectorAll('.tile')];"
        "const faces = tiles.map(tile => tile.dataset.face);"
        f"return {test} && tiles.every(tile => tile.querySelector('img[src]')); }}"
    )


def _blocked(display: DisplayState) -> Callable[[], None]:
    """Stop the display's server until what is given is called."""
    released, snapshot = threading.Event(), display.snapshot
    display.snapshot = lambda: (released.wait(), snapshot())[1]  # type: ignore[method-assign]
    return released.set


def _challenge(page: Page, display: DisplayState, line: Line, path: Path) -> None:
    """A station at the start of the shift, whose operator has begun."""
    parts = [
        {"name": "good carton A", "camera": "carton", "verdict": "OK"},
        {"name": "wrong lot B", "camera": "carton", "verdict": "NG", "reason": "mismatch"},
        {"name": "expired cap C", "camera": "cap", "verdict": "NG"},
    ]
    table = ChallengeTable.model_validate({"confirm": True, "parts": parts})
    with tempfile.TemporaryDirectory() as folder:
        desk = ChallengeDesk(table, (), Path(folder) / "challenge.json", display.clock)
        desk.follow(line)
        display.challenge = desk
        desk.start("Wang Li")
        page.wait_for_function(_faces("faces.every(face => face === 'locked')"))
        page.wait_for_timeout(600)
        save_screenshot(page, path)
        desk.close()
    display.challenge = None
    line.hold(None)


def main(
    folder: Annotated[Path, typer.Option(help="Where the pictures go.")] = Path("docs"),
    chromium: Annotated[Path, typer.Option(help="The browser.")] = Path("/usr/bin/chromium"),
    warm: Annotated[float, typer.Option(help="Seconds before the first: trend, gallery.")] = 240,
) -> None:
    """Draw every picture of the display that the documentation shows."""
    with _running() as (serving, display, line), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        page = _open(browser, serving, viewport=SCREEN)
        page.wait_for_timeout(warm * 1000)
        page.wait_for_function(_faces("faces.every(face => face === 'ok')"))
        save_screenshot(page, folder / "display-ok.png")
        page.wait_for_function(_faces("faces.includes('ng') && faces.includes('ok')"))
        page.wait_for_timeout(400)
        save_screenshot(page, folder / "display-ng.png")
        page.keyboard.press("l")
        page.wait_for_function(_faces("faces.includes('ng') && faces.includes('ok')"))
        page.wait_for_timeout(400)
        save_screenshot(page, folder / "display-zh.png")
        page.keyboard.press("l")
        page.locator("#rejected button", has_text="marker-code: read").first.click()
        page.wait_for_timeout(800)
        save_screenshot(page, folder / "display-part.png")
        page.keyboard.press("Escape")
        phone = _open(browser, serving, viewport=PHONE, has_touch=True, is_mobile=True)
        phone.wait_for_timeout(2500)
        save_screenshot(phone, folder / "display-phone.png")
        phone.close()
        display.camera("cap", "lost", "no picture for 2 s: check its cable")
        page.wait_for_selector(".fault")
        page.wait_for_timeout(600)
        save_screenshot(page, folder / "display-fault.png")
        display.camera("cap", "running", "")
        display.alarms.acknowledge()
        page.wait_for_function("() => !document.querySelector('.fault')")
        page.wait_for_function(_faces("faces.includes('ok')"))
        release = _blocked(display)
        page.wait_for_selector("body.stale")
        save_screenshot(page, folder / "display-stale.png")
        release()
        page.wait_for_selector("body:not(.stale)")
        _challenge(page, display, line, folder / "display-challenge.png")
        browser.close()


if __name__ == "__main__":
    typer.run(main)
