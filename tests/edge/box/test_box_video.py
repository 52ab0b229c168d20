"""Cameras as their drivers answer: the structures of ``videodev2.h``, filled as the kernel does."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from boards_lab import case_of, make_board, told, write

from edge.box.checks import camera as checking
from edge.box.checks.camera import check_cameras
from edge.box.video import Mode, Video, ask_camera

T = TypeVar("T")

SIZES = {
    0x80685600: 104,
    0xC0405602: 64,
    0xC02C564A: 44,
    0xC034564B: 52,
    0xC0145608: 20,
}
"""Of what each request takes: as a C compiler says of this header on x86-64 and armhf."""


@dataclass
class Driver:
    """A driver's side of the five requests."""

    caps: int = 0x04200001
    formats: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    stepwise: bool = False
    busy: bool = False
    asked: list[int] = field(default_factory=list)

    def __call__(self, descriptor: int, request: int, data: bytes) -> bytes:
        assert len(data) == SIZES[request]
        self.asked.append(request)
        number = request & 0xFF
        if number == 0:
            names = b"uvcvideo".ljust(16, b"\0") + b"HD Webcam\0junk".ljust(32, b"\0")
            whole = struct.pack("=III", 0x060600, 0x84A00001, self.caps)
            return names + bytes(32) + whole + bytes(12)
        if number == 8:
            count, kind = struct.unpack_from("=II", data)
            assert (count, kind) == (0, 9 if self.caps & 0x1000 else 1)
            if self.busy:
                raise OSError(errno.EBUSY, "Device or resource busy")
            return data
        (index,) = struct.unpack_from("=I", data)
        if number == 2:
            found = self.pick(list(self.formats), index)
            return data[:44] + found.encode() + bytes(16)
        code = data[4:8].decode()
        if number == 74:
            if self.stepwise:
                width, height = self.pick(self.formats[code], index)
                union = struct.pack("=IIIIII", 16, width, 2, 16, height, 2)
                return data[:8] + struct.pack("=I", 3) + union + bytes(8)
            width, height = self.pick(self.formats[code], index)
            return data[:8] + struct.pack("=III", 1, width, height) + bytes(24)
        assert struct.unpack_from("=II", data, 8) in self.formats[code]
        above, below = self.pick([(1, 15), (1, 30), (333333, 10000000)], index)
        return data[:16] + struct.pack("=III", 1, above, below) + bytes(24)

    @staticmethod
    def pick(choices: Sequence[T], index: int) -> T:
        if index >= len(choices):
            raise OSError(errno.EINVAL, "Invalid argument")
        return choices[index]


@pytest.fixture
def node(tmp_path: Path) -> str:
    return str(write(tmp_path, "video0", ""))


def test_the_largest_size_of_each_format(node: str) -> None:
    formats = {"YUYV": [(640, 480), (1280, 720)], "MJPG": [(1920, 1080), (640, 480)]}
    video = ask_camera(node, Driver(formats=formats))
    assert video == Video(
        "HD Webcam",
        True,
        (Mode("YUYV", 1280, 720, 30.0), Mode("MJPG", 1920, 1080, 30.0)),
        False,
    )
    assert list(map(str, video.modes)) == ["YUYV 1280x720 30 fps", "MJPG 1920x1080 30 fps"]


def test_a_sensor_of_any_size(node: str) -> None:
    driver = Driver(0x04201000, {"RG10": [(3280, 2464)]}, stepwise=True)
    assert ask_camera(node, driver).modes == (Mode("RG10", 3280, 2464, 30.0),)


@pytest.mark.parametrize("caps", [0x04204000, 0x04208001, 0x04000002, 0x00A00000])
def test_codecs_outputs_and_metadata_are_no_cameras(caps: int, node: str) -> None:
    driver = Driver(caps, {"YUYV": [(1, 1)]})
    assert not ask_camera(node, driver).captures
    assert len(driver.asked) == 1


def test_a_stream_that_another_has(node: str) -> None:
    assert ask_camera(node, Driver(formats={"YUYV": [(640, 480)]}, busy=True)).busy


def test_a_driver_that_counts_without_end(node: str) -> None:
    driver = Driver(formats={"YUYV": [(640, 480)]})

    def endless(descriptor: int, request: int, data: bytes) -> bytes:
        index = b"" if request & 0xFF in (0, 8) else bytes(4)
        return driver(descriptor, request, index + data[len(index) :])

    video = ask_camera(node, endless)
    assert set(video.modes) == {Mode("YUYV", 640, 480, 15.0)}
    assert len(driver.asked) < 10_000


def test_what_is_no_video_device(node: str) -> None:
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        ask_camera(node)


def says(
    answer: Video | OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: str = ""
) -> tuple[str, str]:
    def ask(path: str, ioctl: Callable[..., bytes] | None = None) -> Video:
        if isinstance(answer, OSError):
            raise answer
        return answer

    root = make_board(tmp_path, "rpi4")
    if holder:
        write(tmp_path, "proc/99/comm", holder)
        (tmp_path / "proc/99/fd").mkdir()
        for number in (10, 11):
            (tmp_path / f"proc/99/fd/{number}").symlink_to(f"/dev/video{number}")
    monkeypatch.setattr(checking, "ask_camera", ask)
    found = next(check_cameras(case_of(root)))
    return found.level, found.found


GOOD = Video("HD Webcam", True, (Mode("MJPG", 1920, 1080, 30.0),), False)


@pytest.mark.parametrize(
    ("answer", "holder", "level", "words"),
    [
        (GOOD, "", "ok", "/dev/video10 (HD Webcam): MJPG 1920x1080 30 fps"),
        (GOOD, "lineguard", "ok", "30 fps; in use by lineguard (99)"),
        (GOOD, "cheese", "warning", "is in use by cheese (99)"),
        (Video("C", True, GOOD.modes, True), "", "warning", "in use by another user's process"),
        (Video("C", True, (), False), "", "warning", "has no pixel format"),
        (PermissionError(13, "Permission denied"), "", "fault", "may not be opened by"),
        (OSError(errno.EBUSY, "Busy"), "", "warning", "in use by another user's process"),
        (OSError(errno.ENODEV, "No such device"), "", "warning", "does not answer: No such"),
        (Video("bcm2835-codec", False, (), False), "", "ok", "no USB or board camera"),
    ],
)
def test_what_is_said_of_a_camera(
    answer: Video | OSError,
    holder: str,
    level: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = says(answer, tmp_path, monkeypatch, holder)
    assert said[0] == level
    assert words in said[1]


def test_nodes_that_are_not_there(tmp_path: Path) -> None:
    found = list(check_cameras(case_of(make_board(tmp_path, "rpi4"))))
    assert len(told(found, "warning")) == 2
