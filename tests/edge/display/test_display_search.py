"""Older parts and other bundles, found and chosen in a real browser."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from display_lab import READ_WRONG, Lab, served
from needs_lab import needs
from playwright.sync_api import Browser, Page, expect, sync_playwright
from records_lab import part_verdict, record, table
from test_display_models import KEY, install
from verdict_lab import OK, lab_verdict

from edge.station.bundle import active_bundle
from edge.station.schema import BundleTable
from firmware_bridge.slots import Slots
from models.bundle import trust

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


@pytest.fixture
def troubles() -> Iterator[list[str]]:
    """What scripts of the page stumbled over."""
    troubles: list[str] = []
    yield troubles
    assert troubles == []


def opened(browser: Browser, lab: Lab, troubles: list[str], **context: object) -> Page:
    said = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **context}
    page = browser.new_context(**said).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(lab.serving.link)
    expect(page.locator(".tile")).to_have_count(1)
    return page


def keep(lab: Lab, folder: Path) -> None:
    setting = lab.line.setting
    station = setting.station.model_copy(update={"records": table(folder, ok_every=1)})
    lab.line.setting = replace(setting, station=station.with_active(None))


def test_a_part_is_found_again_by_its_lot(
    browser: Browser, lab: Lab, troubles: list[str], tmp_path: Path
) -> None:
    verdicts = [part_verdict(n, OK, lot=f"L{n % 2}", shape=(96, 128)) for n in range(1, 46)]
    verdicts.append(part_verdict(46, READ_WRONG, lot="L0", shape=(96, 128)))
    record(tmp_path, verdicts, ok_every=1)
    keep(lab, tmp_path)
    page = opened(browser, lab, troubles)
    page.keyboard.press("r")
    rows = page.locator("#records-found button")
    expect(rows).to_have_count(20)
    expect(rows.first).to_contain_text("top #46 · L0")
    page.locator("#records-text").fill("L1")
    page.locator("#records-form .primary").click()
    expect(rows.first).to_contain_text("top #45 · L1")
    page.locator("#records-more").click()
    expect(rows).to_have_count(23)
    expect(page.locator("#records-more")).to_be_hidden()
    page.locator("#records-text").fill("L0")
    page.locator("#records-text").press("Enter")
    expect(rows.first).to_contain_text("lot: read “L26I1A”, expected “L2611A”")
    rows.first.click()
    facts = page.locator("#facts")
    expect(facts.locator("h2")).to_have_text("NG")
    expect(facts.locator(".id")).to_have_text(verdicts[-1].id)
    expect(facts.locator(".compare code")).to_have_text(["L2611A", "L26I1A"])
    expect(page.locator("#zoom img")).to_have_js_property("naturalWidth", 128)
    page.keyboard.press("ArrowRight")
    expect(facts).to_contain_text("top #44")
    expect(facts.locator("h2")).to_have_text("OK")
    page.keyboard.press("Escape")
    expect(rows).to_have_count(20)
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_from_its_window_to_its_record(
    browser: Browser, lab: Lab, troubles: list[str], tmp_path: Path
) -> None:
    keep(lab, tmp_path)
    verdict = lab_verdict(1, READ_WRONG)
    record(tmp_path, [verdict])
    lab.state.verdict(verdict)
    page = opened(browser, lab, troubles)
    page.locator("#rejected button").click()
    page.locator("#facts [data-again]").click()
    expect(page.locator("#part-dialog")).to_be_hidden()
    expect(page.locator("#records-text")).to_have_value(verdict.id)
    expect(page.locator("#records-found button")).to_have_count(1)
    page.locator("#records-found button").click()
    expect(page.locator("#facts .id")).to_have_text(verdict.id)


@pytest.mark.parametrize("size", [(390, 844), (1280, 720)])
def test_it_fits_and_speaks_chinese(
    browser: Browser, lab: Lab, troubles: list[str], tmp_path: Path, size: tuple[int, int]
) -> None:
    record(tmp_path, [part_verdict(1, READ_WRONG, lot="批号" * 40)])
    keep(lab, tmp_path)
    page = opened(
        browser, lab, troubles, viewport={"width": size[0], "height": size[1]}, has_touch=True
    )
    page.locator("#language").click()
    page.locator("#search").click()
    dialog = page.locator("#records-dialog")
    expect(dialog.locator("h2")).to_have_text("查找产品")
    expect(dialog.locator("#records-found")).to_contain_text("不合格")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert dialog.evaluate("node => node.scrollWidth <= node.clientWidth")
    small = dialog.evaluate(
        """node => [...node.querySelectorAll("button, input")].filter(n => n.offsetParent)
           .map(n => n.getBoundingClientRect()).filter(r => r.width < 48 || r.height < 48).length"""
    )
    assert small == 0
    page.locator("#records-text").fill("<img src=x onerror=document.title='hit'>")
    page.locator("#records-form .primary").click()
    expect(page.locator("#records-trouble")).to_contain_text("记录中没有批号或产品“<img")
    assert page.title() == "pack-line-1"


def test_a_station_without_records_says_so(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    page = opened(browser, lab, troubles)
    page.locator("#search").click()
    expect(page.locator("#records-trouble")).to_have_text("This station keeps no records.")
    expect(page.locator("#bundle")).to_be_hidden()


def test_another_bundle_is_chosen_and_confirmed(
    browser: Browser, lab: Lab, troubles: list[str], tmp_path: Path
) -> None:
    slots = Slots(tmp_path / "box")
    trust(KEY.public, slots.root / "trusted")
    install(slots, tmp_path / "one", "1.0.0")
    install(slots, tmp_path / "two", "2.0.0")

    def follow() -> None:  # as the changeover does
        setting = lab.line.setting
        station = setting.station.model_copy(update={"bundle": BundleTable(root=str(slots.root))})
        lab.line.setting = replace(setting, station=station.with_active(active_bundle(slots.root)))

    follow()
    page, other = (opened(browser, lab, troubles) for _ in range(2))
    for each in (page, other):
        expect(each.locator("#bundle")).to_have_text("pcb 2.0.0")
        each.locator("#bundle").click()
        rows = each.locator("#models-slots tr")
        expect(rows.nth(1)).to_contain_text("pcb 2.0.0judges now")
        rows.nth(0).locator("button").click()
        expect(each.locator("#models-question")).to_have_text("Change to pcb 1.0.0?")
    assert slots.state.active == "b", "not before it is confirmed"
    page.locator("#models-do").click()
    expect(page.locator("#models-dialog")).to_be_hidden()
    assert str(slots.state.active) == "a"
    other.locator("#models-do").click()
    expect(other.locator("#models-trouble")).to_contain_text("Somebody else")
    expect(other.locator("#models-slots tr").nth(0)).to_contain_text("pcb 1.0.0judges now")
    follow()
    expect(page.locator("#bundle")).to_have_text("pcb 1.0.0")
