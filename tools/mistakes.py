"""A contact sheet of a detector's worst mistakes: what to look at before blaming the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.images import load_image
from models.ppyoloe.dataset import Dataset, Picture
from models.ppyoloe.score import MATCH_IOU, compare, overlaps
from models.results import Defect

__all__ = ["Mistake", "mistakes_sheet", "worst_mistakes"]

CELL = 160
"""Pixels of the picture that a cell shows, at full scale; more only for a larger defect."""

CAPTION = 34
"""Pixels of the two lines below it."""

COLUMNS = 6

MARGIN = 1.5
"""A large defect is shown with this much of its surroundings, in its own sizes."""

LIMIT = 18
"""Missed defects on a sheet, and as many false alarms: three rows each."""

GREEN, RED, BLUE = (0, 170, 0), (40, 40, 230), (220, 120, 0)
"""BGR: labelled; found; found below the threshold."""

LEGEND = "green: labelled    red: found    blue: found below the threshold"


@dataclass(frozen=True, eq=False)
class Mistake:
    """One missed defect or false alarm.

    Attributes
    ----------
    picture
        Where.
    label
        The missed class, or the one that was found.
    box
        ``(4,) float32`` xyxy: the labelled box, or the found one.
    missed
        Else it is a false alarm.
    score
        Of the false alarm; of a missed defect the best score that anything of its class had at its
        place, 0 if nothing was there.
    truth, found, below
        ``(N, 4) float32`` of all that is labelled on the picture, and of what was found there with
        the threshold's score; and of what was found at the place of a missed defect below it.
    """

    picture: Picture
    label: str
    box: NDArray[np.float32]
    missed: bool
    score: float
    truth: NDArray[np.float32]
    found: NDArray[np.float32]
    below: NDArray[np.float32]

    @property
    def area(self) -> float:
        """Square pixels."""
        x0, y0, x1, y1 = (float(value) for value in self.box)
        return (x1 - x0) * (y1 - y0)


def worst_mistakes(
    dataset: Dataset, found: Mapping[int, Sequence[Defect]], threshold: float
) -> list[Mistake]:
    """Missed defects, those with the lowest score and of them the largest first; then false alarms.

    Parameters
    ----------
    found
        What was found, by picture id, also below ``threshold``.

    Returns
    -------
    Up to eighteen of each.
    """
    missed: list[Mistake] = []
    alarms: list[Mistake] = []
    for picture in dataset.pictures:
        every = found.get(picture.id, ())
        sure = [each for each in every if each.score >= threshold]
        unsure = [each for each in every if each.score < threshold]
        outcome = compare(picture, dataset.labels, sure)
        boxes = _boxes(sure)
        for index in outcome.missed:
            label, box = dataset.labels[picture.classes[index]], picture.boxes[index]
            near = [each for each in unsure if each.label == label and _same_place(each, box)]
            score = max((each.score for each in near), default=0.0)
            missed.append(
                Mistake(picture, label, box, True, score, picture.boxes, boxes, _boxes(near))
            )
        for index in outcome.false_alarms:
            alarm = sure[index]
            alarms.append(
                Mistake(
                    picture,
                    alarm.label,
                    alarm.box,
                    False,
                    alarm.score,
                    picture.boxes,
                    boxes,
                    _boxes([]),
                )
            )
    missed.sort(key=lambda each: (each.score, -each.area))
    alarms.sort(key=lambda each: -each.score)
    return missed[:LIMIT] + alarms[:LIMIT]


def _boxes(defects: Sequence[Defect]) -> NDArray[np.float32]:
    return np.array([each.box for each in defects], np.float32).reshape(-1, 4)


def _same_place(defect: Defect, box: NDArray[np.float32]) -> bool:
    return bool(overlaps(defect.box[None], box[None], np.zeros(1, np.bool_))[0, 0] >= MATCH_IOU)


def mistakes_sheet(mistakes: Sequence[Mistake]) -> NDArray[np.uint8]:
    """Draw each mistake with what is around it, at full scale unless it is too large.

    Returns
    -------
    ``(H, W, 3) uint8`` BGR.

    Raises
    ------
    ImageError
        A picture cannot be read.
    """
    cells: list[NDArray[np.uint8]] = []
    loaded: tuple[Picture, NDArray[np.uint8]] | None = None
    for mistake in mistakes:
        if loaded is None or loaded[0] is not mistake.picture:
            loaded = (mistake.picture, load_image(mistake.picture.path))
        cells.append(_cell(mistake, loaded[1]))
    head = np.full((24, COLUMNS * CELL, 3), 255, np.uint8)
    _put(head, LEGEND if mistakes else "no mistakes at this threshold", 16)
    blank = np.full((CELL + CAPTION, CELL, 3), 255, np.uint8)
    cells += [blank] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[at : at + COLUMNS]) for at in range(0, len(cells), COLUMNS)]
    return np.vstack([head, *rows])


def _cell(mistake: Mistake, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    x0, y0, x1, y1 = (float(value) for value in mistake.box)
    wanted = round(MARGIN * max(x1 - x0, y1 - y0))
    side = max(CELL, min(wanted, max(image.shape[:2])))
    left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
    # kept on the picture, unless the picture is the smaller one
    left = max(0, min(left, image.shape[1] - side))
    top = max(0, min(top, image.shape[0] - side))
    cut = image[top : top + side, left : left + side]
    view = np.full((side, side, 3), 128, np.uint8)
    view[: cut.shape[0], : cut.shape[1]] = cut
    scale = CELL / side
    if side != CELL:
        view = np.asarray(cv2.resize(view, (CELL, CELL), interpolation=cv2.INTER_AREA), np.uint8)
    origin = np.array([left, top, left, top], np.float32)
    for boxes, colour in (
        (mistake.below, BLUE),
        (mistake.found, RED),
        (mistake.truth, GREEN),
    ):
        for a, b, c, d in np.rint((boxes - origin) * scale).astype(int).tolist():
            cv2.rectangle(view, (a, b), (c, d), colour, 1)
    # what the cell is about is marked at its border: its box may be one of many
    middle = ((mistake.box[:2] + mistake.box[2:]) / 2 - origin[:2]) * scale
    colour = GREEN if mistake.missed else RED
    x, y = (int(value) for value in np.rint(middle))
    for one, other in (((x, 0), (x, 6)), ((0, y), (6, y))):
        cv2.line(view, one, other, colour, 3)
    caption = np.full((CAPTION, CELL, 3), 255, np.uint8)
    _put(caption, mistake.picture.path.name[-24:], 13)
    said = f"best {mistake.score:.2f}" if mistake.score else "nothing"
    what = f"missed: {said}" if mistake.missed else f"false {mistake.score:.2f}"
    _put(caption, f"{mistake.label[:12]} {what}", 28)
    framed = np.vstack([view, caption])
    cv2.rectangle(framed, (0, 0), (CELL - 1, CELL + CAPTION - 1), (200, 200, 200), 1)
    return framed


def _put(picture: NDArray[np.uint8], text: str, y: int) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's letters are ASCII alone
    font, black = cv2.FONT_HERSHEY_SIMPLEX, (0, 0, 0)
    cv2.putText(picture, plain, (4, y), font, 0.36, black, 1, cv2.LINE_AA)
