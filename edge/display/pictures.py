"""Pictures of parts for whoever looks: held as they came, encoded once, and only if asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import ImageError

__all__ = ["MAX_WIDTH", "NG_KEPT", "Picture", "Pictures", "encode_jpeg"]

MAX_WIDTH = 1280
"""Pixels; wider ones are scaled: a tablet shows no more, and a Pi encodes this in 10 ms."""

QUALITY = 80
"""Of the JPEG: print stays sharp, at a tenth of the bytes."""

NG_KEPT = 24
"""Rejected parts whose pictures are held: what somebody looks back at from the display. Older ones
are in the records."""

NG_BYTES = 80_000_000
"""What they may take: a box with 1 GB holds models and cameras as well."""

SHOWN = 3
"""Pictures for each camera that viewers may still ask for after newer ones have come: they are
told of five a second, and fetch within half a second or not at all."""


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """``(H, W, 3) uint8`` BGR as JPEG, at most :data:`MAX_WIDTH` wide."""
    done, encoded = cv2.imencode(".jpg", _shrunk(image), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ImageError("a picture cannot be encoded: look at the camera's format")
    return encoded.tobytes()


def _shrunk(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if width <= MAX_WIDTH:
        return image
    size = (MAX_WIDTH, max(1, round(height * MAX_WIDTH / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


class Picture:
    """One picture: pixels until somebody asks for it, JPEG from then on."""

    def __init__(self, camera: str, part: str, image: NDArray[np.uint8]) -> None:
        self.camera, self.part = camera, part
        self._pixels: NDArray[np.uint8] | None = image
        self._jpeg: bytes | None = None
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """What it takes."""
        pixels, jpeg = self._pixels, self._jpeg
        return (0 if pixels is None else pixels.nbytes) + len(jpeg or b"")

    def shrink(self) -> None:
        """Keep no more than will ever be shown."""
        with self._lock:
            if self._pixels is not None:
                self._pixels = _shrunk(self._pixels)

    def jpeg(self, encode: Callable[[NDArray[np.uint8]], bytes]) -> bytes:
        """The JPEG; whoever comes first encodes it, the others wait for that."""
        with self._lock:
            if self._jpeg is None:
                assert self._pixels is not None  # noqa: S101 - let go of below, and only there
                self._jpeg, self._pixels = encode(self._pixels), None
            return self._jpeg


class Pictures:
    """The pictures of a station that somebody may ask for; safe from several threads."""

    def __init__(self, encode: Callable[[NDArray[np.uint8]], bytes] = encode_jpeg) -> None:
        self._encode = encode
        self._lock = threading.Lock()
        self._ng: deque[Picture] = deque(maxlen=NG_KEPT)
        self._newest: dict[str, Picture] = {}
        self._shown: dict[str, deque[Picture]] = {}

    def newest(self, camera: str, part: str, image: NDArray[np.uint8], *, ng: bool) -> None:
        """Hold the newest picture of a camera, by reference; of a rejected part for longer."""
        picture = Picture(camera, part, image)
        if ng:
            picture.shrink()
        with self._lock:
            self._newest[camera] = picture
            if ng:
                self._ng.append(picture)
                while sum(each.nbytes for each in self._ng) > NG_BYTES:
                    self._ng.popleft()

    def show(self, camera: str, part: str) -> bool:
        """Hold a picture that viewers are told of; ``False`` if it is gone."""
        with self._lock:
            shown = self._shown.setdefault(camera, deque(maxlen=SHOWN))
            if any(each.part == part for each in shown):
                return True
            picture = self._find(camera, part)
            if picture is not None:
                shown.append(picture)
            return picture is not None

    def jpeg(self, camera: str, part: str) -> bytes | None:
        """The JPEG of a part, encoded now if it has not been before; ``None`` if it is gone."""
        with self._lock:
            picture = self._find(camera, part)
        return picture.jpeg(self._encode) if picture else None

    def newest_part(self, camera: str) -> str | None:
        """The part whose picture is the newest of a camera."""
        with self._lock:
            picture = self._newest.get(camera)
            return picture.part if picture else None

    @property
    def nbytes(self) -> int:
        """What the pictures of rejected parts take."""
        with self._lock:
            return sum(each.nbytes for each in self._ng)

    def _find(self, camera: str, part: str) -> Picture | None:
        held = [*self._newest.values(), *self._shown.get(camera, ()), *self._ng]
        return next((each for each in held if (each.camera, each.part) == (camera, part)), None)
