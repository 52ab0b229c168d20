"""Reasons in two languages."""

from __future__ import annotations

import ast
import logging
import string
from pathlib import Path

import pytest

import edge.judge
from edge.judge import TEMPLATES, Reason

MACHINE = {
    "bad_frame",
    "challenge_due",
    "engine_failed",
    "late",
    "no_frame",
    "no_picture",
    "overrun",
    "stopped",
    "too_close",
}


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


@pytest.mark.parametrize("code", TEMPLATES)
def test_both_languages_are_complete_and_alike(code: str) -> None:
    english, chinese = TEMPLATES[code]
    assert fields(english) == fields(chinese)
    assert english.isprintable()
    assert chinese.isprintable()
    assert english.isascii() or "“" in english
    assert any("一" <= char <= "鿿" for char in chinese)


@pytest.mark.parametrize("code", TEMPLATES)
def test_every_reason_is_said_in_full(code: str) -> None:
    names = fields(TEMPLATES[code][0]) - {"rule"}
    reason = Reason("lot", code, {name: f"<{name}>" for name in names})
    for language in ("en", "zh"):
        text = reason.text(language)
        assert all(f"<{name}>" in text for name in names)
        assert ("lot" in text) == ("{rule}" in TEMPLATES[code][0])
        assert "{" not in text


def test_the_machine_has_its_codes() -> None:
    assert set(TEMPLATES) >= MACHINE
    assert all("{rule}" not in TEMPLATES[code][0] for code in MACHINE)


def test_a_reason_that_lacks_a_value_is_still_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert Reason("lot", "mismatch").text() == "lot mismatch"
        assert Reason("", "no such code").text("zh") == "no such code"
    assert len(caplog.records) == 2


def test_braces_in_print_are_just_print() -> None:
    assert Reason("{x}", "mismatch", {"read": "{0}", "expected": "%s"}).text() == (
        "{x}: read “{0}”, expected “%s”"
    )


def test_every_reason_that_the_rules_give_has_a_template_with_its_values() -> None:
    """Read the calls ``Reason(name, "code", {...})`` out of the source."""
    given: set[str] = set()
    for file in Path(edge.judge.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Reason"):
                continue
            code = node.args[1]
            assert isinstance(code, ast.Constant)
            given.add(str(code.value))
    assert given == set(TEMPLATES) - MACHINE


def test_all_is_public() -> None:
    public = {name for name in vars(edge.judge) if not name.startswith("_")}
    modules = {path.stem for path in Path(edge.judge.__file__).parent.glob("*.py")}
    assert public - modules - {"annotations"} == set(edge.judge.__all__) - modules
