"""The page of a compression: whole, by itself, small, and true to its result."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from report_lab import accuracy, artefact, noise, print_changes, result, speed, square

from compress.report import Candidate, as_page, worst_changes, write_report
from compress.report.plots import front, pareto_plot, sensitivity_plot
from compress.report.words import duration, large
from compress.result import Change, LayerSensitivity, Mark, Result, Try
from models.errors import ImageError

VOID = {"img", "meta", "br"}
OPEN_ENDED = {"tr", "td", "th", "li", "p", "html"}


class Reader(HTMLParser):
    """Collects words and where attributes point, and minds that tags close."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.words: list[str] = []
        self.points_to: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(page.decode())
        self.close()
        assert [tag for tag in self.tags if tag not in OPEN_ENDED] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                self.points_to.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.tags[-1] != tag:
            assert self.tags.pop() in OPEN_ENDED
        self.tags.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.tags:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(of: Result) -> Reader:
    return Reader(as_page(of))


def plain(**more: Any) -> Result:
    """Without plots, which take most of the time."""
    return result(**({"artefacts": (), "tries": (), "sensitivities": ()} | more))


def detections(folder: Path, count: int, height: int = 600, width: int = 800) -> list[Candidate]:
    return [
        Candidate(
            f"board{number}.png",
            noise(folder / f"board{number}.png", height, width, number),
            (square(100, 100, label="hole"),),
            (square(101, 99, label="hole"),),
            (),
            1.0,
        )
        for number in range(count)
    ]


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    changes = worst_changes("x86-onnx int8", detections(tmp_path, 2))
    page = read(result(changes=changes))
    assert page.points_to
    for target in page.points_to:
        assert target.startswith("data:") or target.removeprefix("#") in page.ids
    assert len(page.ids) == len(set(page.ids))


def test_the_verdict_comes_first_and_figures_with_intervals() -> None:
    said = read(result())
    text = said.text
    assert text.index("Passed: every artefact") < text.index("What was asked")
    for words in (
        "91.4% (89.4 to 93.4)",  # of the INT8 file
        "recall 45.7%",
        "0.44% (0.04 to 0.84)",
        "3.10 MB (31%)",
        "1.5 G (54%)",
        "2.30x (2.25x by the clock)",
        "3.2e-02 FP32",
        "214 M (27%)",
        "Paddle's fake-quant simulation",
        "loses 5.20%, more than the gate lets it",
        "88 operators became 48",
        "lineguard compress rec.toml --data wire --out out",
    ):
        assert words in text


def test_what_was_not_measured_is_not_said_to_have_passed() -> None:
    text = read(plain(artefacts=(artefact("arm64-lite int8", 5),))).text
    assert "not measured" in text
    assert ">held<" not in as_page(plain(artefacts=(artefact("a b", 5),))).decode()


def test_a_quick_run_says_so() -> None:
    asked = result().asked.model_copy(update={"quick": True})
    assert "too few pictures" in read(plain(asked=asked)).text


