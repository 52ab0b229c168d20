from pathlib import Path

import cv2
import numpy as np
import pytest

from models.ppyoloe.layout import open_dataset
from models.ppyoloe.voc import read_voc

SIZE = "<size><width>64</width><height>48</height><depth>3</depth></size>"


def thing(name: str, *corners: object, more: str = "") -> str:
    places = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False)
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in places)
    return f"<object><name>{name}</name>{more}<bndbox>{inside}</bndbox></object>"


def annotate(folder: Path, name: str, text: str) -> None:
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / f"{name}.xml").write_text(text, "utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in "abc":
        assert cv2.imwrite(str(tmp_path / f"images/{name}.png"), np.zeros((48, 64), np.uint8))
        annotate(tmp_path, name, f"<annotation>{SIZE}</annotation>")
    (tmp_path / "label_list.txt").write_text("open\nshort\n")
    return tmp_path


def listing(folder: Path, *names: str, file: str = "train.txt") -> Path:
    rows = "".join(f"images/{name}.png annotations/{name}.xml\n" for name in names)
    (folder / file).write_text(rows)
    return folder / file


def faults(path: Path) -> list[str]:
    return read_voc(path)[1]


def test_pictures_and_boxes(folder: Path) -> None:
    hard = thing("open", 1, 2, 64.5, 40, more="<difficult>1</difficult>")
    text = f'<?xml version="1.0" encoding="GBK"?><annotation>{SIZE}{thing("short", 5, 6, 9, 11)}'
    annotate(folder, "a", f"{text}{hard}</annotation>")
    dataset, said = read_voc(listing(folder, "a", "b"))
    assert said == []
    assert dataset.labels == ("open", "short")
    one, other = dataset.pictures
    assert (one.id, one.path, one.width, one.height) == (1, folder / "images/a.png", 64, 48)
    assert one.boxes.tolist() == [[5, 6, 9, 11], [1, 2, 64, 40]]
    assert (one.classes.tolist(), one.crowd.tolist()) == ([1, 0], [False, False])
    assert other.boxes.shape == (0, 4)


def test_all_faults_are_named_at_once(folder: Path) -> None:
    (folder / "label_list.txt").write_text(f"open\n\nopen\n{'n' * 65}\n")
    boxes = thing("spur", 1, 1, 9, 9) + thing("open", 5, 5, 5, 9) + thing("open", 1, 1, 99, 9)
    boxes += thing("open", "x", 1, 2, 3) + thing("open", "nan", 1, 2, 3) + thing("open", 1, 2, 3)
    annotate(folder, "a", f"<annotation>{SIZE}{boxes}</annotation>")
    annotate(
        folder, "b", "<annotation><size><width>0</width><height>4</height></size></annotation>"
    )
    annotate(folder, "c", "<annotation>")
    path = listing(folder, "a", "b", "c", "gone", "a")
    with path.open("a") as file:
        file.write("images/a.png\n")
    found = [line.removeprefix(f"{folder}/") for line in faults(path)]
    assert [line.split(": ")[0] for line in found] == [
        "label_list.txt:3",
        "label_list.txt:4",
        *["annotations/a.xml"] * 6,
        "annotations/b.xml",
        "annotations/c.xml",
        "train.txt:4",
        "annotations/gone.xml",
        "train.txt:5",
        "train.txt:6",
    ]
    for line, reason in zip(
        found,
        (
            "class open is named twice",
            "must be 1 to 64 printable characters",
            "object 1: spur: not in label_list.txt",
            "object 2: box is 0x4 pixels",
            "object 3: box 1, 1 to 99, 9 lies outside the picture of 64x48",
            "object 4: bndbox/xmin is x: must be a number",
            "object 5: bndbox/xmin is nan: must be a finite number",
            "object 6: bndbox/ymax is missing",
            "size is 0x4: sides must be 1 to 16384",
            "is no XML",
            "no such image file",
            "cannot be read",
            "images/a.png is on line 1 already",
            "must be `IMAGE XML`",
        ),
        strict=True,
    ):
        assert reason in line


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>'


@pytest.mark.parametrize("text", [BOMB, FILE, "<!--" + BOMB])
def test_entities_are_refused_unparsed(folder: Path, text: str) -> None:
    annotate(folder, "a", text)
    (fault,) = faults(listing(folder, "a"))
    assert "a.xml: has a document type" in fault


def test_entities_in_another_encoding_are_refused_too(folder: Path) -> None:
    (folder / "annotations/a.xml").write_bytes(BOMB.encode("utf-16"))
    (fault,) = faults(listing(folder, "a"))
    assert "a.xml: cannot be read (not UTF-8)" in fault


def test_nesting_without_end_is_a_fault(folder: Path) -> None:
    annotate(folder, "a", "<a>" * 200_000 + "</a>" * 200_000)
    (fault,) = faults(listing(folder, "a"))
    assert "size/width is missing" in fault


@pytest.mark.parametrize("row", ["images/\0.png x.xml", f"{'n' * 5000}.png x.xml", "a b c"])
def test_a_row_that_names_no_files_is_a_fault(folder: Path, row: str) -> None:
    (folder / "train.txt").write_text(row)
    found = faults(folder / "train.txt")
    assert found
    assert max(map(len, found)) < 300


@pytest.mark.parametrize("file", ["train.txt", "label_list.txt"])
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xff"])
def test_an_empty_file_or_one_that_is_no_text_is_refused(
    folder: Path, file: str, content: bytes
) -> None:
    path = listing(folder, "a")
    (folder / file).write_bytes(content)
    (fault,) = faults(path)
    assert str(folder / file) in fault


def test_a_folder_of_voc_files(folder: Path) -> None:
    annotate(folder, "a", f"<annotation>{SIZE}{thing('short', 5, 6, 9, 11)}</annotation>")
    listing(folder, "a")
    listing(folder, "b", "c", file="val.txt")
    splits = open_dataset(folder)
    assert splits.val is not None
    assert (len(splits.train.pictures), len(splits.val.pictures)) == (1, 2)
