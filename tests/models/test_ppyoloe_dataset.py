import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError
from models.ppyoloe.coco import load_coco
from models.ppyoloe.dataset import Dataset, Picture, check_pictures
from models.ppyoloe.layout import open_dataset

Json = dict[str, Any]


def board(path: Path, width: int = 64, height: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), 128, np.uint8))
    return path


def image(number: int = 1, name: str = "a.png") -> Json:
    return {"id": number, "file_name": name, "width": 64, "height": 48}


def box(number: int, *xywh: float, image: int = 1, category: int = 1, **more: Any) -> Json:
    return {"id": number, "image_id": image, "category_id": category, "bbox": [*xywh], **more}


def coco(images: Sequence[Json], annotations: Sequence[Json], names: str = "open short") -> Json:
    categories = [{"id": i, "name": name} for i, name in enumerate(names.split(), 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def faults(path: Path, images: Path) -> list[str]:
    """What is wrong, without the file's name, which every line begins with."""
    with pytest.raises(InputError) as caught:
        load_coco(path, images)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines), lines
    return [line.removeprefix(f"{path}: ") for line in lines]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        board(tmp_path / "images" / name)
    return tmp_path / "images"


def test_pictures_and_boxes(tmp_path: Path, images: Path) -> None:
    document = coco(
        [image(7, "b.png"), image(3)],
        [
            box(1, 10, 20, 5, 6, image=7, category=2),
            box(2, 0, 0, 64, 48, image=7, iscrowd=1),
            box(3, 1.5, 2.5, 3.25, 4, image=7),
        ],
    )
    dataset = load_coco(write(tmp_path / "x.json", document), images)
    assert dataset.labels == ("open", "short")
    one, other = dataset.pictures
    assert (one.id, one.path, one.width, one.height) == (7, images / "b.png", 64, 48)
    assert one.boxes.dtype == np.float32
    assert one.boxes.tolist() == [[10, 20, 15, 26], [0, 0, 64, 48], [1.5, 2.5, 4.75, 6.5]]
    assert (one.classes.tolist(), one.crowd.tolist()) == ([1, 0, 0], [False, True, False])
    assert (other.boxes.shape, other.classes.shape, other.crowd.shape) == ((0, 4), (0,), (0,))
    assert (one.defective, other.defective) == (True, False)


def test_classes_stand_in_the_order_of_their_ids(tmp_path: Path, images: Path) -> None:
    document = coco([image()], [box(1, 1, 1, 2, 2, category=9)])
    document["categories"] = [{"id": 40, "name": "spur"}, {"id": 9, "name": "open"}]
    dataset = load_coco(write(tmp_path / "x.json", document), images)
    assert dataset.labels == ("open", "spur")
    assert dataset.pictures[0].classes.tolist() == [0]


def test_a_crowd_alone_is_no_defect(tmp_path: Path, images: Path) -> None:
    document = coco([image()], [box(1, 1, 1, 9, 9, iscrowd=1)])
    assert not load_coco(write(tmp_path / "x.json", document), images).pictures[0].defective


def test_boxes_reaching_out_by_a_pixel_are_clipped(tmp_path: Path, images: Path) -> None:
    document = coco([image()], [box(1, -1, -0.5, 10, 10), box(2, 60, 40, 5, 9)])
    (picture,) = load_coco(write(tmp_path / "x.json", document), images).pictures
    assert picture.boxes.tolist() == [[0, 0, 9, 9.5], [60, 40, 64, 48]]


def test_all_faults_are_named_at_once(tmp_path: Path, images: Path) -> None:
    document = coco(
        [
            image(1),
            image(1, "b.png"),
            image(3, "./a.png"),
            image(4, "gone.png"),
            image(5, "c.png") | {"width": "64"},
        ],
        [
            box(1, 5, 5, 3, 0),
            box(2, 5, 5, -3, 4),
            box(3, 60, 5, 9, 9),
            box(4, 5, 5, float("nan"), 9),
            box(5, 5, 5, float("inf"), 9),
            box(6, 5, 5, 9, 9, category=8),
            box(7, 5, 5, 9, 9, image=99),
            box(7, 5, 5, 9, 9),
            box(9, 5, 5, 9),
            box(10, 5, 5, 9, 9, image=5),
            {"id": 11},
        ],
        "open short open",
    )
    found = faults(write(tmp_path / "x.json", document), images)
    assert [line.partition(": ")[0] for line in found] == [
        "image 1",
        "image 5",
        "annotation 4",
        "annotation 5",
        "annotation 7",
        "annotation 9",
        *["annotation 11"] * 3,
        "category 3",
        "image 3",
        "image 4",
        "annotation 1",
        "annotation 2",
        "annotation 3",
        "annotation 6",
        "annotation 7",
    ]
    said = "\n".join(found)
    for reason in (
        "image 1: this id is given twice: ids must be unique",
        "image 5: width: must be a valid integer",
        "annotation 4: bbox.2: must be a finite number",
        "category 3: open is category 1 already: name once",
        "image 3: a.png is image 1 already: name once",
        f"image 4: {images / 'gone.png'}: no such image file",
        "annotation 1: box is 3x0 pixels: must have an area (image 1, a.png)",
        "annotation 2: box is -3x4 pixels: must have an area",
        "annotation 3: box 60, 5 to 69, 14 lies outside the picture of 64x48: ",
        "annotation 6: category 8 is not in categories",
        "annotation 7: image 99 is not in images",
    ):
        assert reason in said


def test_ten_thousand_faults_are_two_hundred_lines_and_a_count(
    tmp_path: Path, images: Path
) -> None:
    document = coco([image()], [box(n, 5, 5, 0, 0) for n in range(10_000)])
    with pytest.raises(InputError) as caught:
        load_coco(write(tmp_path / "x.json", document), images)
    lines = str(caught.value).splitlines()
    assert len(lines) == 201
    assert lines[-1] == "and 9800 more faults"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"images",
        b"[]",
        b"3",
        b"{}",
        b'{"images": {}}',
        b"[" * 100_000,
        b'{"images": [%s]}' % (b"9" * 5000),
        b'{"images": [], "annotations": [], "categories": []}',
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert faults(tmp_path / "x.json", tmp_path)


@pytest.mark.parametrize("name", ["gone.json", "folder.json", "pipe.json", "n" * 300])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    assert len(faults(tmp_path / name, tmp_path)) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["id", "bbox", "file_name", "name", "width"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(images=st.lists(JSON, max_size=3), boxes=st.lists(JSON, max_size=3), cats=JSON)
def test_whatever_stands_in_the_file_it_is_data_or_faults(
    tmp_path_factory: pytest.TempPathFactory, images: list[Any], boxes: list[Any], cats: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz"
    board(folder / "images/a.png")
    document = coco([image(), *images], [box(1, 1, 1, 2, 2), *boxes])
    document["categories"] = [*document["categories"], cats]
    path = write(folder / "x.json", document)
    try:
        dataset = load_coco(path, folder / "images")
    except InputError as error:
        said = str(error).splitlines()
    else:
        said = [f"{path}: {dataset.pictures[0].boxes.tolist()}"]
    assert said
    assert all(line.startswith(f"{path}: ") for line in said)


@pytest.mark.parametrize("name", ["a\nb.png", "a\0b.png", "\ud800.png", "n" * 5000])
def test_a_name_that_no_file_has_is_a_fault_of_one_line(tmp_path: Path, name: str) -> None:
    document = coco([image(1, name)], [])
    (fault,) = faults(write(tmp_path / "x.json", document), tmp_path)
    assert fault.startswith("image 1: ")
    assert len(fault) < 200


@pytest.mark.parametrize("name", ["a.png", "images/a.png"])
@pytest.mark.parametrize("images", ["images", "nowhere", "."])
def test_images_are_found_beside_the_file_too(tmp_path: Path, name: str, images: str) -> None:
    there = board(tmp_path / name)
    path = write(tmp_path / "x.json", coco([image(1, name)], []))
    (picture,) = load_coco(path, tmp_path / images).pictures
    assert picture.path.samefile(there)


def test_pictures_are_really_decoded(tmp_path: Path, images: Path) -> None:
    document = coco([image(1), image(2, "b.png"), image(3, "c.png")], [])
    board(images / "b.png", width=63)
    data = (images / "c.png").read_bytes()
    (images / "c.png").write_bytes(data[: len(data) // 2])
    seen: list[int] = []

    def progress(pictures: Sequence[Picture]) -> Iterable[Picture]:
        for picture in pictures:
            seen.append(picture.id)
            yield picture

    dataset = load_coco(write(tmp_path / "x.json", document), images)
    size, cut = check_pictures(dataset, progress)
    assert size.startswith(
        f"{images / 'b.png'}: image 2: is 63x48 pixels, but annotated as 64x48: "
    )
    assert cut.startswith(f"{images / 'c.png'}: not an image, or cut off: ")
    assert seen == [1, 2, 3]
    assert check_pictures(Dataset(dataset.labels, dataset.pictures[:1])) == []


def test_faults_of_annotations_and_of_pictures_are_named_in_one_go(
    tmp_path: Path, images: Path
) -> None:
    (images / "b.png").write_bytes(b"")
    train = [image(), image(2, "b.png"), image(3, "gone.png")]
    write(tmp_path / "train.json", coco(train, [box(1, 1, 1, 0, 9)]))
    write(tmp_path / "val.json", coco([image(1, "c.png")], [box(1, 1, 1, 9, 9, category=7)]))
    board(images / "c.png", width=99)
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path, iter)
    for line, reason in zip(
        str(caught.value).splitlines(),
        (
            "train.json: image 3: ",
            "train.json: annotation 1: ",
            "val.json: annotation 1: ",
            "b.png: not an image",
            "c.png: image 1: is 99x48",
        ),
        strict=True,
    ):
        assert reason in line


ONE, TWO = coco([image()], [box(1, 1, 1, 9, 9)]), coco([image(1, "b.png")], [])


@pytest.mark.parametrize(
    ("train", "val", "train_images", "val_images"),
    [
        (
            "annotations/instances_train2017.json",
            "annotations/instances_val2017.json",
            "train2017",
            "val2017",
        ),
        ("annotations/instances_train.json", "annotations/instances_val.json", "train", "val"),
        ("annotations/train.json", "annotations/valid.json", "images", "images"),
        ("annotations/instance_train.json", "annotations/instance_val.json", "images", "images"),
        ("trainval.json", "test.json", "images", "images"),
        ("train.json", "val.json", ".", "."),
    ],
)
def test_folders_of_coco_files(
    tmp_path: Path, train: str, val: str, train_images: str, val_images: str
) -> None:
    write(tmp_path / train, ONE)
    write(tmp_path / val, TWO)
    board(tmp_path / train_images / "a.png")
    board(tmp_path / val_images / "b.png")
    splits = open_dataset(tmp_path)
    assert [picture.path.name for picture in splits.train.pictures] == ["a.png"]
    assert splits.val is not None
    assert [picture.path.name for picture in splits.val.pictures] == ["b.png"]


def test_what_data_render_writes_is_one_set(tmp_path: Path) -> None:
    board(tmp_path / "images/a.png")
    write(tmp_path / "boards.json", coco([image(1, "images/a.png")], [box(1, 1, 1, 9, 9)]))
    splits = open_dataset(tmp_path)
    assert (len(splits.train.pictures), splits.val) == (1, None)


def test_a_folder_that_is_no_data_set_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"instances_train\*\.json.*trainval\.json.*train\.txt"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_dataset(tmp_path / "gone")


def test_faults_of_both_sets_are_named_at_once(tmp_path: Path, images: Path) -> None:
    write(tmp_path / "train.json", coco([image()], [box(1, 1, 1, 0, 9)]))
    write(tmp_path / "val.json", coco([image(1, "b.png")], [box(5, 1, 1, 9, 0)]))
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path)
    one, two = str(caught.value).splitlines()
    assert "train.json: annotation 1" in one
    assert "val.json: annotation 5" in two


def test_sets_that_do_not_go_together_are_refused(tmp_path: Path, images: Path) -> None:
    write(tmp_path / "train.json", coco([image(), image(2, "b.png")], []))
    write(tmp_path / "val.json", coco([image()], [], "open spur"))
    with pytest.raises(InputError) as caught:
        open_dataset(tmp_path)
    nothing, classes, shared = str(caught.value).splitlines()
    assert "train.json: not one defect is labelled" in nothing
    assert "classes open, spur, but" in classes
    assert "1 images are in" in shared


def test_two_files_that_fit_are_not_guessed_at(tmp_path: Path) -> None:
    for year in (2014, 2017):
        write(tmp_path / f"annotations/instances_train{year}.json", ONE)
    with pytest.raises(InputError, match="which of them is meant"):
        open_dataset(tmp_path)


def test_class_names_that_no_model_may_have_are_refused(tmp_path: Path, images: Path) -> None:
    document = coco([image()], [])
    names = ["open", "", " ", "o\npen", "n" * 65, 3]
    document["categories"] = [{"id": i, "name": name} for i, name in enumerate(names)]
    found = faults(write(tmp_path / "x.json", document), images)
    assert [line.split(":")[0] for line in found] == [f"category {n}" for n in (5, 1, 2, 3, 4)]