def test_strange_names_stay_text(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>&'\""
    changes = print_changes(tmp_path, [(evil, evil, evil[1:], 1.0)])
    changes = changes.model_copy(
        update={"worst": (changes.worst[0].model_copy(update={"key": evil}),), "artefact": evil}
    )
    data = json.loads(plain(changes=changes).as_json().decode().replace("rec-wire", "rec<script>"))
    given = Result.model_validate_json(json.dumps(data))
    names = [LayerSensitivity(stage="quantise", layer=evil, points=((8, 1.0),))]
    page = as_page(given.model_copy(update={"sensitivities": tuple(names), "notes": (evil,)}))
    assert b"<script" not in page
    assert evil in Reader(page).text


def test_what_differs_from_the_truth_is_marked(tmp_path: Path) -> None:
    changes = print_changes(tmp_path, [("ABC-12", "ABC-12", "A8C-1", 1.0), ("Q", "Q", "", 1.0)])
    page = as_page(plain(changes=changes)).decode()
    assert "A<mark>8</mark>C-1" in page
    assert re.search(r'<mark title="2 is missing">', page)
    assert '<mark title="Q is missing">' in page


@pytest.mark.slow
def test_a_page_full_of_noise_stays_below_3_mb(tmp_path: Path) -> None:
    changes = worst_changes("x86-onnx int8", detections(tmp_path, 30))
    assert len(changes.worst) == 24
    layers = tuple(
        LayerSensitivity(stage="prune", layer=f"l{n}", points=((0.1, n / 9), (0.2, n)))
        for n in range(300)
    )
    page = as_page(plain(changes=changes, sensitivities=layers))
    assert len(page) < 3e6


def test_the_same_result_gives_the_same_bytes() -> None:
    assert as_page(result()) == as_page(result())


def test_the_least_that_can_be_known_makes_a_page(tmp_path: Path) -> None:
    bare = Result(
        lineguard="0", started="now", seconds=0, asked=result().asked, passed=False,
        original=artefact("source fp32", 0),
    )  # fmt: skip
    path = tmp_path / "new/report.html"
    write_report(bare, path)
    assert "Failed at a stage" in Reader(path.read_bytes()).text


def answers(*losses: tuple[str, str, float]) -> list[tuple[Any, Any, Any, float]]:
    return [("A", before, after, loss) for before, after, loss in losses]


def test_changes_are_counted_and_the_worst_come_first(tmp_path: Path) -> None:
    changes = print_changes(
        tmp_path,
        answers(("A", "A", 0), ("A", "B", 0.5), ("B", "A", -1), ("B", "C", 0), ("A", "", 1)),
    )
    assert (changes.worse, changes.better, changes.other, changes.same) == (2, 1, 1, 1)
    assert [change.key for change in changes.worst] == ["crop4.png", "crop1.png", "crop3.png"]


def test_marks_that_moved_are_no_change(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 90, 120)
    same = Candidate("a", path, (), (square(5, 5, label="x"),), (square(9, 5, label="x"),), 0)
    other = Candidate("b", path, (), (square(5, 5, label="x"),), (square(5, 5, label="y"),), 0)
    changes = worst_changes("x", [same, other])
    assert (changes.same, changes.other) == (1, 1)


def test_a_lost_defect_of_a_large_board_is_cut_out_at_full_scale(tmp_path: Path) -> None:
    image = np.full((1500, 3000, 3), 90, np.uint8)
    image[700:720, 2500:2520] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "board.png"), image)
    kept, lost = square(40, 40, label="hole"), square(2500, 700, label="hole")
    candidate = Candidate("b", tmp_path / "board.png", (kept, lost), (kept, lost), (kept,), 1)
    (change,) = worst_changes("x", [candidate]).worst
    assert isinstance(change.before[1], Mark)
    (x, y), *_ = change.before[1].points
    shown = cv2.imdecode(np.frombuffer(change.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (480, 480, 3)
    assert shown[int(y) + 10, int(x) + 10, 2] > 200
    assert shown[int(y) + 10, int(x) - 10, 2] < 120


def test_a_long_line_shrinks_and_keeps_its_shape(tmp_path: Path) -> None:
    path = noise(tmp_path / "long.png", 100, 2000)
    (change,) = worst_changes("x", [Candidate("l", path, "A", "A", "B", 1)]).worst
    shown = cv2.imdecode(np.frombuffer(change.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (24, 480, 3)


def test_a_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png"):
        worst_changes("x", [Candidate("l", tmp_path / "gone.png", "A", "A", "B", 1)])


def test_a_change_without_its_picture_still_shows(tmp_path: Path) -> None:
    change = Change(key="k", truth=(square(1, 1),), before=(), after="", loss=1)
    changes = print_changes(tmp_path, answers(("A", "B", 1)))
    assert "k loses 1" in read(plain(changes=changes.model_copy(update={"worst": (change,)}))).text


def test_the_front_holds_what_nothing_beats() -> None:
    points = [(1.0, 0.9), (0.5, 0.8), (0.6, 0.7), (0.5, 0.85), (0.3, 0.2), (0.9, 0.9)]
    assert front(points) == [(0.3, 0.2), (0.5, 0.85), (0.9, 0.9)]


def test_a_plot_of_the_original_alone_is_left_out() -> None:
    assert pareto_plot(result(artefacts=(), tries=())) == ""
    assert pareto_plot(result()) != ""


def test_an_interval_that_lies_beside_its_value_is_drawn() -> None:
    odd = accuracy(0.9).model_copy(update={"low": 0.91, "high": 0.95})
    tried = Try(name="t", stage="tune", outcome="passed", accuracy=odd, speed=speed(1.1))
    assert pareto_plot(result(tries=(tried,))) != ""


def test_layers_without_points_are_left_out() -> None:
    assert sensitivity_plot([LayerSensitivity(stage="prune", layer="a", points=())]) == ""


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "–"), (7, "7"), (999, "999"), (1000, "1 k"), (778_912_345, "779 M"), (2.8e9, "2.8 G"),
     (999_999, "1 M"), (999_600_000, "1 G"), (1_200_000_000, "1.2 G")],
)  # fmt: skip
def test_large_numbers_have_three_digits(number: int, said: str) -> None:
    assert large(int(number)) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.21, "4.2 s"), (200, "3 min 20 s"), (3840, "1 h 04 min")]
)
def test_durations_read_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
