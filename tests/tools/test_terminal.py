"""What an operator sees: verdict, fault and reason, in both languages, never to be confused."""

import io
import re

import pytest
from rich.console import Console
from verdict_lab import lab_verdict

from edge.judge import Judgement, Language, Reason
from edge.verdict import Outcome, rejected
from tools.terminal import KEPT, Terminal

WORDS = {"en": ("OK", "NG", "FAULT", "waiting"), "zh": ("合格", "不合格", "设备故障", "等待")}
GREEN, RED, YELLOW = "\x1b[1;37;42m", "\x1b[1;37;41m", "\x1b[1;30;43m"
LANGUAGES = pytest.mark.parametrize("language", ["en", "zh"])


OK = Outcome(Judgement(True, ()))
WRONG_LOT = Outcome(
    Judgement(False, (Reason("lot", "mismatch", {"read": "L2611B", "expected": "L2611A"}),))
)


class Screen:
    """A terminal of 80 columns and what stands on it."""

    def __init__(self, language: Language) -> None:
        console = Console(
            file=io.StringIO(), record=True, width=80, height=40, force_terminal=True,
            color_system="standard", legacy_windows=False,
        )  # fmt: skip
        self.console = console
        self.terminal = Terminal("pack-line-1", language, console)

    def shown(self, styles: bool = False) -> str:
        """The picture as it stands."""
        with self.terminal:
            self.console.export_text()  # whatever came before
            self.terminal.camera("none", "running", "")
        return self.console.export_text(styles=styles)


@pytest.fixture
def screen(language: Language) -> Screen:
    return Screen(language)


@LANGUAGES
def test_before_the_first_part_it_waits(screen: Screen, language: Language) -> None:
    shown = screen.shown()
    ok, ng, fault, waiting = WORDS[language]
    assert f"… {waiting}" in shown
    assert "pack-line-1" in shown
    assert not [word for word in (f"✔ {ok}", f"✘ {ng}", fault) if word in shown]


@LANGUAGES
def test_an_ok_part_is_green_and_has_no_reason(screen: Screen, language: Language) -> None:
    screen.terminal.verdict(lab_verdict(3, OK))
    shown = screen.shown(styles=True)
    assert re.search(re.escape(GREEN) + rf"[^\x1b]*✔ {WORDS[language][0]}", shown)
    assert RED not in shown
    assert YELLOW not in shown
    assert "top #3" in shown
    assert "123 ms" in shown


@LANGUAGES
def test_an_ng_part_is_red_and_says_why(screen: Screen, language: Language) -> None:
    screen.terminal.verdict(lab_verdict(4, WRONG_LOT))
    shown = screen.shown(styles=True)
    assert re.search(re.escape(RED) + rf"[^\x1b]*✘ {WORDS[language][1]}", shown)
    assert GREEN not in shown
    assert YELLOW not in shown
    why = {"en": "lot: read “L2611B”, expected “L2611A”", "zh": "lot：读到“L2611B”，应为“L2611A”"}
    assert shown.count(why[language]) == 2  # under the verdict, and in the list


@LANGUAGES
def test_a_fault_of_the_machine_is_not_a_verdict(screen: Screen, language: Language) -> None:
    screen.terminal.verdict(lab_verdict(1, OK))
    screen.terminal.camera("top", "lost", "no picture for 2 s")
    shown = screen.shown(styles=True)
    fault = f"⚠ {WORDS[language][2]}  top: no picture for 2 s"
    assert f"{YELLOW}{fault}" in shown
    assert shown.index(fault) < shown.index(GREEN)  # a bar of its own, above
    screen.terminal.camera("top", "running", "")
    assert "⚠" not in screen.shown()


@LANGUAGES
def test_a_part_without_a_picture_is_ng_and_says_why(screen: Screen, language: Language) -> None:
    screen.terminal.verdict(lab_verdict(1, rejected("no_frame", camera="top")))
    shown = screen.shown()
    assert f"✘ {WORDS[language][1]}" in shown
    why = {"en": "camera “top” gave no picture", "zh": "相机“top”没有图像"}
    assert why[language] in shown


@LANGUAGES
def test_counts_and_the_newest_rejected_parts(screen: Screen, language: Language) -> None:
    for number in range(1, 21):
        screen.terminal.verdict(lab_verdict(number, WRONG_LOT if number % 2 else OK))
    shown = screen.shown()
    ok, ng = WORDS[language][:2]
    assert f"20 · {ok} 10 · {ng} 10" in shown
    listed = [number for number in range(1, 21) if f"top #{number} " in shown.split("╯")[1]]
    assert listed == [9, 11, 13, 15, 17, 19]
    assert len(listed) == KEPT


def test_what_a_camera_says_is_shown_as_it_is() -> None:
    screen = Screen("en")
    screen.terminal.camera("top", "lost", "[red]rtsp://***@host[/red] [/]")
    assert "[red]rtsp://***@host[/red] [/]" in screen.shown()


@LANGUAGES
def test_a_fault_of_an_output_stands_until_it_is_gone(screen: Screen, language: Language) -> None:
    screen.terminal.verdict(lab_verdict(1, OK))
    screen.terminal.fault("modbus tcp://plc", "does not answer")
    assert f"⚠ {WORDS[language][2]}  modbus tcp://plc: does not answer" in screen.shown()
    screen.terminal.fault("modbus tcp://plc", None)
    assert "⚠" not in screen.shown()
