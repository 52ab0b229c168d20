"""Pictures cut into parts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InputError
from models.ppyoloe.coco import load_coco
from models.ppyoloe.dataset import Dataset, Picture
from tools.cut import SEEN, UNSEEN, Piece, cut_dataset, cut_picture

Box = tuple[float, float, float, float]


def picture(
    *boxes: Box, size: tuple[int, int] = (64, 64), crowd: bool = False, path: str = "board.png"
) -> Picture:
    return Picture(
        id=7,
        path=Path(path),
        width=size[0],
        height=size[1],
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.arange(len(boxes), dtype=np.int64),
        crowd=np.full(len(boxes), crowd),
    )


def test_a_defect_goes_with_the_part_that_shows_it() -> None:
    pieces = list(cut_picture(picture((40, 4, 50, 12)), 32))
    assert [piece.box for piece in pieces if piece] == [
        (0, 0, 32, 32), (32, 0, 64, 32), (0, 32, 32, 64), (32, 32, 64, 64),
    ]  # fmt: skip
    assert [len(piece.boxes) for piece in pieces if piece] == [0, 1, 0, 0]
    assert pieces[1] is not None
    assert pieces[1].boxes.tolist() == [[8, 4, 18, 12]]
    assert pieces[1].classes.tolist() == [0]


def test_parts_that_cut_a_defect_in_two_are_left_out() -> None:
    assert [piece is None for piece in cut_picture(picture((28, 4, 36, 12)), 32)] == [
        True, True, False, False,
    ]  # fmt: skip


def test_what_just_reaches_over_the_border_is_clipped() -> None:
    pieces = list(cut_picture(picture((2, 4, 32.5, 12)), 32))
    assert pieces[0] is not None
    assert pieces[1] is not None
    assert pieces[0].boxes.tolist() == [[2, 4, 32, 12]]
    assert len(pieces[1].boxes) == 0


def test_a_crowd_spoils_its_part() -> None:
    pieces = list(cut_picture(picture((4, 4, 12, 12), crowd=True), 32))
    assert [piece is None for piece in pieces] == [True, False, False, False]


def test_a_picture_smaller_than_a_part_is_one_part() -> None:
    (piece,) = cut_picture(picture((1, 1, 9, 9), size=(40, 30)), 64)
    assert piece is not None
    assert piece.box == (0, 0, 40, 30)


@given(x=st.floats(0, 90), y=st.floats(0, 60), side=st.floats(1, 40), size=st.integers(32, 100))
def test_no_part_called_sound_shows_more_than_a_trace(
    x: float, y: float, side: float, size: int
) -> None:
    box = (x, y, min(x + side, 100.0), min(y + side, 70.0))
    area = (box[2] - box[0]) * (box[3] - box[1])
    for piece in cut_picture(picture(box, size=(100, 70)), size):
        if not isinstance(piece, Piece):
            continue
        x0, y0, x1, y1 = piece.box
        shown = max(0, min(x1, box[2]) - max(x0, box[0])) * max(
            0, min(y1, box[3]) - max(y0, box[1])
        )
        if len(piece.boxes):
            assert shown >= (SEEN - 1e-3) * area
            assert (piece.boxes >= 0).all()
            assert (piece.boxes <= [x1 - x0, y1 - y0] * 2).all()
        else:
            assert shown <= (UNSEEN + 1e-3) * area


def test_the_folder_is_a_data_set_again(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    assert cv2.imwrite(str(tmp_path / "board.png"), pixels)
    board = picture((40, 4, 50, 12), (4, 40, 12, 50), path=str(tmp_path / "board.png"))
    made = cut_dataset(Dataset(("open", "short"), (board,)), 32, tmp_path / "parts")
    assert (made.parts, made.defective, made.left_out) == (4, 2, 0)
    again = load_coco(tmp_path / "parts/parts.json", tmp_path / "parts/images")
    assert again.labels == ("open", "short")
    assert [each.classes.tolist() for each in again.pictures] == [[], [0], [1], []]
    corner = cv2.imread(str(again.pictures[3].path))
    assert corner is not None
    assert (corner == pixels[32:, 32:]).all()
    with pytest.raises(InputError, match="is there already"):
        cut_dataset(Dataset(("open", "short"), (board,)), 32, tmp_path / "parts")


def test_nothing_stays_of_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "board.png").write_text(json.dumps("no picture"))
    board = picture(path=str(tmp_path / "board.png"))
    with pytest.raises(InputError, match="not an image"):
        cut_dataset(Dataset(("open",), (board,)), 32, tmp_path / "parts")
    assert [path.name for path in tmp_path.iterdir()] == ["board.png"]
