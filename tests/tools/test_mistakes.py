from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import ImageError
from models.ppyoloe.dataset import Dataset, Picture, make_picture
from models.results import Defect
from tools.mistakes import BLUE, CAPTION, CELL, GREEN, RED, mistakes_sheet, worst_mistakes

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

HEAD = 24


def picture(folder: Path, number: int, *boxes: Box, size: int = 400) -> Picture:
    path = folder / f"{number}.png"
    assert cv2.imwrite(str(path), np.full((size, size, 3), 90, np.uint8))
    return make_picture(number, path, (size, size), boxes, [0] * len(boxes), [False] * len(boxes))


def defect(score: float, *box: float) -> Defect:
    return Defect("open", score, np.array(box, np.float32))


def has(cell: Image, colour: tuple[int, int, int], *at: tuple[int, int]) -> bool:
    """Whether all of ``(x, y)`` have the colour."""
    return all(tuple(cell[y, x].tolist()) == colour for x, y in at)


def cells(sheet: Image) -> list[Image]:
    high = CELL + CAPTION
    return [
        sheet[y : y + CELL, x : x + CELL]
        for y in range(HEAD, sheet.shape[0], high)
        for x in range(0, sheet.shape[1], CELL)
    ]


SMALL, LARGE, MIDDLE = (100, 100, 110, 110), (200, 200, 260, 260), (300, 300, 330, 330)


def test_missed_come_first_and_the_worst_of_them_before_the_others(tmp_path: Path) -> None:
    part = picture(tmp_path, 1, SMALL, LARGE, MIDDLE)
    found = {1: [defect(0.3, *MIDDLE), defect(0.6, 0, 0, 9, 9), defect(0.9, 50, 50, 60, 60)]}
    mistakes = worst_mistakes(Dataset(("open",), (part,)), found, 0.5)
    assert [(each.missed, each.score) for each in mistakes] == [
        (True, 0),
        (True, 0),
        (True, 0.3),
        (False, 0.9),
        (False, 0.6),
    ]
    assert [each.box.tolist() for each in mistakes[:3]] == [[*LARGE], [*SMALL], [*MIDDLE]]


def test_no_more_are_shown_than_a_page_has(tmp_path: Path) -> None:
    part = picture(tmp_path, 1, *[(n * 9, 0, n * 9 + 8, 8) for n in range(40)])
    found = {1: [defect(0.9, n * 9, 90, n * 9 + 8, 98) for n in range(40)]}
    mistakes = worst_mistakes(Dataset(("open",), (part,)), found, 0.5)
    assert [each.missed for each in mistakes] == [True] * 18 + [False] * 18
    assert mistakes_sheet(mistakes).shape == (HEAD + 6 * (CELL + CAPTION), 6 * CELL, 3)


def test_boxes_stand_where_they_are_at_full_scale(tmp_path: Path) -> None:
    part = picture(tmp_path, 1, (190, 190, 210, 210))
    found = {1: [defect(0.4, 190, 190, 210, 208), defect(0.8, 230, 190, 250, 210)]}
    mistakes = worst_mistakes(Dataset(("open",), (part,)), found, 0.5)
    missed, alarm = cells(mistakes_sheet(mistakes))[:2]
    # the middle of the missed one, 200, is the cell's middle, 80
    assert has(missed, GREEN, (70, 70), (90, 90), (70, 90))
    assert has(missed, BLUE, (80, 88))
    assert has(missed, RED, (110, 80), (130, 80))
    assert has(missed, (90, 90, 90), (80, 80))
    assert has(alarm, RED, (70, 70), (90, 90))
    assert has(alarm, GREEN, (30, 80), (50, 80))


@pytest.mark.parametrize("box", [(0, 0, 10, 10), (390, 390, 400, 400), (0, 195, 10, 205)])
def test_mistakes_at_the_border_are_shown_whole(tmp_path: Path, box: Box) -> None:
    part = picture(tmp_path, 1, box)
    (cell, *_) = cells(mistakes_sheet(worst_mistakes(Dataset(("open",), (part,)), {}, 0.5)))
    assert (cell == GREEN).all(axis=2).sum() > 30
    assert not (cell[3:-3, 7:] == 128).all(axis=2).any()  # nothing but picture


def test_a_picture_smaller_than_a_cell_and_a_defect_larger_than_one(tmp_path: Path) -> None:
    parts = (
        picture(tmp_path, 1, (5, 5, 20, 20), size=40),
        picture(tmp_path, 2, (20, 30, 380, 370)),
    )
    mistakes = worst_mistakes(Dataset(("open",), parts), {}, 0.5)
    large, small = cells(mistakes_sheet(mistakes))[:2]
    assert has(small, GREEN, (5, 5), (20, 20))
    assert has(small, (128, 128, 128), (100, 100))
    assert has(large, GREEN, (80, round(30 * 0.4)))  # 400 pixels of the picture in 160


def test_no_mistakes_are_a_sheet_too() -> None:
    assert mistakes_sheet([]).shape == (HEAD, 6 * CELL, 3)


def test_a_picture_that_is_gone_is_an_error(tmp_path: Path) -> None:
    part = picture(tmp_path, 1, SMALL)
    mistakes = worst_mistakes(Dataset(("open",), (part,)), {}, 0.5)
    part.path.unlink()
    with pytest.raises(ImageError, match=r"1\.png"):
        mistakes_sheet(mistakes)
