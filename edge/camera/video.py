"""A video file, shown at its own rate or another."""

from __future__ import annotations

from pathlib import Path

import cv2

from edge.camera.base import EndOfStream, Frame
from edge.camera.grabber import Grabber
from edge.camera.pace import Pace
from edge.camera.source import MAX_FPS, Source
from models.errors import CameraError, InputError

__all__ = ["VideoFile"]


class VideoFile:
    """A recording of a line.

    Parameters
    ----------
    path
        Anything that FFmpeg reads.
    fps
        Hz; ``None`` keeps the rate of the recording, 0 shows it as fast as it can be read.
    """

    def __init__(self, path: Path, *, fps: float | None = None) -> None:
        self.name = f"file:{path}"
        self.fps = fps or 0.0
        self._path = path
        self._wanted = fps
        self._grabber: Grabber | None = None
        self._pace = Pace(0.0)

    @classmethod
    def from_source(cls, source: Source) -> VideoFile:
        """From ``file:PATH?fps=..``.

        Raises
        ------
        InputError
            An option is unknown or out of bounds.
        """
        source.only("fps")
        if not source.target:
            raise InputError(f"{source.name}: no path: write file:part.mp4")
        given = "fps" in dict(source.options)
        return cls(Path(source.target), fps=source.fps() if given else None)

    def open(self) -> None:
        """Open the file.

        Raises
        ------
        InputError
            It is missing, or no video.
        """
        if not self._path.is_file():
            raise InputError(f"{self.name}: no such file: check the path")
        # An absolute path cannot be taken for a URL or one of FFmpeg's protocols.
        grabber = Grabber.open(self.name, str(self._path.resolve()), cv2.CAP_FFMPEG)
        if grabber is None:
            raise InputError(f"{self.name}: no video, or cut off: record or convert it again")
        rate = grabber.get(cv2.CAP_PROP_FPS)
        if self._wanted is None:
            self.fps = rate if 0.0 < rate <= MAX_FPS else 0.0
        self._grabber = grabber
        self._pace = Pace(self.fps)

    def read(self) -> Frame:
        """Wait until the next frame is due.

        Raises
        ------
        EndOfStream
            It was the last one.
        InputError
            The file has a header, and not one picture.
        ImageError
            This one picture cannot be decoded.
        """
        if self._grabber is None:
            raise CameraError(f"{self.name}: is not open: open it first")
        self._pace.wait()
        frame = self._grabber.next()
        if frame is None:
            if self._grabber.number == 0:
                raise InputError(f"{self.name}: holds no picture: record or convert it again")
            raise EndOfStream(f"{self.name}: shown to its end")
        return frame

    def close(self) -> None:
        """Close the file."""
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None
