"""The pages as files: words in both languages, nothing from elsewhere, enough contrast."""

import ast
import re
from importlib.resources import files

import pytest

from edge.judge import TEMPLATES

PAGES = {
    entry.name: entry.read_text("utf-8")
    for entry in files("edge.display").joinpath("pages").iterdir()
}
SCRIPTS = {name: text for name, text in PAGES.items() if name.endswith(".js")}


def words(language: str) -> dict[str, str]:
    block = re.search(rf"const {language} = {{\n(.*?)\n}};", PAGES["words.js"], re.DOTALL)
    assert block is not None
    pairs = re.findall(r'^  (\w+): (".*"),$', block[1], re.MULTILINE)
    assert len(pairs) == len(block[1].splitlines()), "one word a line"
    return {key: ast.literal_eval(text) for key, text in pairs}


EN, ZH = words("EN"), words("ZH")


def test_every_word_is_there_in_both_languages() -> None:
    assert list(EN) == list(ZH)
    assert all(EN.values())
    assert all(ZH.values())


@pytest.mark.parametrize("key", sorted(EN))
def test_both_say_the_same_numbers(key: str) -> None:
    assert set(re.findall(r"\{\w+\}", EN[key])) == set(re.findall(r"\{\w+\}", ZH[key]))


SAME = {"switch_language", "key_language"}
"""Both languages in one word, for whoever has the wrong one."""


def test_chinese_is_chinese_and_english_is_not() -> None:
    han = re.compile("[\u4e00-\u9fff]")
    assert [key for key in EN if han.search(EN[key]) and key not in SAME | {"other_language"}] == []
    assert [key for key in ZH if not han.search(ZH[key])] == ["other_language", "changed_by"]


def test_every_word_that_is_used_exists_and_no_other() -> None:
    used = set(re.findall(r'data-(?:word|title|label)="(\w+)"', PAGES["index.html"]))
    for name, text in SCRIPTS.items():
        if name == "words.js":
            text = text.partition("let language")[2]
        used |= set(re.findall(r'\bt\(\s*"(\w+)"', text))
        used |= {key for key in EN if re.search(rf'"{key}"', text)}
    missing = {key for key in used if key not in EN}
    assert missing == set()
    made = re.compile(
        r"^(code|kind|state|legend|slot)_|^(ok|ng|waiting|lost|ended|stopped)(_why)?$"
    )
    assert {key for key in EN if not made.match(key)} - used == set()


def test_every_reason_has_a_short_word() -> None:
    assert {key for key in EN if key.startswith("code_")} == {f"code_{code}" for code in TEMPLATES}


def test_texts_of_the_pages_are_words() -> None:
    body = PAGES["index.html"].partition("<body>")[2]
    said = {text.strip() for text in re.findall(r">([^<>]+)<", body)} - {""}
    without = "lineguard: JavaScript is off / JavaScript 已关闭"
    assert said == {"lineguard", "J", "G", "R", "?", without}


def test_nothing_comes_from_elsewhere_or_is_written_inline() -> None:
    for name, text in PAGES.items():
        links = set(re.findall(r"https?://[^\s\"')]+", text))
        assert links <= {"http://www.w3.org/2000/svg"}, name
    assert not re.search(r"<style|style=|<script>|\son\w+=", PAGES["index.html"])
    for name, text in SCRIPTS.items():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|document\.write", text
        ), name


COLOURS = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", PAGES["style.css"].partition("}")[0]))

PAIRS = [
    ("text", "bg"), ("text", "panel"), ("text", "raised"), ("dim", "bg"), ("dim", "panel"),
    ("dim", "raised"), ("verdict-ink", "ok"), ("verdict-ink", "ng"), ("verdict-ink", "off"),
    ("fault-ink", "fault"), ("fault", "panel"), ("ok-light", "panel"), ("ng-light", "panel"),
    ("accent-ink", "accent"), ("accent", "panel"), ("accent", "bg"),
    ("due-ink", "due"), ("care", "panel"), ("bg", "care"),
]  # fmt: skip
"""Ink on ground wherever the style sheets put one on the other."""


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_contrast_is_aa(ink: str, ground: str) -> None:
    low, high = sorted((luminance(COLOURS[ink]), luminance(COLOURS[ground])))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_people_who_want_no_motion_get_none() -> None:
    assert "prefers-reduced-motion: reduce" in PAGES["style.css"]
