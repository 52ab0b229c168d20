"""`lineguard data render` and `lineguard eval ocr`: from rendered labels to a score."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import LOT, files, lineguard, picture, refused, save

SQUARE = [[10, 10], [200, 10], [200, 60], [10, 60]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small set of every kind with print."""
    here = tmp_path_factory.mktemp("rendered")
    kinds = [arg for kind in ("carton", "cap", "marker") for arg in ("--kind", kind)]
    done = lineguard("data", "render", "labels", *kinds, "--count", 4, "--ng", 0, cwd=here)
    assert (done.code, done.err.strip()) == (0, "")
    assert done.out == "labels: 12 parts, 28 crops, 8 regions, 0 defects\n"
    yield here
    assert {path.name for path in here.iterdir()} == {"labels"}  # scoring writes nothing


def test_rendered_photos_are_found_and_read(rendered: Path) -> None:
    score = lineguard("eval", "ocr", "--labels", "labels/det.txt", "--json", cwd=rendered).json
    assert (score["mode"], score["images"], score["lines"]) == ("page", 12, 28)
    assert score["exact"] >= 0.9
    assert score["ned"] >= score["exact"]
    assert score["hmean"] >= 0.9


def test_rendered_crops_are_read(rendered: Path) -> None:
    score = lineguard("eval", "ocr", "--labels", "labels/rec.txt", "--json", cwd=rendered).json
    assert (score["mode"], score["images"], score["lines"]) == ("label", 28, 28)
    assert score["exact"] >= 0.9


def test_photos_are_read_at_their_places_without_a_detector(rendered: Path) -> None:
    done = lineguard(
        "eval", "ocr", "--labels", "labels/det.txt", "--mode", "label", "--det", "none.onnx",
        "--json", cwd=rendered,
    )  # fmt: skip
    assert done.json["exact"] >= 0.9
    assert "hmean" not in done.json


def test_the_score_counts_what_is_wrong(tmp_path: Path) -> None:
    save(tmp_path / "a.png", picture())
    (tmp_path / "rec.txt").write_text(f"a.png\t{LOT}\na.png\tLOT L2611B\n")
    done = lineguard("eval", "ocr", "--labels", "rec.txt", "--mode", "fixed", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "exact      0.5000\n" in done.out
    assert "ned        0.9444\n" in done.out  # one of the nine letters of one of two lines


def line(text: str = "X", points: object = SQUARE) -> str:
    return json.dumps([{"transcription": text, "points": points}])


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ("a.png LOT\nnowhere.png\tX\na.png\tX\n", {1: "no tab", 2: "no such image"}),
        (f'a.png\t{line()}\na.png\t[{{"points": []}}]\n', {2: "'transcription'"}),
        (f"a.png\t{line(points=[[0, 0], [1, 1]])}\n", {1: "are no polygon"}),
        (f"a.png\t{line(points=[[0, 0], [400, 0], [400, 0], [0, 0]])}\n", {1: "not one pixel"}),
        (f"a.png\t{line(points=[[0, 0], [1e9, 0], [1e9, 9], [0, 9]])}\n", {1: "outside"}),
        (f"a.png\t{line(points=[[10**400, 0], [1, 0], [1, 1]])}\n", {1: "too large"}),
        (f"a.png\t{line(points=None)}\n", {1: "are no polygon"}),
        ("a.png\t[{" + '"a":[' * 100_000 + "\n", {1: "not a list"}),
        ("a.png\t[{broken\n", {1: "not a list"}),
    ],
)
def test_a_bad_label_file_is_refused_by_line(
    tmp_path: Path, rows: str, faults: dict[int, str]
) -> None:
    save(tmp_path / "a.png", picture())
    (tmp_path / "bad.txt").write_text(rows)
    errors = refused("eval", "ocr", "--labels", "bad.txt", "--json", cwd=tmp_path)
    assert len(errors) == len(faults)
    for error, (number, words) in zip(errors, faults.items(), strict=True):
        assert error.startswith(f"bad.txt:{number}: ")
        assert words in error


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("nowhere.txt", None, "cannot be read (No such file or directory)"),
        ("empty.txt", b"\n", "holds no labels"),
        ("coded.txt", b"a.png\tLOT \xff\n", "not UTF-8 at byte 10"),
        ("/dev/zero", None, "is no file"),
        ("mixed.txt", f"a.png\tX\na.png\t{line()}\n".encode(), "crops and photos in one file"),
    ],
)
def test_what_is_no_label_file_is_refused(
    tmp_path: Path, name: str, data: bytes | None, words: str
) -> None:
    save(tmp_path / "a.png", picture())
    if data is not None:
        (tmp_path / name).write_bytes(data)
    (error,) = refused("eval", "ocr", "--labels", name, cwd=tmp_path)
    assert error.startswith(f"{name}: ")
    assert words in error


def test_a_labelled_image_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "rec.txt").write_text("a.png\tX\n")
    (error,) = refused("eval", "ocr", "--labels", "rec.txt", cwd=tmp_path)
    assert error.startswith("a.png: not an image")


def test_rendering_leaves_a_full_folder_alone(tmp_path: Path) -> None:
    save(tmp_path / "mine/a.png", picture())
    (error,) = refused("data", "render", "mine", "--count", 1, cwd=tmp_path)
    assert error == "mine: is there already: choose a new or an empty folder"


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("new", "--kind", "bottle"), 2, "use one of carton, cap, marker, board"),
        (("new", "--width", 10), 2, "--width and --height go together"),
        (("/proc/new",), 3, "/proc/new: cannot be made"),
    ],
)
def test_what_cannot_be_rendered(
    tmp_path: Path, args: tuple[object, ...], code: int, words: str
) -> None:
    (error,) = refused("data", "render", *args, "--count", 1, cwd=tmp_path, code=code)
    assert words in error


def test_json_says_what_was_made_and_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    args = ("--kind", "board", "--count", 2, "--ng", 1, "--seed", 3, "--json")
    one = lineguard("data", "render", "one", *args, cwd=tmp_path).json
    two = lineguard("data", "render", "two", *args, cwd=tmp_path).json
    assert one == {**two, "folder": "one"}
    assert (one["parts"], one["crops"]) == (2, 0)
    assert one["defects"] >= 2
    assert files(tmp_path / "one") == files(tmp_path / "two")
