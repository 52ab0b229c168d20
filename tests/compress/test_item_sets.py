"""The three sets of a recipe: kept apart, labelled, readable, and not blank."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from recipe_lab import board_data, folder_data, recipe, text_data

from compress.datasets import check_characters, check_readable, load_items, load_sets
from models.errors import InputError
from models.ppyoloe.dataset import Picture

REC = {
    "family": "ppocr_rec",
    "dictionary": "zoo:ppocr-keys",
    "calibration": [{"path": "rec/train.txt"}],
    "evaluation": [{"path": "rec/val.txt"}],
}


def test_label_files_are_read_with_groups_and_names(tmp_path: Path) -> None:
    sets = load_sets(recipe(**REC), text_data(tmp_path))
    evaluation = sets["evaluation"]
    assert len(evaluation.items) == 2
    assert {item.group for item in evaluation.items} == {"val"}
    assert all(item.key.startswith("rec/") for item in evaluation.items)
    assert all(isinstance(item.truth, str) for item in evaluation.items)
    assert sets["tuning"].items == ()


def test_the_hash_follows_pictures_and_labels(tmp_path: Path) -> None:
    folder = text_data(tmp_path)
    first = load_sets(recipe(**REC), folder)
    again = load_sets(recipe(**REC), folder)
    assert first["evaluation"].sha256 == again["evaluation"].sha256
    file = folder / "rec/val.txt"
    file.write_text(file.read_text("utf-8").replace("\t", "\tX", 1), "utf-8")
    changed = load_sets(recipe(**REC), folder)
    assert changed["evaluation"].sha256 != first["evaluation"].sha256
    assert changed["calibration"].sha256 == first["calibration"].sha256


def test_skip_and_count_of_one_file_keep_sets_apart(tmp_path: Path) -> None:
    folder = text_data(tmp_path)
    source = folder / "rec/val.txt"
    source.write_text(source.read_text("utf-8") + (folder / "rec/train.txt").read_text("utf-8"))
    apart = recipe(
        **REC
        | {
            "calibration": [{"path": "rec/val.txt", "count": 1}],
            "evaluation": [{"path": "rec/val.txt", "skip": 1}],
        }
    )
    sets = load_sets(apart, folder)
    assert len(sets["calibration"].items) == 1
    assert len(sets["evaluation"].items) == 3


def test_quick_takes_fewer(tmp_path: Path) -> None:
    folder = folder_data(tmp_path)
    raw = recipe(
        family="raw",
        input={"width": 32, "height": 32},
        calibration=[{"path": "calibration"}],
        evaluation=[{"path": "evaluation", "count": 5}],
        quick={"pictures": 3},
    )
    assert len(load_sets(raw, folder)["evaluation"].items) == 5
    quick = load_sets(raw, folder, quick=True)
    assert (len(quick["calibration"].items), len(quick["evaluation"].items)) == (2, 2)


def test_a_picture_in_two_sets_is_refused_whatever_its_name(tmp_path: Path) -> None:
    folder = text_data(tmp_path)
    name = (folder / "rec/val.txt").read_text("utf-8").partition("\t")[0]
    shutil.copy(folder / "rec" / name, folder / "rec/other.jpg")
    with (folder / "rec/train.txt").open("a") as file:
        file.write("other.jpg\tX\n")
    with pytest.raises(InputError) as error:
        load_sets(recipe(**REC), folder)
    assert f"{folder}/rec/other.jpg: of calibration, is {folder}/rec/{name} of" in str(error.value)
    assert 'overlap = "leave out"' in str(error.value)

    sets = load_sets(recipe(**REC, overlap="leave out"), folder)
    assert "rec/other.jpg" not in {item.key for item in sets["calibration"].items}
    assert f"rec/{name}" in {item.key for item in sets["evaluation"].items}


def test_sets_that_are_the_same_leave_nothing(tmp_path: Path) -> None:
    same = recipe(**REC | {"calibration": REC["evaluation"]}, overlap="leave out")
    with pytest.raises(InputError, match="nothing is left to learn from"):
        load_sets(same, text_data(tmp_path))


def test_one_blank_picture_cannot_calibrate(tmp_path: Path) -> None:
    folder = text_data(tmp_path)
    blank = folder / "rec/blank.png"
    assert cv2.imwrite(str(blank), np.full((48, 160, 3), 127, np.uint8))
    (folder / "rec/train.txt").write_text("blank.png\tA\n")
    with pytest.raises(InputError, match=r"blank\.png: nothing is to be seen on it.*take some"):
        load_sets(recipe(**REC), folder)


def test_characters_that_the_model_does_not_know_are_named(tmp_path: Path) -> None:
    items, _ = load_items(recipe(**REC), "evaluation", text_data(tmp_path))
    check_characters(items, ("", *"".join(str(item.truth) for item in items)), Path("keys.txt"))
    with pytest.raises(InputError) as error:
        check_characters(items, ("", "0", "1"), Path("keys.txt"))
    assert len(str(error.value).splitlines()) == 2
    assert "which keys.txt has not: mend the label" in str(error.value)


def test_a_detector_has_its_classes(tmp_path: Path) -> None:
    boards = recipe(
        family="ppyoloe",
        calibration=[{"path": "train.json"}],
        evaluation=[{"path": "val.json", "images": "images"}],
    )
    sets = load_sets(boards, board_data(tmp_path))
    assert sets["evaluation"].labels == ("red", "green", "blue")
    assert all(isinstance(item.truth, Picture) for item in sets["evaluation"].items)


def test_every_unreadable_picture_is_named(tmp_path: Path) -> None:
    items, _ = load_items(recipe(**REC), "evaluation", text_data(tmp_path))
    check_readable(items)
    for item in items:
        item.path.write_bytes(item.path.read_bytes()[:100])
    with pytest.raises(InputError) as error:
        check_readable(items)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"calibration": [{"path": "none.txt"}]}, r"none\.txt: cannot be read"),
        ({"calibration": [{"path": "det/train.txt"}]}, "labels photos, but ppocr_rec takes crops"),
        ({"calibration": [{"path": "rec/train.txt", "skip": 9}]}, "nothing is left: skip fewer"),
        ({"calibration": [{"path": "rec/train.txt", "images": "rec"}]}, "images = goes with"),
        ({"evaluation": [{"path": "rec"}]}, "nothing says what is right"),
        ({"calibration": [{"path": "empty"}]}, "no pictures in this folder"),
    ],
)
def test_unusable_sources_are_named(changed: dict[str, object], said: str, tmp_path: Path) -> None:
    folder = text_data(tmp_path)
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match=said):
        load_sets(recipe(**REC | changed), folder)
