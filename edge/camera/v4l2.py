"""USB and board cameras: Video for Linux 2, through OpenCV.

Reference: the kernel's *Video for Linux API*, https://docs.kernel.org/userspace-api/media/v4l/.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from edge.camera.base import Frame
from edge.camera.grabber import Grabber
from edge.camera.source import KINDS, MAX_FPS, Source
from models.errors import CameraError, InputError
from models.images import MAX_SIDE

__all__ = ["V4l2Camera", "list_cameras"]

SYSFS = Path("/sys/class/video4linux")

MAX_KERNEL_AGE = 5.0
"""Seconds; a kernel time stamp further from now than this is on another clock, and not used."""


def list_cameras(root: Path = SYSFS) -> list[str]:
    """The V4L2 capture devices of this machine, like ``/dev/video0 (HD Webcam)``.

    Parameters
    ----------
    root
        Where the kernel lists them.
    """
    found = []
    for folder in root.glob("video*"):
        number = folder.name.removeprefix("video")
        # A USB camera has further nodes (index 1 and up) that carry metadata and no pictures.
        if number.isdecimal() and _first_line(folder / "index") in ("", "0"):
            model = _first_line(folder / "name") or "unnamed"
            found.append((int(number), f"/dev/{folder.name} ({model})"))
    return [text for _, text in sorted(found)]


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def _letters(fourcc: int) -> str:
    return "".join(chr(fourcc >> shift & 0xFF) for shift in (0, 8, 16, 24))


class V4l2Camera:
    """A camera at a device node.

    Parameters
    ----------
    device
        ``/dev/video0``, or better a name that survives replugging: ``/dev/v4l/by-id/...``.
    width, height
        Pixels; 0 leaves what the camera has set. A camera that gives another size is refused,
        since the regions of a station are pixels.
    fps
        Hz; 0 leaves what the camera has set. It gives the nearest that it has.
    fourcc
        Pixel format, four letters; most USB cameras need ``MJPG`` for full size at full rate.
    root
        Where the kernel lists cameras.
    """

    def __init__(
        self,
        device: str,
        *,
        width: int = 0,
        height: int = 0,
        fps: float = 0.0,
        fourcc: str = "",
        root: Path = SYSFS,
    ) -> None:
        self.name = f"v4l2:{device}"
        self.fps = fps
        self._device = device
        self._size = (width, height)
        self._fourcc = fourcc
        self._root = root
        self._grabber: Grabber | None = None

    @classmethod
    def from_source(cls, source: Source) -> V4l2Camera:
        """From ``v4l2:DEVICE?width=..&height=..&fps=..&fourcc=..``.

        Raises
        ------
        InputError
            An option is unknown or out of bounds.
        """
        source.only("width", "height", "fps", "fourcc")
        if not source.target.startswith("/"):
            raise InputError(f"{source.name}: no device: write v4l2:/dev/video0")
        fourcc = source.text("fourcc")
        if "fourcc" in dict(source.options) and not (
            len(fourcc) == 4 and fourcc.isascii() and fourcc.isprintable()
        ):
            raise InputError(f"{source.name}: fourcc={fourcc}: must be four letters, like MJPG")
        return cls(
            source.target,
            width=source.integer("width", 0, 1, MAX_SIDE),
            height=source.integer("height", 0, 1, MAX_SIDE),
            fps=source.fps(),
            fourcc=fourcc,
        )

    def open(self) -> None:
        """Take hold of the device and set it up.

        Raises
        ------
        CameraError
            It is missing, busy, forbidden, no camera, or does not have the size asked for.
        """
        device = Path(self._device)
        if not device.exists():
            raise CameraError(f"{self.name}: no such camera: {self._instead()}")
        if not os.access(device, os.R_OK | os.W_OK):
            raise CameraError(
                f"{self.name}: no permission: add this user to the group video and log in again"
            )
        grabber = (
            Grabber.open(self.name, self._device, cv2.CAP_V4L2) if device.is_char_device() else None
        )
        if grabber is None:
            raise CameraError(
                f"{self.name}: busy in another program, or no capture device: {self._instead()}"
            )
        try:
            self._set_up(grabber)
        except CameraError:
            grabber.close()
            raise
        self._grabber = grabber

    def _set_up(self, grabber: Grabber) -> None:
        width, height = self._size
        if self._fourcc:  # first, since the sizes and rates on offer depend on it
            grabber.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self._fourcc))
        if width:
            grabber.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        if height:
            grabber.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if self.fps:
            grabber.set(cv2.CAP_PROP_FPS, self.fps)
        format_got = _letters(int(grabber.get(cv2.CAP_PROP_FOURCC)))
        if self._fourcc and format_got != self._fourcc:
            raise CameraError(
                f"{self.name}: gives {format_got}, not the fourcc={self._fourcc} asked for: "
                "choose a format of `v4l2-ctl --list-formats-ext`"
            )
        got = (
            int(grabber.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(grabber.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        if (width and got[0] != width) or (height and got[1] != height):
            raise CameraError(
                f"{self.name}: gives {got[0]}x{got[1]} pixels, not the {width or 'any'}x"
                f"{height or 'any'} asked for: choose a size of `v4l2-ctl --list-formats-ext`, "
                "perhaps with fourcc=MJPG"
            )
        rate = grabber.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0.0 < rate <= MAX_FPS else self.fps

    def _instead(self) -> str:
        cameras = list_cameras(self._root)
        others = ", ".join(f"{kind}:" for kind in KINDS if kind != "v4l2")
        if cameras:
            return f"there is {', '.join(cameras)}; or use another source ({others})"
        return f"this machine has no USB camera: plug one in, or use another source ({others})"

    def read(self) -> Frame:
        """Wait for the next frame, stamped by the kernel where it does so.

        Raises
        ------
        CameraError
            The camera was unplugged, or is silent.
        ImageError
            This one picture is damaged.
        """
        if self._grabber is None:
            raise CameraError(f"{self.name}: is not open: open it first")
        frame = self._grabber.next(self._kernel_stamp)
        if frame is None:
            raise CameraError(f"{self.name}: gives no more pictures: check plug and cable")
        return frame

    def _kernel_stamp(self, arrived: float) -> float:
        # The driver stamps a buffer on CLOCK_MONOTONIC, which is time.monotonic()'s clock: a
        # picture that has waited in the driver's queue is then as old as it really is.
        assert self._grabber is not None  # noqa: S101 - only called from within read()
        stamp = self._grabber.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        return stamp if 0.0 <= arrived - stamp <= MAX_KERNEL_AGE else arrived

    def close(self) -> None:
        """Let go of the device."""
        if self._grabber is not None:
            self._grabber.close()
            self._grabber = None
