"""Text recognition: crops to network input, probabilities to text by CTC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError, ModelError

__all__ = [
    "HEIGHT",
    "check_dictionary",
    "ctc_decode",
    "load_dictionary",
    "plan_batches",
    "rec_input",
]

HEIGHT = 48
"""Pixels; PP-OCRv4's recogniser is trained on lines of this height."""

WIDTH_STEP = 64
"""Inputs are padded to a multiple of this many pixels: few distinct shapes keep the engine's
memory flat, and the grey margin reads better than none (wire markers: 78.7% against 78.0%)."""

MAX_WIDTH = 2560
"""Pixels; a longer line is squeezed. Fifty times as long as high is no line of a label."""

BATCH_PIXELS = 8 * 320
"""Width of all lines of a batch together; bounds memory on a page of hundreds of lines."""

BLANK = 0

_NORMAL = np.arange(256, dtype=np.float32) / 127.5 - 1
"""Pixel to input value; looking it up is a third of the time of computing it."""


def load_dictionary(path: Path) -> tuple[str, ...]:
    """The characters of a recogniser by class: CTC's blank first, then the file, then a space.

    Raises
    ------
    InputError
        The file is missing, not UTF-8, empty, or a line holds no character.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from error
    characters = [line.rstrip("\r") for line in lines]
    if characters and characters[-1] == "":
        characters.pop()
    if not characters:
        raise InputError(f"{path}: holds no characters: one a line is expected")
    for number, character in enumerate(characters, 1):
        if character == "":
            raise InputError(f"{path}:{number}: an empty line: one character a line is expected")
    return ("", *characters, " ")


def check_dictionary(dictionary: Sequence[str], classes: int, path: Path | str) -> None:
    """Refuse a dictionary that is not the recogniser's: every text would be wrong.

    Raises
    ------
    ModelError
        The recogniser puts out another number of classes.
    """
    if len(dictionary) != classes:
        raise ModelError(
            f"{path}: {len(dictionary) - 2} characters, but the recogniser has {classes - 2}: "
            "use the dictionary that it was trained with"
        )


def _rec_width(crop: NDArray[np.uint8]) -> int:
    """Width of a crop when it is ``HEIGHT`` high, pixels."""
    height, width = crop.shape[:2]
    return min(MAX_WIDTH, max(1, int(np.ceil(HEIGHT * width / height))))


def plan_batches(crops: Sequence[NDArray[np.uint8]]) -> list[tuple[int, list[int]]]:
    """Which lines go through the network together: those that need the same width.

    Returns
    -------
    For each batch the input's width and the indices of its crops; narrow ones first.
    """
    widths = [-(-_rec_width(crop) // WIDTH_STEP) * WIDTH_STEP for crop in crops]
    batches: list[tuple[int, list[int]]] = []
    for index in sorted(range(len(crops)), key=lambda i: widths[i]):
        width = widths[index]
        if batches and batches[-1][0] == width:
            members = batches[-1][1]
            if (len(members) + 1) * width <= BATCH_PIXELS:
                members.append(index)
                continue
        batches.append((width, [index]))
    return batches


def rec_input(crops: Sequence[NDArray[np.uint8]], width: int) -> NDArray[np.float32]:
    """Lines as one input of the recogniser, padded with grey on the right.

    Parameters
    ----------
    crops
        ``(h, w, 3) uint8`` BGR each, of any size.
    width
        Of the input, pixels.

    Returns
    -------
    ``(N, 3, 48, width) float32``, -1 to 1.
    """
    batch = np.zeros((len(crops), 3, HEIGHT, width), np.float32)
    for slot, crop in zip(batch, crops, strict=True):
        wide = min(width, _rec_width(crop))
        if crop.shape[:2] != (HEIGHT, wide):
            crop = np.asarray(cv2.resize(crop, (wide, HEIGHT)), np.uint8)
        slot[:, :, :wide] = cv2.LUT(crop, _NORMAL).transpose(2, 0, 1)
    return batch


def ctc_decode(
    probabilities: NDArray[np.float32], dictionary: Sequence[str]
) -> list[tuple[str, tuple[float, ...]]]:
    """Text by best path decoding: likeliest class of each step, repeats merged, blanks dropped.

    Graves et al., "Connectionist Temporal Classification", ICML 2006.

    Parameters
    ----------
    probabilities
        ``(N, T, C) float32``, softmax over C.
    dictionary
        C characters, the blank first.

    Returns
    -------
    For each line its text and the probability of each of its characters.
    """
    best = probabilities.argmax(axis=2)
    score = np.take_along_axis(probabilities, best[:, :, None], axis=2)[:, :, 0]
    kept = best != BLANK
    kept[:, 1:] &= best[:, 1:] != best[:, :-1]
    texts = []
    for row, keep, probability in zip(best, kept, score, strict=True):
        text = "".join([dictionary[i] for i in row[keep]])
        texts.append((text, tuple(probability[keep].tolist())))
    return texts
