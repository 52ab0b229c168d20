"""What the cameras on OpenCV's VideoCapture have in common: grab, stamp, retrieve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.base import Frame
from models.errors import ImageError
from models.images import as_bgr

__all__ = ["Grabber"]


class Grabber:
    """One open ``cv2.VideoCapture``.

    Parameters
    ----------
    name
        How messages call the camera.
    capture
        Opened.
    """

    def __init__(self, name: str, capture: cv2.VideoCapture) -> None:
        self._name = name
        self._capture = capture
        self._number = 0

    @classmethod
    def open(
        cls, name: str, target: str, backend: int, parameters: Sequence[int] = ()
    ) -> Grabber | None:
        """Open ``target`` with one of OpenCV's backends; ``None`` if it will not open.

        ``parameters`` are pairs of ``cv2.CAP_PROP_...`` and value.
        """
        try:
            capture = cv2.VideoCapture(target, backend, list(parameters))
        except cv2.error:
            return None
        return cls(name, capture) if capture.isOpened() else None

    @property
    def number(self) -> int:
        """How many pictures have come so far."""
        return self._number

    def get(self, prop: int) -> float:
        """A property of the device or file; 0 where it has none."""
        return float(self._capture.get(prop))

    def set(self, prop: int, value: float) -> None:
        """Ask for a property; whether the device took it is told by :meth:`get`."""
        self._capture.set(prop, value)

    def next(self, stamp: Callable[[float], float] | None = None) -> Frame | None:
        """Wait for the next picture; ``None`` if none will come.

        Parameters
        ----------
        stamp
            Given ``time.monotonic()`` of the arrival, returns a better time where there is one.

        Raises
        ------
        ImageError
            This one picture cannot be decoded; the next may be.
        """
        try:
            if not self._capture.grab():
                return None
        except cv2.error:
            return None
        arrived = time.monotonic()
        captured = stamp(arrived) if stamp else arrived
        number = self._number
        self._number += 1
        try:
            done, image = self._capture.retrieve()
        except cv2.error:
            done, image = False, None
        whole = self._shaped(image) if done and image is not None else None
        if whole is None or whole.size == 0:
            raise ImageError(
                f"{self._name}: picture {number} cannot be decoded: check cable and network"
            )
        return Frame(as_bgr(whole), captured, number)

    def _shaped(self, image: NDArray[np.generic]) -> NDArray[np.generic] | None:
        # OpenCV 4 hands out the buffer as it is, one long row, where a V4L2 device gives BGR.
        if image.ndim != 2 or len(image) != 1:
            return image
        width = int(self.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self.get(cv2.CAP_PROP_FRAME_HEIGHT))
        return image.reshape(height, width, 3) if image.size == height * width * 3 else None

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()
