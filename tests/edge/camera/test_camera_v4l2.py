"""The kernel's own test camera: a V4L2 driver with no hardware behind it.

Needs the module ``vivid`` (Debian: in the kernel's package; Ubuntu: linux-modules-extra-$(uname
-r)), loaded by root: ``modprobe vivid n_devs=1 num_inputs=1 input_types=0x0``.
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from camera_servers import wait_until

from edge.camera import list_cameras, open_camera
from edge.camera.base import Frame
from edge.camera.capture import Capture, Limits
from edge.deadline import Deadline
from models.errors import CameraError

DRIVER = Path("/sys/bus/platform/drivers/vivid")


def vivid() -> str:
    """The device node, or nothing."""
    return next((text.split()[0] for text in list_cameras() if "vivid" in text), "")


DEVICE = vivid()
pytestmark = pytest.mark.skipif(not DEVICE, reason="needs the kernel module vivid, loaded")


@pytest.mark.parametrize("options", ["", "&fourcc=YUYV", "&fourcc=BGR3", "&fourcc=GREY"])
def test_pictures_have_the_size_asked_for_and_the_kernels_time(options: str) -> None:
    camera = open_camera(f"v4l2:{DEVICE}?width=640&height=480&fps=25{options}")
    camera.open()
    try:
        frames = [camera.read() for _ in range(10)]
        assert camera.fps == 25.0
        assert {frame.image.shape for frame in frames} == {(480, 640, 3)}
        assert len({frame.image.tobytes() for frame in frames}) > 1
        gaps = [later.captured - earlier.captured for earlier, later in pairwise(frames)]
        assert sorted(gaps)[5] == pytest.approx(0.04, abs=0.02)
        time.sleep(0.4)
        # the driver has kept a picture since then: it must not pass for one of now
        assert time.monotonic() - camera.read().captured > 0.3
    finally:
        camera.close()


def test_size_and_format_that_it_has_not_are_refused() -> None:
    with pytest.raises(CameraError, match="not the 1000x700 asked for"):
        open_camera(f"v4l2:{DEVICE}?width=1000&height=700").open()
    with pytest.raises(CameraError, match="not the fourcc=MJPG asked for"):
        open_camera(f"v4l2:{DEVICE}?fourcc=MJPG").open()


def test_camera_in_use_is_busy_and_free_again_when_closed() -> None:
    first, second = open_camera(f"v4l2:{DEVICE}"), open_camera(f"v4l2:{DEVICE}")
    first.open()
    first.read()
    with pytest.raises(CameraError, match="busy"):
        second.open()
    first.close()
    second.open()
    second.read()
    second.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can unplug it")
def test_unplugged_camera_is_lost_and_found_again_when_plugged_in() -> None:
    frames: list[Frame] = []
    reasons: list[str] = []
    capture = Capture(
        lambda: open_camera(f"v4l2:{DEVICE}"),
        frames.append,
        on_state=lambda _, reason: reasons.append(reason),
        limits=Limits(retry_first=0.1, retry_max=0.3),
    )
    capture.start()
    assert wait_until(lambda: len(frames) > 5)
    (DRIVER / "unbind").write_text("vivid.0")
    try:
        assert wait_until(lambda: "no such camera" in capture.reason)
        assert capture.state == "lost"
        assert DEVICE not in " ".join(list_cameras())
    finally:
        (DRIVER / "bind").write_text("vivid.0")
    before = len(frames)
    assert wait_until(lambda: len(frames) > before + 5)
    assert capture.stop(Deadline.after(5.0))
    assert capture.counters.reconnects == 1
