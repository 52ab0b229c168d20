"""What a camera is to the rest of lineguard.

A camera is opened, read from one thread, and closed; it neither retries nor queues. Whoever needs
that puts a :class:`edge.camera.capture.Capture` around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera", "EndOfStream", "Frame"]


class EndOfStream(Exception):  # noqa: N818 - no error: a file or folder has been shown to its end
    """The source has no more frames, and that is as it should be."""


@dataclass(frozen=True)
class Frame:
    """One picture of the line.

    Attributes
    ----------
    image
        ``(H, W, 3) uint8`` BGR. Owned by whoever holds the frame; the camera is done with it.
    captured
        ``time.monotonic()`` seconds, taken when the picture arrived, before it was decoded.
    number
        Counts from 0 since the camera was opened; a gap means that the source itself dropped one.
    truth
        What the simulated line printed on the part; ``None`` from a real camera.
    """

    image: NDArray[np.uint8]
    captured: float
    number: int
    truth: object = None


class Camera(Protocol):
    """A source of frames.

    Attributes
    ----------
    name
        How messages call it, e.g. ``v4l2:/dev/video0``.
    fps
        Nominal frame rate in Hz; 0 when frames come on a trigger, at no fixed rate.
    """

    name: str
    fps: float

    def open(self) -> None:
        """Take hold of the device. :class:`models.errors.CameraError` if it is missing or busy."""

    def read(self) -> Frame:
        """Wait for the next frame.

        Raises
        ------
        CameraError
            The device went away or said nothing for its time limit.
        ImageError
            This one picture cannot be decoded; the next may well be. A part passed unseen.
        EndOfStream
            A finite source has come to its end.
        """

    def close(self) -> None:
        """Let go of the device; harmless when it is not open."""
