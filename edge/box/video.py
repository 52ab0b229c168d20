"""Cameras and what they can give, asked of the kernel without taking a picture.

Structures and numbers: ``include/uapi/linux/videodev2.h``; they are the same on 32 and 64 bits.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge.box.root import Root, printable

__all__ = ["Mode", "Video", "ask_camera", "list_nodes"]

Ioctl = Callable[[int, int, bytes], bytes]

_QUERYCAP, _FORMATS, _SIZES, _RATES, _BUFFERS = (
    0x80685600,
    0xC0405602,
    0xC02C564A,
    0xC034564B,
    0xC0145608,
)
_CAPTURE, _CAPTURE_MPLANE, _M2M, _M2M_MPLANE, _DEVICE_CAPS = 0x1, 0x1000, 0x8000, 0x4000, 1 << 31
_TYPE_CAPTURE, _TYPE_CAPTURE_MPLANE, _MMAP, _DISCRETE = 1, 9, 1, 1

MAX_ENTRIES = 64
"""Formats of a camera, sizes of a format: a driver that counts without end must not hang us."""


@dataclass(frozen=True)
class Mode:
    """A pixel format with the largest size that it comes in; ``fps`` at that size, 0 if unknown."""

    fourcc: str
    width: int
    height: int
    fps: float

    def __str__(self) -> str:
        rate = f" {self.fps:g} fps" if self.fps else ""
        size = f" {self.width}x{self.height}" if self.width else ""
        return f"{self.fourcc}{size}{rate}"


@dataclass(frozen=True)
class Video:
    """A device node.

    Attributes
    ----------
    captures
        Whether it gives pictures: codecs and converters have such nodes too.
    busy
        Whether another process is streaming from it.
    """

    model: str
    captures: bool
    modes: tuple[Mode, ...]
    busy: bool


def list_nodes(root: Root) -> tuple[tuple[str, str], ...]:
    """Device and name of each first node of a video device, cameras or not."""
    return tuple(
        (f"/dev/{name.rpartition('/')[2]}", root.line(f"{name}/name") or "unnamed")
        for name in root.names("sys/class/video4linux/video*")
        if root.line(f"{name}/index") in ("", "0")
    )


def _ioctl(descriptor: int, request: int, data: bytes) -> bytes:
    return fcntl.ioctl(descriptor, request, data)


def ask_camera(path: str, ioctl: Ioctl = _ioctl) -> Video:
    """Ask a device node what it is. Nothing about it is changed.

    Parameters
    ----------
    ioctl
        Asks the kernel.

    Raises
    ------
    OSError
        It cannot be opened, or is no video device.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        said = ioctl(descriptor, _QUERYCAP, bytes(104))
        model = printable(said[16:48].partition(b"\0")[0].decode("utf-8", "replace"))
        whole, of_node = struct.unpack_from("=II", said, 84)
        can = of_node if whole & _DEVICE_CAPS else whole
        plain, planes = can & _CAPTURE, can & _CAPTURE_MPLANE
        if can & (_M2M | _M2M_MPLANE) or not (plain or planes):
            return Video(model, False, (), False)
        kind = _TYPE_CAPTURE if plain else _TYPE_CAPTURE_MPLANE
        modes = tuple(_modes(descriptor, kind, ioctl))
        return Video(model, True, modes, _is_busy(descriptor, kind, ioctl))
    finally:
        os.close(descriptor)


def _modes(descriptor: int, kind: int, ioctl: Ioctl) -> Iterator[Mode]:
    def ask(request: int, data: bytes) -> Iterator[bytes]:
        for index in range(MAX_ENTRIES):
            try:
                yield ioctl(descriptor, request, struct.pack("=I", index) + data)
            except OSError:  # EINVAL after the last; ENOTTY where a driver has no such list
                return

    for said in ask(_FORMATS, struct.pack("=I56x", kind)):
        code = said[44:48]
        sizes = []
        for answer in ask(_SIZES, code + bytes(36)):
            layout, width, height = struct.unpack_from("=8xIII", answer)
            if layout != _DISCRETE:  # from, to and step of each side
                width, height = struct.unpack_from("=16xI8xI", answer)
            sizes.append((width * height, width, height))
        _, width, height = max(sizes, default=(0, 0, 0))
        rates = [
            below / above
            for answer in ask(_RATES, code + struct.pack("=II36x", width, height))
            for above, below in [struct.unpack_from("=20xII", answer)]
            if above
        ]
        letters = printable(code.decode("ascii", "replace")).strip()
        yield Mode(letters, width, height, round(max(rates, default=0.0), 2))


def _is_busy(descriptor: int, kind: int, ioctl: Ioctl) -> bool:
    """Give back no buffers, of which we have none: refused while another process has the stream."""
    try:
        ioctl(descriptor, _BUFFERS, struct.pack("=IIIII", 0, kind, _MMAP, 0, 0))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False
