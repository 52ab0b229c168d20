"""The challenge in a real browser, as an operator goes through it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from display_lab import READ_WRONG, Lab, served
from needs_lab import needs
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_display_challenge import Place

pytestmark = pytest.mark.slow

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs(CHROMIUM, "chromium and fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with served() as lab:
        yield lab


def opened(browser: Browser, lab: Lab, **context: object) -> Page:
    said = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **context}
    page = browser.new_context(**said).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(30_000)
    page.goto(lab.serving.link)
    expect(page.locator(".tile")).to_have_count(1)
    return page


def colour(page: Page, selector: str) -> str:
    script = "node => getComputedStyle(node).backgroundColor"
    return str(page.locator(selector).first.evaluate(script))


def test_an_operator_goes_through_it(browser: Browser, lab: Lab, tmp_path: Path) -> None:
    place = Place(lab, tmp_path / "c.json")
    place.passes()
    page = opened(browser, lab)
    bar, tile = page.locator(".due"), page.locator(".tile")
    expect(bar).to_contain_text("CHALLENGE DUE")
    expect(tile).to_have_attribute("data-face", "locked")
    expect(tile.locator("strong")).to_have_text("LOCKED")
    blue = colour(page, ".due")
    assert blue == colour(page, ".tile .face")
    expect(page.locator(".fault")).to_have_count(0)

    page.keyboard.press("c")
    expect(page.locator("#challenge-parts li")).to_have_text(
        ["good one · top · OK", "bad one · top · NG"]
    )
    page.locator("#challenge-form .primary").click()
    expect(page.locator("#challenge-trouble")).to_contain_text("Enter your name")
    page.locator("#challenge-by").fill("Wang Li")
    page.locator("#challenge-form .primary").click()
    expect(page.locator("#challenge-dialog")).to_be_hidden()
    expect(bar).to_contain_text("Part 1 of 2 · Wang Li is at it")
    expect(bar).to_contain_text("Place “good one” at camera top.")
    place.passes(READ_WRONG)
    expect(bar).to_contain_text("WRONG: “good one”: must be OK, was NG")
    red = colour(page, ".tile .face")
    expect(bar).to_contain_text("Place “bad one” at camera top.")
    expect(bar).to_contain_text("The station must say NG.")
    place.passes(READ_WRONG)
    expect(bar).to_contain_text("The last challenge went wrong: the station stays locked.")
    expect(bar.locator("button")).to_have_text("Try again")

    page.locator("#language").click()
    expect(bar).to_contain_text("上次点检未通过，工位保持锁定。")
    expect(bar.locator("button")).to_have_text("重新点检")
    bar.locator("button").click()
    page.locator("#challenge-form .primary").click()
    expect(bar).to_contain_text("请将“good one”放到相机 top 处。")
    place.passes()
    expect(bar).to_contain_text("正确: “good one”")
    place.passes(READ_WRONG)
    expect(bar).to_have_count(0)
    place.passes()
    expect(tile).to_have_attribute("data-face", "ok")
    assert len({blue, red, colour(page, ".tile .face")}) == 3


def test_it_asks_where_cameras_run_freely(browser: Browser, lab: Lab, tmp_path: Path) -> None:
    place = Place(lab, tmp_path / "c.json", confirm=True)
    page = opened(browser, lab, viewport={"width": 390, "height": 844})
    place.desk.start("Wang Li")
    bar = page.locator(".due")
    bar.get_by_text("It lies there").click()
    expect(bar).to_contain_text("The next part of this camera counts.")
    place.passes()
    expect(bar).to_contain_text("Part 2 of 2")
    bar.get_by_text("Break off").click()
    expect(bar).to_contain_text("The last challenge was broken off.")
    box = bar.bounding_box()
    assert box is not None
    assert box["width"] <= 390


def test_drift_is_no_fault(browser: Browser, lab: Lab) -> None:
    page = opened(browser, lab)
    lab.state.alarms.tell("drift", "top label", "brightness 90, was 100", "亮度 90，学习时为 100")
    care = page.locator(".care")
    expect(care).to_contain_text("CHECK")
    expect(care).to_contain_text("Drift top label brightness 90, was 100")
    expect(page.locator(".fault")).to_have_count(0)
    care.locator("button").click()
    expect(care).to_contain_text("Acknowledged")
    lab.state.alarms.tell("drift", "top label", None)
    expect(care).to_have_count(0)
