"""Network cameras: RTSP, and MJPEG or video over HTTP, through the FFmpeg within OpenCV."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from urllib.parse import urlsplit

import cv2

from edge.camera.base import Frame
from edge.camera.grabber import Grabber
from edge.camera.source import MAX_FPS, Source, mask
from models.errors import CameraError, InputError

__all__ = ["StreamCamera"]

OPEN_SECONDS = 10.0
"""A camera that boots or a switch that learns takes seconds; beyond this it is not there."""

READ_SECONDS = 10.0
"""Silence after which FFmpeg gives up. Longer than the usual stall limit, so that it is the
watchdog which counts a stall, while no thread stays in FFmpeg for longer than this."""

PROBE_SECONDS = 2.0
"""For the one connection that finds out why a stream did not open: a plant network needs less."""

DECODER_THREADS = 1
"""FFmpeg holds back one picture per further thread; a line wants each as soon as it is there."""

LIVE_SHARE = 0.8
"""Of a frame interval: a picture that was waited for this long had not been lying there."""

BACKLOG_SECONDS = 2.0
"""For leaving the backlog behind, at most: a box too slow for the stream would never get there."""

UNKNOWN_FPS = 25.0
"""Hz; what FFmpeg too takes a stream for that does not say."""

DEFAULT_PORTS = {"rtsp": 554, "http": 80, "https": 443}

# RTP over TCP: a lost UDP packet would be a smeared part, and a smear looks like a defect. OpenCV
# (4.11) says that it prefers TCP and asks for UDP all the same; this variable, read at each open,
# is the one way to tell it. Set here, before there are threads, and whoever has set it is obeyed.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")


class StreamCamera:
    """A camera at a URL.

    To find out its format FFmpeg listens to a stream for a second or so, and then hands out what it
    heard at once. Those pictures are not of now: they are read and left behind.

    Parameters
    ----------
    url
        ``rtsp://``, ``http://`` or ``https://``, with credentials where it needs them.
    fps
        Hz; 0 takes what an RTSP stream declares. HTTP declares nothing.
    """

    def __init__(self, url: str, *, fps: float = 0.0) -> None:
        self.name = mask(url)
        self.fps = fps
        self._url = url
        self._grabber: Grabber | None = None
        self._interval = 0.0
        self._live_at_last = 0.0
        self._live = False
        self._left_behind = 0

    @classmethod
    def from_source(cls, source: Source) -> StreamCamera:
        """From ``URL#fps=..``.

        Raises
        ------
        InputError
            An option is unknown or out of bounds.
        """
        if "://" not in source.target:
            raise InputError(f"{source.name}: no address: write {source.kind}://host/path")
        source.only("fps")
        return cls(source.target, fps=source.fps())

    def open(self) -> None:
        """Connect and wait until the stream has told its format.

        Raises
        ------
        CameraError
            Nothing answers there, or not with a stream.
        """
        if not cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG):
            raise CameraError(
                f"{self.name}: this OpenCV is built without FFmpeg: "
                "install opencv-python-headless from wheels"
            )
        grabber = Grabber.open(
            self.name,
            self._url,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_SECONDS * 1000)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_SECONDS * 1000)),
                *(cv2.CAP_PROP_N_THREADS, DECODER_THREADS),
            ],
        )
        if grabber is None:
            raise CameraError(f"{self.name}: cannot be opened: {self._why()}")
        rate = grabber.get(cv2.CAP_PROP_FPS)
        if not self.fps and self._url.startswith("rtsp") and 0.0 < rate <= MAX_FPS:
            self.fps = rate
        self._interval = 1.0 / (self.fps or UNKNOWN_FPS)
        self._live_at_last = time.monotonic() + BACKLOG_SECONDS
        self._live = False
        self._left_behind = 0
        self._grabber = grabber

    def _why(self) -> str:
        # OpenCV keeps FFmpeg's reason to itself; a bare connection tells network from stream.
        parts = urlsplit(self._url)
        port = parts.port or DEFAULT_PORTS[parts.scheme.lower()]
        try:
            socket.create_connection((parts.hostname or "", port), PROBE_SECONDS).close()
        except OSError as error:
            reason = "no answer" if isinstance(error, TimeoutError) else error.strerror
            return f"port {port}: {reason}: check address, cable and power"
        return f"port {port} answers, but gives no video: check path, user and password"

    def read(self) -> Frame:
        """Wait for the next frame.

        Raises
        ------
        CameraError
            The stream has ended or is silent.
        ImageError
            This one picture cannot be decoded.
        """
        if self._grabber is None:
            raise CameraError(f"{self.name}: is not open: open it first")
        while True:
            asked = time.monotonic()
            frame = self._grabber.next()
            if frame is None:
                raise CameraError(f"{self.name}: the stream has ended: check camera and network")
            waited = frame.captured - asked >= LIVE_SHARE * self._interval
            self._live = self._live or waited or asked >= self._live_at_last
            if self._live:
                return replace(frame, number=frame.number - self._left_behind)
            self._left_behind += 1

    def close(self) -> None:
        """Hang up."""
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None
