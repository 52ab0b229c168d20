"""The page in a real browser, as operators use it."""

import json
import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from display_lab import READ_WRONG, Lab, served
from needs_lab import needs
from playwright.sync_api import Browser, Page, expect, sync_playwright
from verdict_lab import OK

pytestmark = pytest.mark.slow

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

CHROMIUM = "/usr/bin/chromium"

PATIENCE_MS = 30_000
"""For anything to be seen on a busy machine."""

expect.set_options(timeout=PATIENCE_MS)


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
    """What the browser complained of; nothing, at the end of every test."""
    troubles: list[str] = []
    yield troubles
    assert troubles == []


def opened(browser: Browser, lab: Lab, troubles: list[str], **context: object) -> Page:
    said = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **context}
    page = browser.new_context(**said).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if refused(said.text) else None)
    page.goto(lab.serving.link)
    expect(page.locator(".tile")).to_have_count(1)
    return page


def refused(text: str) -> bool:
    """Whether the browser refuses something of ours."""
    return "Content Security Policy" in text or "Uncaught" in text


def face(page: Page) -> str:
    return str(page.locator(".tile").get_attribute("data-face"))


def test_ok_ng_and_fault_are_told_apart(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    page = opened(browser, lab, troubles)
    tile = page.locator(".tile")
    expect(tile).to_have_attribute("data-face", "waiting")

    lab.show(1)
    expect(tile).to_have_attribute("data-face", "ok")
    expect(tile.locator("strong")).to_have_text("OK")
    expect(tile.locator(".mark use")).to_have_attribute("href", "#icon-ok")
    expect(page.locator(".fault")).to_have_count(0)
    green = tile.locator(".face").evaluate("node => getComputedStyle(node).backgroundColor")

    lab.show(2, READ_WRONG)
    expect(tile).to_have_attribute("data-face", "ng")
    expect(tile.locator("strong")).to_have_text("NG")
    expect(tile.locator(".mark use")).to_have_attribute("href", "#icon-ng")
    expect(tile.locator(".why")).to_have_text("lot: read “L26I1A”, expected “L2611A”")
    red = tile.locator(".face").evaluate("node => getComputedStyle(node).backgroundColor")
    word, mark = tile.locator("strong").bounding_box(), tile.locator(".mark").bounding_box()
    assert word is not None
    assert mark is not None
    assert mark["x"] > word["x"], "the mark of NG stands behind its word, that of OK before"
    expect(page.locator(".fault")).to_have_count(0)

    lab.state.camera("top", "lost", "no picture for 2 s")
    expect(tile).to_have_attribute("data-face", "lost")
    fault = page.locator(".fault")
    expect(fault).to_contain_text("FAULT")
    expect(fault).to_contain_text("Camera top no picture for 2 s")
    yellow = fault.evaluate("node => getComputedStyle(node).backgroundColor")
    off = tile.locator(".face").evaluate("node => getComputedStyle(node).backgroundColor")
    assert len({green, red, yellow, off}) == 4
    above, below = fault.bounding_box(), tile.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"], "a place of its own"


def test_a_verdict_is_large(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    """From four metres: 1/200 of the distance (ISO 9241-303), so 2 cm of a screen 33 cm high."""
    page = opened(browser, lab, troubles, viewport={"width": 1920, "height": 1080})
    lab.show(1)
    expect(page.locator(".tile")).to_have_attribute("data-face", "ok")
    size = page.locator(".tile strong").evaluate("n => parseFloat(getComputedStyle(n).fontSize)")
    assert size * 0.7 >= 1080 * 2 / 33, "the height of its capitals"


def test_the_picture_comes_with_what_was_read(
    browser: Browser, lab: Lab, troubles: list[str]
) -> None:
    page = opened(browser, lab, troubles)
    part = lab.show(1, READ_WRONG)
    picture = page.locator(".tile img")
    expect(picture).to_have_js_property("naturalWidth", 128)
    assert str(picture.get_attribute("src")).endswith(f"/cameras/top/picture.jpg?part={part}")
    assert picture.evaluate("node => [node.naturalWidth, node.naturalHeight]") == [128, 96]
    marks = page.locator(".tile .marks")
    expect(marks).to_have_attribute("viewBox", "0 0 128 96")
    expect(marks.locator("text")).to_have_text(["LOT:L26I1A", "EXP:2027-05-02"])
    expect(marks.locator("polygon.bad")).to_have_count(1)
    expect(marks.locator("polygon.region")).to_have_count(2)


def saturation(png: bytes) -> float:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return float(cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[:, :, 1].max())


def test_old_data_is_never_green(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    page = opened(browser, lab, troubles)
    lab.show(1)
    expect(page.locator(".tile")).to_have_attribute("data-face", "ok")
    assert saturation(page.screenshot()) > 150
    page.evaluate(
        "() => { const seen = performance.now();"
        "const watch = () => document.body.classList.contains('stale')"
        " ? window.staleAfter = performance.now() - seen : requestAnimationFrame(watch); watch(); }"
    )
    released, snapshot = threading.Event(), lab.state.snapshot
    lab.state.snapshot = lambda: (released.wait(60), snapshot())[1]  # type: ignore[method-assign]
    expect(page.locator("body")).to_have_class("stale")
    assert page.evaluate("window.staleAfter") < 4000, "two seconds, and the half before"
    veil = page.locator("#veil")
    expect(veil).to_be_visible()
    expect(veil).to_contain_text("NO DATA")
    expect(veil).to_contain_text("since ")
    assert saturation(page.screenshot()) < 40, "everything is grey"
    lab.state.snapshot = snapshot  # type: ignore[method-assign]
    released.set()
    expect(veil).to_be_hidden()
    expect(page.locator(".tile")).to_have_attribute("data-face", "ok")


def test_a_station_that_has_gone_is_stale(browser: Browser, troubles: list[str]) -> None:
    with served() as lab:
        page = opened(browser, lab, troubles)
        lab.show(1)
        expect(page.locator(".tile")).to_have_attribute("data-face", "ok")
    expect(page.locator("#veil")).to_be_visible()


def test_a_state_that_cannot_be_drawn_is_stale(
    browser: Browser, lab: Lab, troubles: list[str]
) -> None:
    page = opened(browser, lab, troubles)
    snapshot = lab.state.snapshot
    lab.state.snapshot = lambda: snapshot() | {"cameras": None}  # type: ignore[method-assign]
    expect(page.locator("#veil")).to_be_visible()


def test_language_is_switched_at_once(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    page = opened(browser, lab, troubles)
    lab.show(1, READ_WRONG)
    lab.state.fault("plc", "does not answer")
    expect(page.locator(".fault")).to_contain_text("FAULT")
    page.locator("#language").click()
    tile = page.locator(".tile")
    expect(tile.locator("strong")).to_have_text("不合格")
    expect(tile.locator(".why")).to_have_text("lot：读到“L26I1A”，应为“L2611A”")
    expect(page.locator(".fault")).to_contain_text("设备故障")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    known = {"pack-line-1", "top", "plc", "lot", "OK", "NG", "ms", "English", "min"}
    page.evaluate("document.querySelectorAll('.marks, kbd, #job dd').forEach(n => n.remove())")
    text = page.locator("body").inner_text()
    left = {each for each in words_of(text) if each not in known}
    assert left <= {"Green", "tea", "ml", "L", "A", "I", "IA", "does", "not", "answer"}
    page.reload()
    expect(tile.locator("strong")).to_have_text("不合格")
    page.keyboard.press("l")
    expect(tile.locator("strong")).to_have_text("NG")


def words_of(text: str) -> set[str]:
    letters = "".join(c if (c.isascii() and c.isalpha()) or c == "-" else " " for c in text)
    return {word.strip("-") for word in letters.replace("pack-line-", "pack-line-1 ").split()} - {
        ""
    }


def fill_job(page: Page, lot: str, name: str) -> None:
    page.keyboard.press("j")
    expect(page.locator("#job-product")).not_to_have_value("")
    page.locator("#job-lot").fill(lot)
    page.locator("#job-by").fill(name)
    page.locator("#job-form .primary").click()


def test_two_pages_change_the_job_at_once(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    one, two = (opened(browser, lab, troubles) for _ in range(2))
    fill_job(one, "L2612B", "Wang Li")
    fill_job(two, "L2613C", "Anna")
    expect(one.locator("#job-compare")).to_contain_text("L2611A")
    expect(one.locator("#job-compare")).to_contain_text("L2612B")
    assert lab.line.setting.station.job.lot == "L2611A", "not before it is confirmed"
    one.locator("#job-do").click()
    expect(one.locator("#job-dialog")).to_be_hidden()
    for page in (one, two):
        expect(page.locator("#lot")).to_have_text("L2612B")
        expect(page.locator("#who")).to_contain_text("Wang Li")
    two.locator("#job-do").click()
    expect(two.locator("#job-trouble")).to_contain_text("Somebody else")
    expect(two.locator("#job-lot")).to_have_value("L2612B")
    assert lab.line.setting.station.job.lot == "L2612B"
    two.locator("#job-lot").fill("L2613C")
    two.locator("#job-form .primary").click()
    two.locator("#job-do").click()
    expect(one.locator("#lot")).to_have_text("L2613C")


def test_a_page_without_the_token_asks_for_it(
    browser: Browser, lab: Lab, troubles: list[str]
) -> None:
    page = opened(browser, lab, troubles)
    page.evaluate("localStorage.clear()")
    page.goto(lab.serving.address)
    lab.state.fault("plc", "does not answer")
    page.locator(".fault button").click()
    page.locator("#token-text").fill("wrong" * 8)
    page.locator("#token-form .primary").click()
    expect(page.locator("#token-text")).to_have_value("")
    page.locator("#token-text").fill(lab.serving.token)
    page.locator("#token-form .primary").click()
    expect(page.locator(".fault")).to_contain_text("Acknowledged")
    assert lab.serving.token not in page.url


def test_faults_are_acknowledged_by_key(browser: Browser, lab: Lab, troubles: list[str]) -> None:
    page = opened(browser, lab, troubles)
    assert lab.serving.token not in page.url
    lab.state.fault("plc", "does not answer")
    fault = page.locator(".fault")
    expect(fault).to_have_attribute("data-state", "new")
    page.keyboard.press("a")
    expect(fault).to_have_attribute("data-state", "seen")
    lab.state.fault("plc", None)
    expect(fault).to_have_count(0)


def compared(page: Page, read: str, expected: str) -> list[str]:
    """Both texts, what differs in brackets."""
    return list(
        page.evaluate(
            """async ([a, b]) => (await import("/diff.js")).differing(a, b)
               .map(text => text.map(([c, differs]) => differs ? `[${c}]` : c).join(""))""",
            [read, expected],
        )
    )


def test_a_rejected_part_is_looked_at_closely(
    browser: Browser, lab: Lab, troubles: list[str]
) -> None:
    page = opened(browser, lab, troubles)
    lab.show(1, READ_WRONG)
    part = lab.show(2, READ_WRONG)
    expect(page.locator("#rejected button")).to_have_count(2)
    page.keyboard.press("g")
    facts = page.locator("#facts")
    expect(facts.locator(".id")).to_have_text(part)
    expect(facts.locator(".compare code")).to_have_text(["L2611A", "L26I1A"])
    assert facts.locator("mark").all_inner_texts() == ["1", "I"]
    assert compared(page, "L26I1A", "L2611A") == ["L26[I]1A", "L26[1]1A"]
    assert compared(page, "XABCD", "ABCDE") == ["[X]ABCD", "ABCD[E]"]
    assert compared(page, "L2611", "L2611A") == ["L2611", "L2611[A]"]
    assert compared(page, "", "批号") == ["", "[批][号]"]
    zoom = page.locator("#zoom")
    expect(zoom.locator("img")).to_have_js_property("naturalWidth", 128)
    page.keyboard.press("+")
    expect(zoom).to_have_attribute("data-zoom", "1.50")
    zoom.dispatch_event("wheel", {"deltaY": -100})
    expect(zoom).to_have_attribute("data-zoom", "1.88")
    page.keyboard.press("0")
    expect(zoom).to_have_attribute("data-zoom", "1.00")
    page.keyboard.press("ArrowRight")
    expect(facts).to_contain_text("top #1")
    page.keyboard.press("Escape")
    expect(page.locator("#part-dialog")).to_be_hidden()


@pytest.mark.parametrize("size", [(390, 844), (768, 1024), (1280, 720)])
def test_it_fits_and_fingers_hit_it(
    browser: Browser, lab: Lab, troubles: list[str], size: tuple[int, int]
) -> None:
    page = opened(
        browser, lab, troubles, viewport={"width": size[0], "height": size[1]}, has_touch=True
    )
    lab.show(1, READ_WRONG)
    lab.state.fault("plc", "does not answer " * 8)
    expect(page.locator("#rejected button")).to_have_count(1)
    expect(page.locator(".fault button")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for opener in ("#change-job", "#help", "#rejected button"):
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, input")].filter(n => n.offsetParent)
               .map(n => [n.id || n.className || n.textContent, n.getBoundingClientRect()])
               .filter(([, r]) => r.width < 48 || r.height < 48).map(([name]) => name)"""
        )
        assert small == []
        page.locator(opener).first.click()
        expect(page.locator("dialog[open]")).to_have_count(1)
        page.keyboard.press("Escape")
    lab.show(2, OK)


def test_what_is_printed_on_a_part_is_never_markup(
    browser: Browser, lab: Lab, troubles: list[str]
) -> None:
    page = opened(browser, lab, troubles)
    evil = "<img src=x onerror=document.title='hit'>"
    assert lab.job(evil, 1).status_code == 200
    lab.state.fault(evil, evil)
    lab.show(1, READ_WRONG)
    expect(page.locator("#lot")).to_have_text(evil)
    expect(page.locator(".fault")).to_contain_text(evil)
    expect(page.locator("#rejected button")).to_have_count(1)
    assert page.title() == "pack-line-1"
    assert json.dumps(troubles) == "[]"
