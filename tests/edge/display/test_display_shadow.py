"""A bundle that looks on, as the display shows it."""

from collections.abc import Iterator
from typing import Any

import pytest
from display_lab import Lab, served
from needs_lab import needs
from playwright.sync_api import expect, sync_playwright
from test_display_page import CHROMIUM, FLAGS, PATIENCE_MS

from edge.loop.comparisons import summary_of
from edge.loop.shadow_process import OFF

COUNTS = {
    "station": "line", "active": "print 1.2.0", "candidate": "print 1.3.0", "since": "now",
    "seen": 5000, "same_ok": 1200, "same_ng": 31, "rejects": 3, "passes": 0, "content": 1,
}  # fmt: skip


def comparing() -> dict[str, Any]:
    said = {"phase": "comparing", "en": None, "zh": None, "active": "a", "candidate": "print 1.3.0"}
    return said | {"counts": summary_of(COUNTS, [(10.0, 20.0)])}


def off() -> dict[str, Any]:
    en, zh = (text.format(error="SIGSEGV") for text in OFF["crashed"])
    return comparing() | {"phase": "off", "en": en, "zh": zh}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with served() as lab:
        yield lab


def test_none_looks_on(lab: Lab) -> None:
    answer = lab.http.get("api/v1/shadow")
    assert (answer.status_code, answer.json()["error"]) == (404, "no bundle looks on")
    assert lab.http.get("api/v1/counters").json()["shadow"] is None


def test_how_it_goes_is_answered(lab: Lab) -> None:
    lab.state.shadow = comparing
    answer = lab.http.get("api/v1/shadow").json()
    assert answer["phase"] == "comparing"
    assert (answer["counts"]["compared"], answer["counts"]["rejects"]) == (1234, 3)
    assert answer["counts"]["rejects_95"][0] < 3 / 1234 < answer["counts"]["rejects_95"][1]
    lab.state.shadow = off
    assert lab.http.get("api/v1/shadow").json()["en"] == "its process died (SIGSEGV)"
    assert lab.http.get("healthz").json()["ok"], "nobody obeys it, so nobody misses it"


@pytest.mark.slow
def test_the_page_says_so_in_both_languages(lab: Lab) -> None:
    needs(CHROMIUM, "chromium and fonts-noto-cjk")
    now = [comparing]
    lab.state.shadow = lambda: now[0]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(locale="en-GB").new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(lab.serving.link)
        line = page.locator("#shadow")
        expect(line).to_have_text(
            "print 1.3.0 looks on: compared 1234 of 5000 parts, rejects 3 more, passes 0 more"
        )
        now[0] = off
        expect(line).to_have_text(
            "The bundle that looked on is switched off: print 1.3.0: its process died (SIGSEGV)"
        )
        page.keyboard.press("l")
        expect(line).to_have_text("旁观的模型包已停用：print 1.3.0: 其进程已崩溃（SIGSEGV）")
        browser.close()
