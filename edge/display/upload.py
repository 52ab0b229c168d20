"""A picture that somebody sends: how large it says it is, and what the station makes of it."""

from __future__ import annotations

import os
import struct
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.deadline import Deadline
from edge.display.guard import Refusal
from edge.loop.inspection import inspect
from edge.setting import Setting, SharedModel
from edge.verdict import Part, Verdict
from models.errors import ImageError
from models.images import load_image
from models.stopwatch import Stopwatch

__all__ = ["MAX_PIXELS", "decode", "inspect_picture", "picture_size"]

MAX_PIXELS = 50_000_000
"""Decoded, 150 MB: what a box of 2 GB has to spare beside its models."""

YIELD_S = 0.02
"""Between two looks whether the line needs a model: it goes first."""

PATIENCE_S = 10.0
"""How long an upload waits for the line to leave a model alone; a busy line never does."""

_MEND = "send a whole PNG or JPEG"


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height that a PNG (RFC 2083) or JPEG (ITU-T T.81) says it has, without decoding.

    Raises
    ------
    Refusal
        422: it is neither.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return int(width), int(height)
    if data[:2] == b"\xff\xd8":
        at = 2
        while at + 9 <= len(data) and data[at] == 0xFF:
            marker = data[at + 1]
            if marker == 0xFF:  # fill byte
                at += 1
                continue
            if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # a frame header
                height, width = struct.unpack(">HH", data[at + 5 : at + 9])
                return int(width), int(height)
            at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    raise Refusal(422, "the body is no PNG or JPEG, or is cut off", _MEND)


def decode(data: bytes, expected: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The picture, ``(H, W, 3) uint8`` BGR.

    Parameters
    ----------
    data
        A PNG or JPEG.
    expected
        Width and height of the camera's own pictures, if they are known: regions are in these.

    Raises
    ------
    Refusal
        413: it has too many pixels, and is not decoded; 422: it cannot be decoded, or is no picture
        of this camera.
    """
    width, height = picture_size(data)
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 10**6
        raise Refusal(413, f"{width}x{height} pixels: more than {limit} million", "scale it down")
    if expected is not None and (width, height) != expected:
        raise Refusal(
            422,
            f"{width}x{height} pixels: the camera's pictures have {expected[0]}x{expected[1]}",
            "send a picture of this camera",
        )
    file = os.memfd_create("upload")  # load_image knows all that can be wrong with a file
    try:
        with os.fdopen(os.dup(file), "wb") as writer:
            writer.write(data)
        return load_image(Path(f"/proc/self/fd/{file}"))
    except ImageError as error:
        raise Refusal(422, "the picture cannot be decoded, or is cut off", _MEND) from error
    finally:
        os.close(file)


def inspect_picture(
    setting: Setting, camera: str, image: NDArray[np.uint8], now: datetime
) -> dict[str, Any]:
    """What the station says of a picture: its record, but for the id and number of a part.

    Raises
    ------
    Refusal
        503: the line needs the models all the time.
    """
    start = time.monotonic()
    part = Part(setting, camera, start, now, Deadline.after(PATIENCE_S), start, None)
    watch = Stopwatch()
    outcome = inspect(
        setting,
        camera,
        image,
        now.astimezone().date(),
        watch,
        before=lambda model: _give_way(model, part.deadline),
    )
    record = Verdict(0, part, outcome, time.monotonic() - start, 0.0).as_record()
    return {key: value for key, value in record.items() if key not in {"id", "part"}}


def _give_way(model: SharedModel, deadline: Deadline) -> None:
    """Wait until no part of the line is being looked at, and none waits."""
    time.sleep(YIELD_S)  # whoever waited while we had the model has it now
    while model.lock.locked():
        if deadline.expired:
            raise Refusal(503, "the line needs its models all the time", "try in a quieter minute")
        time.sleep(YIELD_S)
